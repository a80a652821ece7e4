"""The lock that allows one refresh of a login at a time, across processes and machines.

The lock is a lease in the store. Every write of the refresh carries the lease's epoch, so a
process that was paused until its lease ran out writes nothing and sends nothing. Only a result is
stored even then, because the old token is spent. If the kernel tells the store that the holder has
ended, the lease is free at once. If it tells that the holder lives, the lease is never taken away,
however long the holder is paused.
Source: docs/explanation/requirements.md, F9, F10, F12 and S7.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from botkit.errors import LeaseLost, StoreUnavailable
from botkit.leases.lease import Lease
from botkit.leases.owner import in_words

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager

    from botkit.leases.owner import Lives
    from botkit.model.records import CredentialRow, Fence
    from botkit.ports import Clock, Entropy, Store

__all__ = ["Held", "LeasedRefreshLock", "RefreshLock", "Tenure", "in_process"]

_WAIT_S = 90.0
"""The seconds to wait for the lock: longer than a refresh takes, even at its time limit."""
_LOOK_S = (0.1, 0.3)


class Tenure(Struct, frozen=True, kw_only=True):
    """Set how long the leases of a refresh last, and how often they are renewed.

    With `stays`, as in a bot, this process holds the role of the refresh leader for as long as it
    runs; without, as in a command, it takes the role for one refresh.
    Source: docs/explanation/requirements.md, "The refresh of a login".
    """

    stays: bool = False
    ttl_s: float = 60.0
    renew_s: float = 15.0


class Held(Protocol):
    """A lock that this process has taken."""

    fence: Fence | None
    """The proof that each write under the lock carries; None if there is no other process."""

    def check(self) -> None:
        """Raise `LeaseLost` if another process may hold the lock by now.

        Call this right before the refresh token's bytes leave.
        """
        ...


class RefreshLock(Protocol):
    """Take the lock of one login, across processes."""

    def __call__(
        self, row: CredentialRow, /, *, wait: bool = True
    ) -> AbstractAsyncContextManager[Held]:
        """Hold the lock of that login inside the block.

        Raises:
            StoreUnavailable: Another process or task holds it: raised at once without `wait`,
                else after a long wait.
        """
        ...


class _Alone:
    fence: Fence | None = None

    def check(self) -> None:
        """Do nothing: there is no other process."""


@asynccontextmanager
async def in_process(row: CredentialRow, /, *, wait: bool = True) -> AsyncGenerator[Held]:
    """Lock nothing: for a single process, whose tasks share one refresh of a login."""
    del row, wait
    yield _Alone()


class LeasedRefreshLock:
    """A `RefreshLock` by the lease `refresh:ACCOUNT/APP` in the store."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock,
        entropy: Entropy,
        owner: str,
        lives: Lives,
        tenure: Tenure,
    ) -> None:
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._owner = owner
        self._lives = lives
        self._tenure = tenure
        self._busy: set[str] = set()
        """The leases that tasks of this process take or hold: the store sees one owner for all."""

    @asynccontextmanager
    async def __call__(self, row: CredentialRow, /, *, wait: bool = True) -> AsyncGenerator[Held]:
        """See `RefreshLock`."""
        name = f"refresh:{row.account_id}/{row.app}"
        lease = Lease(
            self._store,
            self._clock,
            owner=self._owner,
            name=name,
            ttl_s=self._tenure.ttl_s,
            renew_s=self._tenure.renew_s,
            lives=self._lives,
            patient=True,
        )
        await self._take(lease, name, row, wait=wait)
        try:
            async with lease.kept():
                yield _Leased(lease, stale_s=self._tenure.ttl_s / 2)
        finally:
            self._busy.discard(name)

    async def _take(self, lease: Lease, name: str, row: CredentialRow, *, wait: bool) -> None:
        ends_s = self._clock.monotonic() + (_WAIT_S if wait else 0.0)
        while not await self._try(lease, name):
            if self._clock.monotonic() >= ends_s:
                rival = in_words(lease.rival) if lease.rival else "another process"
                raise StoreUnavailable(
                    f"{rival[0].upper()}{rival[1:]} refreshes the login of "
                    f"@{row.username or row.account_id}; nothing was sent.",
                    hint="If it hangs, end it: the lock goes with it, "
                    f"{self._tenure.ttl_s:.0f} s later when it runs on another machine.",
                )
            await self._clock.sleep(self._entropy.uniform(*_LOOK_S))

    async def _try(self, lease: Lease, name: str) -> bool:
        if name in self._busy:
            return False
        self._busy.add(name)
        taken = False
        try:
            taken = await lease.try_acquire()
        finally:
            if not taken:
                self._busy.discard(name)
        return taken


class _Leased:
    """A lock that counts as held if its lease was renewed in the last half of its lifetime."""

    def __init__(self, lease: Lease, *, stale_s: float) -> None:
        self.fence = lease.last_fence
        self._lease = lease
        self._stale_s = stale_s

    def check(self) -> None:
        """See `Held`."""
        if self._lease.age_s > self._stale_s:
            raise LeaseLost(
                f"The lease of the refresh was not renewed for {self._lease.age_s:.0f} s; "
                "nothing was sent."
            )
