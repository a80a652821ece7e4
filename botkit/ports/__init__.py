"""The Protocols that the core needs, and the plain values that cross them.

A room asks for a port, `bot.py` joins it to an implementation, and the sandbox brings its own.
Everything that touches a network, a disk, a clock or chance stands behind one of these.
"""

from botkit.ports.api import (
    Actions,
    Filter,
    Intake,
    MessageThread,
    Reader,
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
    "Reader",
    "Scope",
    "Sender",
    "Source",
    "Store",
    "Transport",
    "VaultPort",
]
