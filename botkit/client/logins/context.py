"""The ports, apps and addresses that all code for logins and sign-ins shares."""

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
    """Hold the ports, the keys of each app by name, and the addresses of X.

    `rollback_guard` keeps each login's newest generation outside the store; without it, botkit
    does not notice a store that was restored from a backup. `renew_key` makes the vault seal with
    the store's present key, which another process may change while this one runs.
    """

    store: Store
    vault: VaultPort
    transport: Transport
    clock: Clock
    entropy: Entropy
    apps: Mapping[str, AppKeys]
    endpoints: Endpoints = Endpoints()
    rollback_guard: RollbackGuard | None = None
    renew_key: Callable[[], Awaitable[None]] = same_key

    @cached_property
    def rows(self) -> LoginRows:
        """Return the owner of the store's login rows, through which all changes of a login go."""
        return LoginRows(
            self.store,
            self.vault,
            self.clock,
            apps=self.apps,
            endpoints=self.endpoints,
            rollback_guard=self.rollback_guard,
            renew_key=self.renew_key,
        )
