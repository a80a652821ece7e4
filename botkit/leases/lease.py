"""A lease: a role, or the lock of one login, that one process of a store holds at a time.

The holder measures the lease's age on its own steady clock, and stops writing before the store
would give the lease away. Every write carries the lease's epoch; the store refuses an old epoch.
Source: docs/explanation/requirements.md, "Writes", F10, F12 and S7.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from botkit.errors import LeaseLost, StateError, StoreUnavailable
from botkit.leases.owner import in_words
from botkit.waiting.backoff import Ladder
from botkit.waiting.store_outage import StoreOutage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from botkit.leases.owner import Lives
    from botkit.model.records import Fence
    from botkit.ports import Clock, Store

__all__ = ["Lease"]

_log = structlog.get_logger(__name__)

_LOOK_AGAIN_S = 0.5


class Lease:
    """Hold a role for this process, or wait for it.

    Args:
        owner: The name of this process; another process shows it when it finds the lease taken.
        lives: Returns whether the process of a given name is alive, None if that cannot be known.
            Without an answer, this process waits until the lease of a killed process runs out.
        patient: Never take the lease from a process that is seen to live, not even if that
            process was paused until its lease ran out.
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
        lives: Lives | None = None,
        patient: bool = False,
    ) -> None:
        self._leases = store.leases
        self._clock = clock
        self._owner = owner
        self._name = name
        self._ttl = timedelta(seconds=ttl_s)
        self._renew_s = renew_s
        self._lives = lives
        self._patient = patient
        self._fence: Fence | None = None
        self._asked_s = 0.0
        self.rival: str = ""
        """The process that held the lease at the last try; "" if none did."""
        self._rival_lives: bool | None = None

    def fence(self) -> Fence:
        """Return the proof of the lease, for a write that happens now.

        Raises:
            StoreUnavailable: The lease could not be renewed in time; a later renewal may succeed.
            LeaseLost: The lease was never taken, or was given back.
        """
        fence = self._held()
        if not self.is_good:
            raise StoreUnavailable(f"The lease `{self._name}` could not be renewed in time.")
        return fence

    @property
    def last_fence(self) -> Fence | None:
        """The proof, even if the lease may have run out; the store then decides about the write.

        None if the lease was never taken, or was given back.
        """
        return self._fence

    @property
    def is_good(self) -> bool:
        """True if this process holds the lease and no other process can have taken it yet."""
        # The last fifth is a margin: this process stops before the store gives the lease away.
        return self._fence is not None and self.age_s < self._ttl.total_seconds() * 0.8

    @property
    def age_s(self) -> float:
        """The seconds since this process asked for the last acquisition or renewal it got."""
        return self._clock.monotonic() - self._asked_s

    async def try_acquire(self) -> bool:
        """Take the lease; return False if a process that may be alive holds it (see `rival`)."""
        if await self._take():
            return True
        self.rival = await self._leases.holder(self._name) or ""
        self._rival_lives = None
        if self.rival and self._lives is not None:
            self._rival_lives = await self._lives(self.rival)
        return self._rival_lives is False and await self._take(ended=self.rival)

    async def acquire(self) -> None:
        """Take the lease; wait for it until the lease of a killed process would have run out.

        Raises:
            LeaseLost: Another process holds it and is alive.
        """
        give_up_s = self._clock.monotonic() + self._ttl.total_seconds() + 2 * _LOOK_AGAIN_S
        said = False
        while not await self.try_acquire():
            if self._rival_lives or self._clock.monotonic() >= give_up_s:
                rival = in_words(self.rival) if self.rival else "another process"
                raise LeaseLost(
                    f"{rival[0].upper()}{rival[1:]} runs a bot on this store.",
                    hint="Stop it first, or give this one a store of its own.",
                )
            if not said:
                _log.info("lease.awaited", lease=self._name, holder=self.rival)
                said = True
            await self._clock.sleep(_LOOK_AGAIN_S)

    async def keep(self) -> None:
        """Renew the lease until it is given back.

        Raises:
            LeaseLost: Another process took it.
        """
        every = Ladder(steps_s=(self._renew_s,))
        outage = StoreOutage(_log, f"lease {self._name}", clock=self._clock, ladder=every)
        await self._clock.sleep(self._renew_s)
        while self._fence is not None:
            try:
                await self.renew()
            except LeaseLost:
                if self.last_fence is not None:
                    raise
                return  # this process gave the lease back during the renewal
            except StoreUnavailable as error:
                await outage.wait(error)
            else:
                outage.end()
                await self._clock.sleep(self._renew_s)

    @asynccontextmanager
    async def kept(self) -> AsyncGenerator[None]:
        """Renew the lease while the block runs, and give it back afterwards.

        A lost lease or a failing store raises nothing here, so that the block can finish work
        that must not be cut off. The block checks `fence` or `age_s` before each step that
        depends on the lease.
        """
        # Not in a task group, which would cancel the block when the lease is lost.
        renewing = asyncio.get_running_loop().create_task(self._keep_on())
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.wait([renewing])
            with suppress(StateError):  # if it cannot be released, the lease expires by itself
                await self.release()

    async def renew(self) -> None:
        """Extend the lease. Raise `LeaseLost` if another process took it."""
        fence = self._held()
        asked_s = self._clock.monotonic()
        await self._leases.renew(fence, ttl=self._ttl)
        self._asked_s = asked_s

    async def release(self) -> None:
        """Give the lease back; its fence is refused afterwards."""
        fence, self._fence = self._fence, None
        if fence is not None:
            await self._leases.release(fence)

    def abandon(self) -> None:
        """Forget the lease without giving it back, as a killed process does."""
        self._fence = None

    async def _keep_on(self) -> None:
        try:
            await self.keep()
        except LeaseLost as lost:
            _log.warning("lease.lost", lease=self._name, why=lost.message)

    def _held(self) -> Fence:
        if self._fence is None:
            raise LeaseLost(f"This process does not hold the lease `{self._name}`.")
        return self._fence

    async def _ask(self, ended: str) -> Fence | None:
        return await self._leases.acquire(
            self._name, self._owner, ttl=self._ttl, ended=ended, patient=self._patient
        )

    async def _take(self, *, ended: str = "") -> bool:
        asked_s = self._clock.monotonic()
        try:
            self._fence = await self._ask(ended)
        except asyncio.CancelledError:
            # The store may still grant the cancelled call, and nothing would end that lease:
            # acquire it again and give it back.
            with suppress(StateError):
                self._fence = await self._ask(ended)
                await self.release()
            raise
        self._asked_s = asked_s
        return self._fence is not None
