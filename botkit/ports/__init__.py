"""The Protocols that the core depends on, and the plain values that they exchange.

A room depends on a port; `botkit.bot` passes it an implementation, and the sandbox passes its own.
All access to the network, the disk, the clock and randomness goes through one of these ports.
"""

from botkit.ports.api import (
    Actions,
    Filter,
    Intake,
    MessageThread,
    OnSpend,
    Reader,
    ReadRecord,
    Scope,
    Sender,
    Source,
)
from botkit.ports.io import (
    Clock,
    Entropy,
    HttpRequest,
    HttpResponse,
    HttpStream,
    Transport,
)
from botkit.ports.store import Store
from botkit.ports.vault import VaultPort

__all__ = [
    "Actions",
    "Clock",
    "Entropy",
    "Filter",
    "HttpRequest",
    "HttpResponse",
    "HttpStream",
    "Intake",
    "MessageThread",
    "OnSpend",
    "ReadRecord",
    "Reader",
    "Scope",
    "Sender",
    "Source",
    "Store",
    "Transport",
    "VaultPort",
]
