"""Fires each schedule once for each account, however often the process starts.

The next time stands in the store and moves in the same transaction that records the tick.
`routing.schedules` has the rules for missed times.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from botkit.errors import StoreUnavailable
from botkit.model.records import ScheduleRow
from botkit.runtime.intake.inbox import job_of, row_of
from botkit.waiting.events import event_or_timeout
from botkit.waiting.store_outage import EVERY_SECOND, StoreOutage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from botkit.model.records import Fence
    from botkit.ports import Clock, Store
    from botkit.routing.schedules import Schedule
    from botkit.runtime.intake.inbox import Taker
    from botkit.waiting.proven_time import ProvenTime

__all__ = ["Scheduler"]

_log = structlog.get_logger(__name__)

_SOURCE = "schedule"
_LONGEST_WAIT_S = 60.0
"""However far the next time is: the wall clock may jump, so it is looked at again."""
_SLACK = timedelta(seconds=1)
_UNPROVEN_S = 1.0
"""The wait before looking again at a tick missed before the start, until X's time is known."""


class Scheduler:
    """Fire the schedules of all accounts.

    Args:
        proven: The clock by which ticks from before the start are fired.
    """

    def __init__(
        self,
        schedules: Sequence[Schedule],
        accounts: Sequence[str],
        *,
        store: Store,
        clock: Clock,
        taker: Taker,
        fence: Callable[[], Fence],
        proven: ProvenTime,
    ) -> None:
        self._proven = proven
        self._schedules = schedules
        self._accounts = list(accounts)
        self._progress = store.progress
        self._clock = clock
        self._taker = taker
        self._fence = fence
        self._next: dict[tuple[str, str], tuple[datetime, timedelta]] = {}
        """By account and schedule: the planned time, and how much later it fires."""
        self._added = asyncio.Event()
        self._outage = StoreOutage(_log, "ticks", clock=clock, ladder=EVERY_SECOND)

    async def load(self) -> None:
        """Read the planned times; plan a schedule anew that is new or was changed.

        Raises:
            StoreUnavailable: Nothing is known yet.
        """
        for account_id in self._accounts:
            await self._load(account_id)

    async def add(self, account_id: str) -> None:
        """Fire the schedules for one more account from now on.

        Raises:
            StoreUnavailable: They are not fired for it.
        """
        if account_id not in self._accounts:
            await self._load(account_id)
            self._accounts.append(account_id)
            self._added.set()

    async def _load(self, account_id: str) -> None:
        now = self._clock.now()
        rows = {row.id: row for row in await self._progress.schedules(account_id)}
        for schedule in self._schedules:
            names = (schedule.name, *schedule.was)
            row = next((rows[name] for name in names if name in rows), None)
            if row is None or not schedule.is_in_words(row.spec):
                next_at = schedule.first_after(now)
            else:
                next_at = row.next_at
            plan = _planned(schedule, account_id, next_at)
            if plan != row:
                await self._progress.fire(plan, (), fence=self._fence())
            self._plan(schedule, account_id, next_at)

    async def run(self) -> None:
        """Fire ticks as they become due, until cancelled. Call `load` first."""
        while True:
            self._added.clear()
            try:
                for account_id in self._accounts:
                    for schedule in self._schedules:
                        await self._look_at(schedule, account_id)
            except StoreUnavailable as error:
                await self._outage.wait(error)
                continue
            self._outage.end()
            soonest = min((at + later for at, later in self._next.values()), default=None)
            await event_or_timeout(self._added, self._wait_s(soonest), clock=self._clock)

    def _plan(self, schedule: Schedule, account_id: str, next_at: datetime) -> None:
        later = schedule.delay(next_at, account_id=account_id)
        self._next[account_id, schedule.name] = next_at, later

    def _now(self) -> datetime:
        return self._proven.now() or self._clock.now()

    def _wait_s(self, soonest: datetime | None) -> float:
        if soonest is None:
            return _LONGEST_WAIT_S
        left_s = (soonest - self._now()) / timedelta(seconds=1)
        return min(left_s, _LONGEST_WAIT_S) if left_s > 0 else _UNPROVEN_S

    async def _look_at(self, schedule: Schedule, account_id: str) -> None:
        now, place = self._now(), (account_id, schedule.name)
        planned, later = self._next[place]
        if planned > now:
            # The wall clock went back: go by what it says now. A time that was fired already
            # falls out as a duplicate.
            soonest = schedule.first_after(now)
            if planned > soonest + _SLACK:
                self._plan(schedule, account_id, soonest)
            return
        if planned + later > now or not self._proven.has_come(planned + later):
            return
        while planned + later <= now:
            due = schedule.due(planned, now=now - later)
            await self._fire(schedule, account_id, due.times, due.next_at)
            planned, later = self._next[place]

    async def _fire(
        self, schedule: Schedule, account_id: str, times: Sequence[datetime], next_at: datetime
    ) -> None:
        ticks = [schedule.tick(at, account_id=account_id) for at in times]
        rows = [row_of(tick, account_id, _SOURCE) for tick in ticks]
        plan = _planned(schedule, account_id, next_at)
        seqs = await self._progress.fire(plan, rows, fence=self._fence())
        self._plan(schedule, account_id, next_at)
        if not times:
            _log.warning("ticks.skipped", schedule=schedule.name)
        self._taker.offer(
            job_of(row, tick, seq)
            for row, tick, seq in zip(rows, ticks, seqs, strict=True)
            if seq is not None
        )


def _planned(schedule: Schedule, account_id: str, next_at: datetime) -> ScheduleRow:
    return ScheduleRow(
        id=schedule.name, account_id=account_id, spec=schedule.in_words, next_at=next_at
    )
