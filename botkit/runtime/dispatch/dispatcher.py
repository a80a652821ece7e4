"""The dispatcher: events from the inbox into their lanes, and from there into handlers.

In order within a lane, parallel across lanes, in a bounded number of slots. Before handlers
start, the store is told which (a batch at a time), so that an event that takes the process down
is found out. An event that waits, or is tried again later, leaves its lane, which goes on.
Source: docs/explanation/requirements.md, "Intake".
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import Counter, deque
from typing import TYPE_CHECKING, Any

import structlog

from botkit.errors import StateError, UndecodableEvent
from botkit.model.records import RunParked
from botkit.runtime.dispatch.done_batch import DoneBatch
from botkit.runtime.dispatch.inbox_reader import InboxReader
from botkit.runtime.dispatch.runs import Runs
from botkit.runtime.dispatch.workers import Deadlines, Slot
from botkit.runtime.intake.enrichment import Enrichment, is_incomplete
from botkit.runtime.intake.lanes import Lanes, author_of
from botkit.waiting.events import event_or_timeout

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence

    from botkit.model.records import RunEnd
    from botkit.ports import Entropy
    from botkit.routing.wiring import Wiring
    from botkit.runtime.dispatch.run_ends import Ended
    from botkit.runtime.intake.enrichment import Lookup
    from botkit.runtime.intake.lanes import Job
    from botkit.runtime.writes.actions import Services
    from botkit.runtime.writes.opt_outs import OptOuts

__all__ = ["Dispatcher"]

_log = structlog.get_logger(__name__)

_UNCLEAN_ENDS = 2
_SUSPECTS = 4
"""So many events run at a time of which one may have ended the process."""
_HELD_SLOTS = 3
"""So many times the slots are held before a source waits: more only fill the processor's cache."""
_TURNS = 2
"""After so many turns of the loop the handlers that were about to start have started."""
_HUNG_S = 20.0
"""Handlers count as hung once all slots have been busy for this long and none became free."""
_GRACE_S = 1.0
"""How long a cancelled handler may take to end."""


class Dispatcher:
    """Takes due events from the inbox and runs their handlers.

    Args:
        given: Returns, for an account, the values that handlers may ask for by exact type.
        lookup: Looks up users and posts that a delivery only named by id.
        spawn: Starts a worker: a task that runs author's code and need not end when cancelled.
        slots: How many handlers run at the same time at most.
        capacity: How many events are held in memory at most.
    """

    def __init__(
        self,
        *,
        wiring: Wiring,
        services: Services,
        opt_outs: OptOuts,
        entropy: Entropy,
        given: Callable[[str], Mapping[Any, Any]],
        lookup: Lookup,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        redact: Callable[[str], str],
        on_ended: Callable[[Ended], None] | None = None,
        slots: int = 128,
        capacity: int = 2000,
    ) -> None:
        self.opt_outs: OptOuts = opt_outs
        self._store = services.store
        self._clock = services.clock
        self._fence = services.fence
        self._spawn = spawn
        self._free, self._full_since_s = slots, math.inf
        self._lanes = Lanes(_SUSPECTS)
        self._marking: list[Job] = []
        self._marked: deque[Job] = deque()
        self._slots: list[Slot] = []
        self._resting: list[asyncio.Future[None]] = []
        self._waking = False
        self._unfinished: list[Job] = []
        self._lost: list[Slot] = []
        self._stopping = False
        self._ready = asyncio.Event()
        self._settled = asyncio.Event()
        self._deadlines = Deadlines(services.clock, on_lost=self._replace)
        crowd = slots * _HELD_SLOTS
        self.inbox_reader: InboxReader = self._make_inbox_reader(services, capacity, crowd)
        self.done_batch: DoneBatch = self._make_done_batch()
        self.enrichment: Enrichment = self._make_enrichment(services, lookup, entropy)
        self._runs = Runs(
            wiring=wiring,
            services=services,
            opt_outs=opt_outs,
            entropy=entropy,
            given=given,
            deadlines=self._deadlines,
            store_soon=self.done_batch.add,
            later=self.inbox_reader.later,
            redact=redact,
            on_ended=on_ended,
        )

    def _make_inbox_reader(self, services: Services, capacity: int, crowd: int) -> InboxReader:
        return InboxReader(
            store=services.store,
            clock=services.clock,
            take=self._take,
            owner_of=self._owner_of,
            capacity=capacity,
            crowd=crowd,
            proven=services.proven,
        )

    def _make_done_batch(self) -> DoneBatch:
        return DoneBatch(
            clock=self._clock,
            commit=self._store_ends,
            held=lambda: 0 if self._stopping else self.inbox_reader.held,
            stored=self.inbox_reader.release,
            settled=self._check_settled,
        )

    def _make_enrichment(self, services: Services, lookup: Lookup, entropy: Entropy) -> Enrichment:
        return Enrichment(
            lookup=lookup,
            store=services.store,
            clock=services.clock,
            entropy=entropy,
            fence=services.fence,
            ready=self._completed,
            gone=self._gone,
            later=self.inbox_reader.later,
        )

    @property
    def running(self) -> list[Slot]:
        """Return the slots in which a handler runs now."""
        return [slot for slot in self._slots if slot.job is not None]

    def hung(self) -> Mapping[str, int]:
        """Return the number of slots that each handler holds, if they seem to hang; else nothing.

        They seem to hang if all slots are busy and no handler has ended for 20 seconds. A bot that
        is only busy ends handlers all the time.
        """
        if self._clock.monotonic() - self._full_since_s < _HUNG_S:
            return {}
        return Counter(slot.handler for slot in self.running)

    @property
    def tasks(self) -> list[Coroutine[Any, Any, None]]:
        """Return the coroutines that must run beside the workers."""
        return [
            self.inbox_reader.run(),
            self.enrichment.run(),
            self._start_handlers(),
            self.done_batch.run(),
            self._deadlines.run(self._slots),
        ]

    def offer(self, jobs: Iterable[Job]) -> None:
        """Handle these, or leave them in the store until there is room."""
        self.inbox_reader.offer(jobs)

    def starts_at_once(self, account_id: str, lanes: Sequence[str]) -> Sequence[bool]:
        """Return for a new event in each lane whether its handler would start at once."""
        if self._stopping or self.inbox_reader.overflowed:
            return [False] * len(lanes)
        room = self._free - self._lanes.ready
        taken: set[str] = set()
        answers: list[bool] = []
        for lane in lanes:
            starts = (
                room > len(taken)
                and lane not in taken
                and not self._lanes.holds(account_id, lane)
                and not self.inbox_reader.holds_back(account_id, lane)
            )
            if starts:
                taken.add(lane)
            answers.append(starts)
        return answers

    async def let_catch_up(self) -> None:
        """Wait until there is room for more events, but only a moment.

        Handlers that are about to start go first: the ends of those that wait for nothing are
        stored by the commit that comes next.
        """
        if self._free and self._lanes.ready:
            for _ in range(_TURNS):
                await self._clock.sleep(0)
        await self.inbox_reader.let_catch_up()

    async def stop(self, drain_s: float) -> list[str]:
        """Start nothing more, let handlers run for that long, then cancel them.

        Return the names of handlers that do not end although they were cancelled. Events whose
        handler did not finish are due again at the next start.
        """
        self._stopping = True
        self.done_batch.hurry()
        await self._until_settled(drain_s)
        self._runs.stopping = True
        for slot in self.running:
            _log.warning("handler.cancelled", handler=slot.handler)
            slot.worker.cancel()
        await self._until_settled(_GRACE_S)
        stubborn = self.running
        self._unfinished += [slot.job for slot in stubborn if slot.job is not None]
        never_started = [job for job in self._lanes.take(self._lanes.ready) if job.marked]
        about_to_run = [*never_started, *self._marking, *self._marked]
        await self._give_back([*about_to_run, *self._unfinished])
        return [slot.handler for slot in [*stubborn, *self._lost]]

    def abandon(self) -> None:
        """Record nothing more: the process is dying, or another one runs the store."""
        self._stopping = True
        self._runs.stopping = True

    def _take(self, job: Job) -> None:
        """Put a job that the inbox reader holds from now on into its lane."""
        if not job.owner:
            self._owner_of(job)
        job.blocked = not job.marked and job.event is not None and is_incomplete(job.event)
        self._lanes.put(job)
        if job.blocked:
            self.enrichment.add(job)
        else:
            self._ready.set()

    def _owner_of(self, job: Job) -> str:
        """Return the owner of a job, for taking turns: its author, or its lane if it has none."""
        if job.event is None:
            with contextlib.suppress(UndecodableEvent):  # reported when its turn comes
                self._runs.decode(job)
        job.owner = f"{job.account_id}/{author_of(job.event) or job.lane}"
        return job.owner

    def _completed(self, job: Job) -> None:
        self._lanes.unblock(job)
        self._ready.set()

    def _gone(self, job: Job) -> None:
        """Take a job out of its lane that was not run: it waits in the store, or has ended."""
        self._lanes.leave(job)
        self.inbox_reader.release(job)
        self._ready.set()
        self.done_batch.hurry()

    async def _start_handlers(self) -> None:
        await self._runs.ends.outage.outlast(self.opt_outs.load)
        while True:
            jobs = [] if self._stopping else self._lanes.take(self._free)
            if not jobs:
                self._ready.clear()
                await self._ready.wait()
                continue
            self._free -= len(jobs)
            if not self._free:
                self._full_since_s = self._clock.monotonic()
            if any(job.unclean >= _UNCLEAN_ENDS for job in jobs):
                jobs = [job for job in jobs if not await self._is_poison(job)]
            self._marking = jobs
            await self._mark([job.seq for job in jobs if not job.marked])
            self._marking = []
            self._marked.extend(jobs)
            self._wake_one()

    async def _mark(self, seqs: list[int]) -> None:
        if not seqs:
            return
        self.done_batch.hurry()
        await self._runs.ends.outage.outlast(
            lambda: self._store.events.mark_running(seqs, fence=self._fence())
        )

    async def _is_poison(self, job: Job) -> bool:
        """Return True, and bury the job, if it ran when the process ended uncleanly twice."""
        if job.unclean < _UNCLEAN_ENDS:
            return False
        await self._runs.ends.bury(job, reason="crashed")
        self._free_one()
        self._gone(job)
        return True

    async def _work(self, slot: Slot) -> None:
        self._waking = False
        while not self._stopping:
            if not self._marked:
                await self._rest()
                continue
            job = self._marked.popleft()
            if self._marked:
                self._wake_one()
            slot.job = job
            try:
                batched = await self._runs.run(job, slot)
            except asyncio.CancelledError:
                if slot.lost:
                    return
                self._unfinished.append(job)
                slot.job = None
                self._check_settled()
                raise
            slot.job = None
            self._leave(job, batched=batched)

    async def _rest(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._resting.append(future)
        try:
            await future
        finally:
            self._waking = False

    def _wake_one(self) -> None:
        """Have one more worker look for a job: one that rests, else a new one.

        One at a time: it wakes the next when there is more than it takes. So handlers that never
        wait run one after the other in one worker, without waking all the others for nothing.
        """
        if self._waking:
            return
        self._waking = True
        while self._resting:
            future = self._resting.pop()
            if not future.done():
                future.set_result(None)
                return
        # No more are marked than slots are free: there are never more workers than slots.
        self._slots.append(slot := Slot())
        slot.task = self._spawn(self._work(slot))

    def _free_one(self) -> None:
        self._free += 1
        self._full_since_s = math.inf

    def _leave(self, job: Job, *, batched: bool) -> None:
        self._free_one()
        self._lanes.leave(job)
        if not batched:
            self.inbox_reader.release(job)
        if self._lanes.ready:
            self._ready.set()
        if not self._marked:
            self.done_batch.hurry_if_due()
        if self._stopping:
            self._check_settled()

    async def _replace(self, slot: Slot) -> None:
        """Give up on a handler that does not end: count its event as failed, free its place."""
        self._slots.remove(slot)
        self._lost.append(slot)
        job, slot.job = slot.job, None
        assert job is not None
        await self._runs.ends.time_out(job, slot)
        self._leave(job, batched=False)

    async def _store_ends(self, ends: Sequence[RunEnd]) -> None:
        await self._runs.ends.outage.outlast(
            lambda: self._store.events.settle(ends, fence=self._fence())
        )

    def _check_settled(self) -> None:
        if not (self.running or self.done_batch.busy):
            self._settled.set()

    async def _until_settled(self, seconds: float) -> None:
        """Wait until no handler runs and every end is stored, but not longer than that."""
        self._settled.clear()
        self._check_settled()
        if seconds > 0 and not self._settled.is_set():
            await event_or_timeout(self._settled, seconds, clock=self._clock)

    async def _give_back(self, jobs: Iterable[Job]) -> None:
        """Make these events due at the next start, without counting a try."""
        for job in jobs:
            try:
                back = RunParked(seq=job.seq, waiting_for="restart", until=self._clock.now())
                await self._store.events.settle([back], fence=self._fence())
            except StateError as error:
                _log.warning("event.not_released", key=job.key, why=str(error))
