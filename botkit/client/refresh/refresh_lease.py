"""One refresh of a login at a time, on whatever machines the processes run that share the store.

The kernel's lock of `grant_lock` is taken first: on one machine it is quicker, and a dead holder
is out of the way at once. The lease in the store stands behind it, with an epoch that every write
of the refresh carries: who was paused past its end writes nothing and sends nothing. Only a result
is stored all the same, because the token that it follows is spent.
Source: docs/explanation/requirements.md, F9, F10 and F12.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from msgspec import Struct

from botkit.errors import LeaseLost, StoreUnavailable
from botkit.leases.lease import Lease

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from botkit.client.refresh.refresh_lock import Held, RefreshLock
    from botkit.leases.owner import Lives
    from botkit.model.records import CredentialRow, Fence
    from botkit.ports import Clock, Entropy, Store

__all__ = ["LeasedRefreshLock", "Tenure"]

_WAIT_S = 90.0
"""Longer than a holder needs that waits for X's answer to the last second."""
_LOOK_S = (0.1, 0.3)


class Tenure(Struct, frozen=True, kw_only=True):
    """How long a lease of logins lasts, and how often it is renewed.

    `stays` says that this process keeps the role of the keeper for as long as it runs, as a bot
    does; a command takes it for one refresh.
    Source: docs/explanation/requirements.md, "The refresh of a login".
    """

    stays: bool = False
    ttl_s: float = 60.0
    renew_s: float = 15.0


class LeasedRefreshLock:
    """A `RefreshLock`: another one first, then the lease `refresh:ACCOUNT/APP` in the store."""

    def __init__(
        self,
        inner: RefreshLock,
        store: Store,
        *,
        clock: Clock,
        entropy: Entropy,
        owner: str,
        lives: Lives,
        tenure: Tenure,
    ) -> None:
        self._inner = inner
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._owner = owner
        self._lives = lives
        self._tenure = tenure

    @asynccontextmanager
    async def __call__(self, row: CredentialRow, /, *, wait: bool = True) -> AsyncGenerator[Held]:
        """See `RefreshLock`."""
        lease = Lease(
            self._store,
            self._clock,
            owner=self._owner,
            name=f"refresh:{row.account_id}/{row.app}",
            ttl_s=self._tenure.ttl_s,
            renew_s=self._tenure.renew_s,
            lives=self._lives,
        )
        async with self._inner(row, wait=wait) as held:
            await self._take(lease, row, wait=wait)
            async with lease.kept():
                yield _Leased(held, lease, stale_s=self._tenure.ttl_s / 2)

    async def _take(self, lease: Lease, row: CredentialRow, *, wait: bool) -> None:
        ends_s = self._clock.monotonic() + (_WAIT_S if wait else 0.0)
        while not await lease.try_acquire():
            if self._clock.monotonic() >= ends_s:
                raise StoreUnavailable(
                    f"{lease.rival or 'Another process'} refreshes the login of "
                    f"@{row.username or row.account_id}; nothing was sent.",
                    hint=f"Its lease runs out {self._tenure.ttl_s:.0f} s after it has ended.",
                )
            await self._clock.sleep(self._entropy.uniform(*_LOOK_S))


class _Leased:
    """Held by the other lock and by the lease."""

    def __init__(self, inner: Held, lease: Lease, *, stale_s: float) -> None:
        self._inner = inner
        self._lease = lease
        self._stale_s = stale_s

    @property
    def fence(self) -> Fence | None:
        """See `Held`."""
        return self._lease.last_fence

    async def check(self) -> None:
        """See `Held`."""
        await self._inner.check()
        self.check_age()

    def check_age(self) -> None:
        """See `Held`."""
        self._inner.check_age()
        if self._lease.age_s > self._stale_s:
            raise LeaseLost(
                f"The lease of the refresh was not renewed for {self._lease.age_s:.0f} s; "
                "nothing was sent."
            )
