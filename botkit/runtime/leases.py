"""The runner's lease: one process at a time runs the bot on a store.

The holder goes by its own steady clock: it stops writing before the store would give the lease
away. Whatever it writes carries the lease's epoch, and the store refuses an old one.
Source: docs/explanation/requirements.md, "Writes" and S7.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from botkit.errors import LeaseLost, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from botkit.model.records import Fence
    from botkit.ports import Clock, Store

__all__ = ["Lease"]

_log = structlog.get_logger("botkit.lease")

_LOOK_AGAIN_S = 0.5


class Lease:
    """A role that this process holds, or waits for.

    Args:
        owner: Names this process, for the message that a second one shows.
        alive: Whether the process of that name is alive, None when that cannot be known; then
            the lease of a process that was killed is waited out.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        owner: str,
        name: str = "runner",
        ttl_s: float = 10.0,
        renew_s: float = 3.0,
        alive: Callable[[str], bool | None] | None = None,
    ) -> None:
        self._leases = store.leases
        self._clock = clock
        self._owner = owner
        self._name = name
        self._ttl = timedelta(seconds=ttl_s)
        self._renew_s = renew_s
        self._alive = alive
        self._fence: Fence | None = None
        self._good_until = 0.0

    def fence(self) -> Fence:
        """The proof of the lease, for a write that happens now.

        Raises:
            StoreUnavailable: It could not be renewed in time; it may come back.
            LeaseLost: It was never taken, or is given back.
        """
        fence = self._held()
        if self._clock.monotonic() >= self._good_until:
            raise StoreUnavailable(f"The lease `{self._name}` could not be renewed in time.")
        return fence

    async def acquire(self) -> None:
        """Take the lease; wait for it as long as a process that was killed would hold it.

        Raises:
            LeaseLost: Another process holds it and is alive.
        """
        give_up = self._clock.monotonic() + self._ttl.total_seconds() + 2 * _LOOK_AGAIN_S
        said = False
        while not await self._take():
            holder = await self._leases.holder(self._name, now=self._clock.now())
            alive = None if holder is None or self._alive is None else self._alive(holder)
            if alive is False and await self._take(ahead=self._ttl):
                await self.renew()
                return
            if alive or self._clock.monotonic() >= give_up:
                raise LeaseLost(
                    f"{holder or 'Another process'} runs a bot on this store.",
                    hint="Stop it first, or give this one a store of its own.",
                )
            if not said:
                _log.info("waiting for the lease", lease=self._name, holder=holder)
                said = True
            await self._clock.sleep(_LOOK_AGAIN_S)

    async def keep(self) -> None:
        """Renew the lease until it is given back.

        Raises:
            LeaseLost: Another process took it.
        """
        failing = False
        while True:
            await self._clock.sleep(self._renew_s)
            if not self._is_held():
                return
            try:
                await self.renew()
            except LeaseLost:
                if self._is_held():
                    raise
                return  # given back meanwhile
            except StoreUnavailable as error:
                if not failing:
                    _log.error("the lease cannot be renewed", lease=self._name, why=str(error))
                failing = True
            else:
                failing = False

    async def renew(self) -> None:
        """Hold it longer. Raises `LeaseLost` when another process took it."""
        fence = self._held()
        asked = self._clock.monotonic()
        await self._leases.renew(fence, ttl=self._ttl, now=self._clock.now())
        self._held_from(asked)

    async def release(self) -> None:
        """Give it back; nothing can be written with it afterwards."""
        fence, self._fence = self._fence, None
        if fence is not None:
            await self._leases.release(fence)

    def abandon(self) -> None:
        """Forget it without giving it back, as a killed process does."""
        self._fence = None

    def _is_held(self) -> bool:
        return self._fence is not None

    def _held(self) -> Fence:
        if self._fence is None:
            raise LeaseLost(f"This process does not hold the lease `{self._name}`.")
        return self._fence

    async def _take(self, *, ahead: timedelta = timedelta()) -> bool:
        # A dead holder's lease is taken as it would be after it has run out: `ahead` of time.
        asked = self._clock.monotonic()
        now = self._clock.now() + ahead
        self._fence = await self._leases.acquire(self._name, self._owner, ttl=self._ttl, now=now)
        self._held_from(asked)
        return self._fence is not None

    def _held_from(self, asked: float) -> None:
        # A fifth is the margin: this process stops before the store gives the lease away.
        self._good_until = asked + self._ttl.total_seconds() * 0.8
