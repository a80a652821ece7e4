"""The ports, apps and addresses that the keepers of logins and the login attempts work with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property

from msgspec import Struct

from botkit.client.logins.endpoints import AppKeys, Endpoints
from botkit.client.logins.login_rows import LoginRows, same_key
from botkit.client.logins.rollback_guard import RollbackGuard
from botkit.ports import Clock, Entropy, Store, Transport, VaultPort

__all__ = ["LoginContext"]


class LoginContext(Struct, frozen=True, kw_only=True, dict=True):
    """The ports, the apps by name, and the addresses of X.

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

    @cached_property
    def rows(self) -> LoginRows:
        """The logins of the store: the only way to change one."""
        return LoginRows(
            self.store,
            self.vault,
            self.clock,
            apps=self.apps,
            witness=self.witness,
            renew_key=self.renew_key,
        )
