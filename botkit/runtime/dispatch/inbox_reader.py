"""Holds the due events of the inbox in memory: new ones as they come, others from the store.

Memory is bounded. Once an event was left in the store for lack of room, all later ones are left
there too until it has been read, so that the order within a lane stays.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from botkit.errors import StoreUnavailable
from botkit.runtime.dispatch.shares import Shares
from botkit.runtime.intake.lanes import Job
from botkit.waiting.events import event_or_timeout, seconds_until
from botkit.waiting.store_outage import EVERY_SECOND, StoreOutage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from botkit.model.records import InboxItem
    from botkit.ports import Clock, Store
    from botkit.waiting.proven_time import ProvenTime

__all__ = ["InboxReader"]

_log = structlog.get_logger(__name__)

_PAGE = 500
_SHARES = 4
_LONGEST_WAIT_S = 60.0
"""However long nothing is due: the wall clock may jump, so it is looked at again."""
_UNPROVEN_S = 1.0
_FEW = 64
_FOR_LATER = frozenset({"emit", "post"})
"""The sources of events that are asked for at a later time."""
_MOMENT_S = 0.05


class InboxReader:
    """Hand due events to the dispatcher, each only once at a time.

    Args:
        take: Called with each job that is read into memory, in order of `seq` for each owner.
        owner_of: Returns a job's owner: one owner's events fill a quarter of the memory at most.
        capacity: The most events in memory.
        crowd: The number of events in memory from which on sources must wait a moment.
        proven: The clock that decides when a signal emitted for later is due.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        take: Callable[[Job], None],
        owner_of: Callable[[Job], str],
        capacity: int = 2000,
        crowd: int = 1500,
        proven: ProvenTime,
    ) -> None:
        self._proven = proven
        self._events = store.events
        self._clock = clock
        self._take = take
        self._capacity = capacity
        self._held: set[int] = set()
        self._shares = Shares(max(capacity // _SHARES, 1), owner_of)
        self._released: set[int] | None = None
        self._unread_after: int | None = 0
        self._overflowed = True
        self._next: datetime | None = None
        self._woken = asyncio.Event()
        self._calm = asyncio.Event()
        self._crowded = max(min(capacity * 3 // 4, crowd), 2)
        self._room = asyncio.Event()
        self._in_vain = False
        self._outage = StoreOutage(_log, "inbox", clock=clock, ladder=EVERY_SECOND)

    @property
    def held(self) -> int:
        """Return how many events are in memory: waiting, running or about to be stored as done."""
        return len(self._held)

    @property
    def overflowed(self) -> bool:
        """Return True if events were left in the store for lack of room."""
        return self._overflowed

    @property
    def has_room(self) -> bool:
        """Return True if so few events are held that reading the store costs little."""
        return len(self._held) < _FEW

    @property
    def idle(self) -> bool:
        """Return True if no event is held and no due event is left in the store."""
        unread = self._unread_after is not None or self._released is not None
        return not (self._held or unread or self._shares.left)

    async def wait_idle(self) -> None:
        """Wait until no event is held and no due event is left in the store."""
        while not self.idle:
            self._calm.clear()
            await self._calm.wait()

    def offer(self, jobs: Iterable[Job]) -> None:
        """Hold these jobs, which have just been recorded, or leave them in the store."""
        held = self._held
        for job in jobs:
            if job.seq in held:
                continue
            if self._overflowed or len(held) >= self._capacity:
                self._leave_unread(job.seq - 1)
                self._overflowed = True
                continue
            if not self._shares.is_left(job.seq) and self._shares.admit(job):
                held.add(job.seq)
                self._take(job)

    def holds_back(self, account_id: str, lane: str) -> bool:
        """Return True if an earlier event of that lane stays in the store: its author has many."""
        return self._shares.holds_back(account_id, lane)

    async def let_catch_up(self) -> None:
        """Wait until there is room for more events, but only a moment.

        An event in memory costs less than one that is read again from the store. But a source
        never waits for slow handlers: after one wait in vain it does not wait again until there
        was room.
        """
        if len(self._held) < self._crowded or self._in_vain:
            return
        self._room.clear()
        self._in_vain = not await event_or_timeout(self._room, _MOMENT_S, clock=self._clock)

    def release(self, job: Job) -> None:
        """Stop holding an event that is done, or that waits in the store."""
        self._held.discard(job.seq)
        if self._shares.release(job.seq):
            self._woken.set()
        if self._released is not None:
            self._released.add(job.seq)
        if self._overflowed and len(self._held) <= self._capacity // 2:
            self._woken.set()
        if len(self._held) < self._crowded // 2:
            self._room.set()
            self._in_vain = False
            if not self._held:
                self._calm.set()

    def rescan(self) -> None:
        """Read the store again from the start: an event may have become due."""
        self._leave_unread(0)
        self._woken.set()

    def later(self, when: datetime) -> None:
        """Read the store again at that time: an event becomes due."""
        if when <= self._clock.now():
            self.rescan()
        else:
            self._wake_at(when)
            self._woken.set()

    async def run(self) -> None:
        """Read what is due as it becomes due and as there is room, until cancelled."""
        while True:
            self._woken.clear()
            try:
                await self._read()
            except StoreUnavailable as error:
                self.rescan()
                await self._outage.wait(error)
                continue
            if self.idle:
                self._calm.set()
            wait_s = seconds_until(self._next, clock=self._clock, most_s=_LONGEST_WAIT_S)
            self._waited(woken=await event_or_timeout(self._woken, wait_s, clock=self._clock))

    def _waited(self, *, woken: bool) -> None:
        """Read again unless an event ended the wait."""
        if not woken:
            self._next = None  # the reading that follows learns it anew
            self.rescan()

    def _wake_at(self, when: datetime) -> None:
        self._next = when if self._next is None else min(when, self._next)

    def _leave_unread(self, after: int) -> None:
        unread = self._unread_after
        self._unread_after = after if unread is None else min(unread, after)

    async def _read(self) -> None:
        while self._unread_after is not None and len(self._held) < self._capacity:
            after, self._unread_after = self._unread_after, None
            self._released = set()
            self._next = None  # `later` may know of more while the page is read
            try:
                page = await self._events.due(self._clock.now(), after_seq=after, limit=_PAGE)
            except BaseException:
                self._leave_unread(after)
                raise
            finally:
                released, self._released = self._released, None
            self._outage.end()
            if page.next_at is not None:
                self._wake_at(page.next_at)
            self._hold(page.items, released)
        if self._unread_after is None:
            self._overflowed = False
        while len(self._held) < self._capacity and (behind := self._shares.next()) is not None:
            owner, after = behind
            page = await self._events.due(self._clock.now(), after_seq=after, limit=_PAGE)
            is_last, room = len(page.items) < _PAGE, self._capacity - len(self._held)
            for item in self._shares.take_back(owner, page.items, is_last=is_last, room=room):
                self._held.add(item.seq)
                self._take(Job.from_item(item))

    def _hold(self, items: list[InboxItem], released: set[int]) -> None:
        for item in items:
            known = item.seq in self._held or self._shares.is_left(item.seq)
            if known or item.seq in released:
                continue  # what was released meanwhile is not what this reading shows any more
            if self._is_early(item):
                continue
            if len(self._held) >= self._capacity:
                self._leave_unread(item.seq - 1)
                self._overflowed = True
                return
            job = Job.from_item(item)
            if self._shares.admit(job):
                self._held.add(item.seq)
                self._take(job)
        if len(items) == _PAGE:
            self._leave_unread(items[-1].seq)

    def _is_early(self, item: InboxItem) -> bool:
        """Return True for what is due by the wall clock only: a signal, a post asked for later.

        It is looked at again soon.
        """
        when = item.not_before
        if when is None or item.source not in _FOR_LATER or item.attempts or item.waiting_for:
            return False
        if self._proven.has_come(when):
            return False
        wait_s = _LONGEST_WAIT_S if self._proven.is_seen.is_set() else _UNPROVEN_S
        self._wake_at(self._clock.now() + timedelta(seconds=wait_s))
        return True
