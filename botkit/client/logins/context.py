"""What the keepers of logins and the login attempts work with, in one value."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from msgspec import Struct

from botkit.client.logins.endpoints import AppKeys, Endpoints
from botkit.client.logins.rollback_guard import RollbackGuard
from botkit.ports import Clock, Entropy, Store, Transport, VaultPort

__all__ = ["LoginContext", "same_key"]


async def same_key() -> None:
    """Nobody changes it."""


class LoginContext(Struct, frozen=True, kw_only=True):
    """The ports, the apps by name, and where X is.

    `witness` remembers outside the store how far each login is; without one an old store that
    was put back is not noticed. `renew_key` makes the vault seal with the key that the store has
    now, which may have been changed while this process runs.
    """

    store: Store
    vault: VaultPort
    transport: Transport
    clock: Clock
    entropy: Entropy
    apps: Mapping[str, AppKeys]
    endpoints: Endpoints = Endpoints()
    witness: RollbackGuard | None = None
    renew_key: Callable[[], Awaitable[None]] = same_key

    async def make_ready(self) -> None:
        """Before X is asked for a new login, which ends the one before: it can be kept.

        Raises:
            StateError: The store cannot take it now, or there is no key for it.
        """
        await self.renew_key()
        await self.store.credentials.make_room()
