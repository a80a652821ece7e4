"""The refresh leader: the one process of a store that may open refresh tokens and send them.

A running bot takes this role by the lease `keeper` and stays in it. A command takes the role for
one refresh, unless a running bot holds it. A process without the role uses the stored access
tokens, and waits until the leader has stored the next one.
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
    """The role of the refresh leader, as one process sees it."""

    @property
    def can_be_had(self) -> bool:
        """Return True if this process may ever hold the role."""
        ...

    def __call__(self) -> AbstractAsyncContextManager[bool]:
        """Hold the role inside the block; yield False if another process does or this one may not.

        Raises:
            StoreUnavailable: The store cannot tell which process holds the role.
        """
        ...

    async def stay(self, on_taken: Callable[[], Awaitable[None]]) -> None:
        """Stay in the role, or wait for it, until cancelled. Await `on_taken` after taking it."""
        ...

    async def close(self) -> None:
        """Give the role back."""
        ...


class Alone:
    """The role of a process that shares its store with no other: always held."""

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
    """Refuse the role, in a process that must not refresh."""

    can_be_had = False

    @asynccontextmanager
    async def __call__(self) -> AsyncGenerator[bool]:
        """See `LeaderRole`."""
        yield False


class LeasedRole:
    """Hold the role by the lease `keeper` of the store."""

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
        """See `LeaderRole`. Do not await `on_taken` for a role that was taken before this call."""
        if not self._tenure.stays:
            return  # a command takes the role for each refresh
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
                outage.say(error)
            else:
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
        with suppress(StateError):  # if it cannot be released, the lease expires by itself
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
            if not self._users:
                await self._kept.aclose()
