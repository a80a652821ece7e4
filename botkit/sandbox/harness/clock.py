"""Simulate time and randomness for a sandbox, both the same in each run.

Nothing waits for real on a `VirtualClock`: `advance` wakes sleepers, and so does the sandbox's
`settle`, which jumps from one sleeper to the next. Before time moves, every task of the loop runs
until it waits, so that a run is the same each time.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import itertools
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

__all__ = ["START", "SeededEntropy", "VirtualClock"]

START = datetime(2025, 12, 11, 12, 0, tzinfo=UTC)
"""The moment at which virtual time starts; ids made in the first days begin with 1999."""

_CALM_TURNS = 3
_MOMENT_S = 0.001


class _Timer:
    """Hold a moment and the function to call then; `call` is None if the timer is cancelled."""

    __slots__ = ("call", "number", "when")

    def __init__(self, when: float, number: int, call: Callable[[], None]) -> None:
        self.when = when
        self.number = number
        self.call: Callable[[], None] | None = call

    def __lt__(self, other: _Timer) -> bool:
        return (self.when, self.number) < (other.when, other.number)


class VirtualClock:
    """Implement `ports.Clock` with time that a test moves. A clock belongs to one event loop."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._elapsed = 0.0
        self._timers: list[_Timer] = []
        self._numbers = itertools.count()
        self._in_flight = 0
        self._landed: list[asyncio.Future[None]] = []
        self._watchers: set[asyncio.Task[object] | None] = set()

    def now(self) -> datetime:
        """Return the virtual wall clock's time, in UTC."""
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Return the virtual seconds since the start."""
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        """Wait until virtual time has moved that far; for 0 seconds, wait one turn of the loop."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self._call_at(self._elapsed + seconds, lambda: _wake(woken))
        try:
            await woken
        finally:
            timer.call = None

    @asynccontextmanager
    async def timeout(self, seconds: float | None) -> AsyncGenerator[asyncio.Timeout]:
        """Cancel the block after that much virtual time, raising `TimeoutError`."""
        async with asyncio.timeout(None) as scope:
            if seconds is None:
                yield scope
                return
            due = self._elapsed + max(seconds, 0.0)
            timer = self._call_at(due, lambda: scope.reschedule(0.0))
            try:
                yield scope
            finally:
                timer.call = None

    def next_timer(self) -> float | None:
        """Return the virtual seconds until the next timer is due; None if there is none."""
        while self._timers and self._timers[0].call is None:
            heapq.heappop(self._timers)
        return max(self._timers[0].when - self._elapsed, 0.0) if self._timers else None

    def jump(self) -> bool:
        """Move to the next timer's time and fire all timers due; return False if there is none."""
        wait = self.next_timer()
        if wait is None:
            return False
        self._elapsed = max(self._elapsed, self._timers[0].when)
        while (left := self.next_timer()) is not None and left <= 0:
            call = heapq.heappop(self._timers).call
            if call is not None:
                call()
        return True

    async def move(self, *, tries: int) -> bool:
        """Move to the next timer's time; return False if there is none and no try is left.

        Without a timer a real millisecond passes: a task may wait for the real world.
        """
        if self.jump():
            return True
        await asyncio.sleep(_MOMENT_S)
        return tries > 0

    async def advance(self, span: timedelta | float) -> None:
        """Move time on by `span`, stopping at each timer until every task waits again.

        A number is in seconds.
        """
        seconds = span.total_seconds() if isinstance(span, timedelta) else span
        end = self._elapsed + seconds
        await self.at_rest()
        while (wait := self.next_timer()) is not None and self._elapsed + wait <= end:
            self.jump()
            await self.at_rest()
        self._elapsed = max(self._elapsed, end)

    async def stand_still(self, span: timedelta | float) -> None:
        """Let time pass as on a sleeping machine: timers that become due fire late, when it wakes.

        A number is in seconds.
        """
        await self.at_rest()
        self._elapsed += span.total_seconds() if isinstance(span, timedelta) else span
        while (wait := self.next_timer()) is not None and wait <= 0:
            self.jump()
            await self.at_rest()

    def set(self, now: datetime) -> None:
        """Set the wall clock, as on a machine whose clock jumps; no timer fires."""
        self._start = now - timedelta(seconds=self._elapsed)

    @contextmanager
    def working(self) -> Generator[None]:
        """Keep time from moving inside the block: a thread or a disk is at work."""
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                landed, self._landed = self._landed, []
                for waiting in landed:
                    _wake(waiting)

    async def at_rest(self) -> None:
        """Wait, without moving time, until every other task of the loop waits for something.

        The work of a thread counts if a `working` block encloses it.
        """
        me = asyncio.current_task()
        self._watchers.add(me)
        try:
            calm = 0
            while calm < _CALM_TURNS:
                await self._turn()
                calm = calm + 1 if self._all_blocked() else 0
        finally:
            self._watchers.discard(me)

    async def _turn(self) -> None:
        await asyncio.sleep(0)
        while self._in_flight:
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._landed.append(waiting)
            await waiting

    def _all_blocked(self) -> bool:
        if self._in_flight:
            return False
        # With no callback to run, no task can run; that is known without a look at each of them.
        if not getattr(asyncio.get_running_loop(), "_ready", True):
            return True
        others = asyncio.all_tasks() - self._watchers
        return all(_is_blocked(task) for task in others)

    def _call_at(self, when: float, call: Callable[[], None]) -> _Timer:
        timer = _Timer(when, next(self._numbers), call)
        heapq.heappush(self._timers, timer)
        return timer


class SeededEntropy:
    """Implement `ports.Entropy` with the same numbers in each run. For simulated worlds only."""

    def __init__(self, seed: str = "sandbox") -> None:
        self._seed = seed.encode()
        self._count = 0

    def token_bytes(self, size_bytes: int) -> bytes:
        """Return bytes that look random."""
        self._count += 1
        mix = hashlib.shake_256(self._seed + self._count.to_bytes(8, "big"))
        return mix.digest(size_bytes)

    def uniform(self, low: float, high: float) -> float:
        """Return a number from `low` to `high`."""
        return low + (high - low) * int.from_bytes(self.token_bytes(7), "big") / 2**56


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


def _is_blocked(task: asyncio.Task[object]) -> bool:
    # asyncio has no public way to tell what a task waits for. anyio reads this attribute, too.
    waiter = getattr(task, "_fut_waiter", None)
    return waiter is not None and not waiter.done()
