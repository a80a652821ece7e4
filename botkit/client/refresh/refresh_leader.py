"""Which process of a store may open refresh tokens and spend them: the keeper of the logins.

A running bot takes the role by the lease `keeper` and stays in it; a command that has to refresh
takes it for that long, and finds it taken while a bot runs. Whoever is not the keeper gives out
access tokens, and waits for the keeper's next one.
Source: docs/explanation/requirements.md, "The refresh of a login", *Keeper*.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Protocol

import structlog

from botkit.errors import LeaseLost, StateError, StoreUnavailable
from botkit.leases.lease import Lease
from botkit.waiting.backoff import Ladder
from botkit.waiting.store_outage import StoreOutage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from botkit.client.refresh.refresh_lock import Tenure
    from botkit.leases.owner import Lives
    from botkit.ports import Clock, Store

__all__ = ["Alone", "LeaderRole", "LeasedRole", "NeverLeader"]

_log = structlog.get_logger(__name__)

_LOOK_AGAIN = Ladder(steps_s=(2.0,))


class LeaderRole(Protocol):
    """Whether this process is the keeper."""

    @property
    def can_be_had(self) -> bool:
        """Whether this process may ever be it."""
        ...

    def __call__(self) -> AbstractAsyncContextManager[bool]:
        """Be the keeper within the block; False when another process is, or this one never is.

        Raises:
            StoreUnavailable: It cannot be known now.
        """
        ...

    async def stay(self, on_taken: Callable[[], Awaitable[None]]) -> None:
        """Stay in the role, or wait for it, until cancelled; `on_taken` at each time it is had."""
        ...

    async def close(self) -> None:
        """Give it back."""
        ...


class Alone:
    """The role where no other process is: always had."""

    can_be_had = True

    @asynccontextmanager
    async def __call__(self) -> AsyncGenerator[bool]:
        """See `LeaderRole`."""
        yield True

    async def stay(self, on_taken: Callable[[], Awaitable[None]]) -> None:
        """See `LeaderRole`."""

    async def close(self) -> None:
        """See `LeaderRole`."""


class NeverLeader(Alone):
    """The role of a process that shall not refresh."""

    can_be_had = False

    @asynccontextmanager
    async def __call__(self) -> AsyncGenerator[bool]:
        """See `LeaderRole`."""
        yield False


class LeasedRole:
    """The role by the lease `keeper` of a store."""

    can_be_had = True

    def __init__(
        self, store: Store, clock: Clock, *, owner: str, lives: Lives, tenure: Tenure
    ) -> None:
        self._clock = clock
        self._tenure = tenure
        self._lease = Lease(
            store,
            clock,
            owner=owner,
            name="keeper",
            ttl_s=tenure.ttl_s,
            renew_s=tenure.renew_s,
            lives=lives,
        )
        self._turn = asyncio.Lock()
        self._users = 0
        self._is_new = False
        self._kept = AsyncExitStack()

    @asynccontextmanager
    async def __call__(self) -> AsyncGenerator[bool]:
        """See `LeaderRole`."""
        keeps = await self._enter()
        try:
            yield keeps
        finally:
            if keeps:
                await self._leave()

    async def stay(self, on_taken: Callable[[], Awaitable[None]]) -> None:
        """See `LeaderRole`. What was taken before counts as known."""
        if not self._tenure.stays:
            return  # taken for each refresh
        self._is_new = False
        outage = StoreOutage(
            _log, "lease of the refresh leader", clock=self._clock, ladder=_LOOK_AGAIN
        )
        while True:
            try:
                await self._renew_or_take(on_taken)
            except LeaseLost as lost:
                self._lease.abandon()
                _log.warning("refresh_leader.deposed", why=lost.message)
            except StoreUnavailable as error:
                await outage.wait(error)
                continue
            outage.end()
            held = self._lease.is_good
            await self._clock.sleep(self._tenure.renew_s if held else _LOOK_AGAIN.cap_s)

    async def _renew_or_take(self, on_taken: Callable[[], Awaitable[None]]) -> None:
        if self._lease.is_good:
            await self._lease.renew()
        else:
            async with self():
                pass
        if self._is_new:
            self._is_new = False
            _log.info("refresh_leader.elected")
            await on_taken()

    async def close(self) -> None:
        """See `LeaderRole`."""
        await self._kept.aclose()
        with suppress(StateError):  # then it runs out
            await self._lease.release()

    async def _enter(self) -> bool:
        async with self._turn:
            if not self._lease.is_good:
                if not await self._lease.try_acquire():
                    return False
                self._is_new = True
                if not self._users and not self._tenure.stays:
                    await self._kept.enter_async_context(self._lease.kept())
            self._users += 1
            return True

    async def _leave(self) -> None:
        async with self._turn:
            self._users -= 1
            if not self._users and not self._tenure.stays:
                await self._kept.aclose()
