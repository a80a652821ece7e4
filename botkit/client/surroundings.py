"""What the keepers of logins and the login attempts work with, in one value."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from botkit.client.endpoints import AppKeys, Endpoints
from botkit.client.witness import Witness
from botkit.ports import Clock, Entropy, Store, Transport, Vault

__all__ = ["Surroundings"]


class Surroundings(Struct, frozen=True, kw_only=True):
    """The ports, the apps by name, and where X is.

    `witness` remembers outside the store how far each login is; without one an old store that
    was put back is not noticed.
    """

    store: Store
    vault: Vault
    transport: Transport
    clock: Clock
    entropy: Entropy
    apps: Mapping[str, AppKeys]
    endpoints: Endpoints = Endpoints()
    witness: Witness | None = None
