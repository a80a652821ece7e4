"""Slots, in each of which one handler runs, and the deadlines that end slow handlers.

One task watches all deadlines, so that a handler that is done quickly costs no timer.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

import structlog

from botkit.waiting.events import event_or_timeout

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from botkit.errors import Parked
    from botkit.ports import Clock
    from botkit.runtime.dispatch.turns import Place, Turns
    from botkit.runtime.intake.lanes import Job
    from botkit.runtime.writes.actions import EventActions

__all__ = ["Deadlines", "Slot"]

_log = structlog.get_logger(__name__)

_INSIST_S = 1.0
_INSISTS = 3
"""A handler that swallows its cancellation is told so often, then its slot is replaced."""


class Slot:
    """Hold the state of one worker: the handler that runs there now, and its time limit.

    Attributes:
        limit_s: The handler's time limit in seconds.
        cancels: The number of times that the deadline cancelled the task of this run.
        lost: True if the handler did not end in time, and the runtime no longer waits for it.
        parked: The reason why a step has to wait, even if the handler caught the exception.
    """

    __slots__ = (
        "_turns",
        "actions",
        "cancels",
        "deadline",
        "handler",
        "job",
        "limit_s",
        "lost",
        "parked",
        "task",
    )

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None
        self.job: Job | None = None
        self.handler: str = ""
        self.actions: EventActions | None = None
        self.deadline: float = math.inf
        self.limit_s: float = math.inf
        self.cancels: int = 0
        self.lost: bool = False
        self.parked: Parked | None = None
        self._turns: tuple[Turns, Sequence[Place]] | None = None

    @property
    def worker(self) -> asyncio.Task[None]:
        """The task that runs the handler."""
        assert self.task is not None
        return self.task

    def begin(self, handler: str) -> None:
        """Note that a handler starts here."""
        self.handler = handler
        self.actions = None
        self.parked = None

    def end_actions(self) -> EventActions | None:
        """Close and return the actions of a handler that has ended, None if it had none."""
        actions, self.actions = self.actions, None
        if actions is not None:
            actions.close()
            self.parked = actions.parked
        return actions

    async def take_turns(self, turns: Turns, places: Sequence[Place]) -> None:
        """Wait until this handler may hold its pieces of state."""
        await turns.take(places)
        self._turns = turns, places

    def end_turns(self) -> None:
        """Let the next handler hold what this one held."""
        held, self._turns = self._turns, None
        if held is not None:
            turns, places = held
            turns.leave(places)

    def settle(self) -> bool:
        """Take back the deadline's cancellations; return True if there were any."""
        self.deadline = math.inf
        cancels, self.cancels = self.cancels, 0
        for _ in range(cancels):
            self.worker.uncancel()
        return bool(cancels)


class Deadlines:
    """Cancels the handlers that run over their time.

    Args:
        on_lost: Awaited with a slot whose handler did not end although it was cancelled.
    """

    def __init__(self, clock: Clock, *, on_lost: Callable[[Slot], Awaitable[None]]) -> None:
        self._clock = clock
        self._on_lost = on_lost
        self._next = math.inf
        self._woken = asyncio.Event()

    def start(self, slot: Slot, timeout_s: float | None) -> None:
        """Give the slot's handler that many seconds from now on; None is no limit."""
        if timeout_s is None:
            return
        slot.limit_s = timeout_s
        slot.deadline = self._clock.monotonic() + timeout_s
        if slot.deadline < self._next:
            self._next = slot.deadline
            self._woken.set()

    async def run(self, slots: Iterable[Slot]) -> None:
        """Watch these slots until cancelled; the collection may change meanwhile."""
        while True:
            self._woken.clear()
            wait_s = await self._expire_due(slots)
            await event_or_timeout(self._woken, wait_s, clock=self._clock)

    async def _expire_due(self, slots: Iterable[Slot]) -> float | None:
        """Cancel handlers that are over their time; return the seconds to the next deadline."""
        now = self._clock.monotonic()
        if now >= self._next:  # not before: handlers that end in time cost nothing here
            for slot in [slot for slot in slots if slot.deadline <= now]:
                await self._expire(slot, now)
            self._next = min((slot.deadline for slot in slots), default=math.inf)
        return None if self._next == math.inf else self._next - now

    async def _expire(self, slot: Slot, now: float) -> None:
        if slot.cancels >= _INSISTS:
            slot.deadline = math.inf
            slot.lost = True
            slot.end_actions()
            slot.end_turns()
            _log.error("handler.stuck", handler=slot.handler)
            await self._on_lost(slot)
        else:
            slot.cancels += 1
            slot.deadline = now + _INSIST_S
            slot.worker.cancel("its time is over")
