"""Creates all tasks of a running bot, starts them in order and stops them in order.

Start: count what an unclean end left, settle sends, plan schedules, then run. Stop: intake first,
handlers to a deadline, the sends that are under way, then the lease. Source:
docs/explanation/requirements.md, "Intake" (Shutdown).
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import traceback
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec
import structlog

from botkit.errors import LeaseLost, StateError, StoreGone
from botkit.model.records import KeepFor
from botkit.runtime.dispatch.exception_groups import leaves_of
from botkit.telemetry.repeated_lines import some_of
from botkit.waiting.backoff import JITTER, Backoff, Ladder
from botkit.waiting.store_outage import StoreOutage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping
    from datetime import datetime
    from types import TracebackType

    from botkit.leases.lease import Lease
    from botkit.ports import Clock, Entropy, Store
    from botkit.runtime.dispatch.dispatcher import Dispatcher
    from botkit.runtime.intake.inbox import Inbox
    from botkit.runtime.life.status import Reports
    from botkit.runtime.life.ticks import Scheduler
    from botkit.waiting.proven_time import ProvenTime

__all__ = ["KEEP_FOR", "Runtime", "RuntimePace", "Tasks"]

_log = structlog.get_logger(__name__)

T = TypeVar("T")

_RESTART = Ladder(steps_s=(1.0, 5.0, 15.0, 60.0), jitter=JITTER)
KEEP_FOR = KeepFor(
    events=timedelta(days=7),
    deliverable=timedelta(days=30),  # as far back as X shows direct messages
    dead=timedelta(days=90),
    writes=timedelta(days=90),
    invitations=timedelta(days=30),  # to say what became of a link
    users=timedelta(days=2),  # one that was fetched more than a day ago is fetched anew
    gaps=timedelta(days=90),
    ledger=timedelta(days=90),
)
"""The default retention of records, by kind."""
_PRUNE_EVERY_S = 3600.0
_COUNT_EVERY_S = 10.0
_CLOSING_S = 1.0
_LOOK_AGAIN_S = 900.0
_STEADY_S = 5.0
"""A part that failed counts as working again once it has run for this long."""
_SATURATED = "every place for a handler is taken, and none has ended for 20 s"
_UNHANG = "See what these handlers wait for; give them a timeout_s, or the bot more [run] slots."
_CAUSES = ("login", "credits", "account", "budget")
"""What an event may wait for without a time: looked at again at the start and now and then."""


class Tasks:
    """Owns every task of a running bot: botkit's own in a task group, and the author's beside it.

    A task of botkit's own that fails ends the bot. The tasks in which author's code runs (the
    crew) may refuse to end when they are cancelled; the end of the process does not wait for them.
    """

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()
        self._own: set[asyncio.Task[Any]] = set()
        self._crew: set[asyncio.Task[Any]] = set()
        self.sends: set[asyncio.Task[Any]] = set()
        """The sends that are under way."""
        self._ending = False
        self._failed = False

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cancel()
        self._ending = True
        try:
            await self._group.__aexit__(kind, error, trace)
        except BaseExceptionGroup as group:
            leaves = leaves_of(group)
            # Several parts may notice at the same time that the store or its lease is gone.
            alike = all(isinstance(one, StateError) for one in leaves)
            raise (leaves[0] if alike or len(leaves) == 1 else group) from None

    def spawn(self, work: Coroutine[Any, Any, T], name: str = "") -> asyncio.Task[T]:
        """Start a task of botkit's own."""
        task = self._group.create_task(work, name=name or None)
        self._own.add(task)
        task.add_done_callback(self._own_ended)
        return task

    def start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Start a task of botkit's own whose result is not needed; not while all tasks end."""
        if self._ending:
            work.close()
        else:
            self._own.add(self.spawn(work, name))

    def send(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a send, which outlives its handler; a stop waits for it."""
        task = self.spawn(work, name="send")
        self.sends.add(task)
        task.add_done_callback(self.sends.discard)
        return task

    def hire(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task in which author's code runs."""
        task = asyncio.create_task(work)
        self._crew.add(task)
        task.add_done_callback(self._crew_ended)
        return task

    def cancel(self) -> None:
        """Cancel all tasks. Leaving `async with` then waits for botkit's own, not for handlers."""
        for task in [*self._crew, *self._own]:
            task.cancel()

    def _own_ended(self, task: asyncio.Task[Any]) -> None:
        self._own.discard(task)
        if self._ending or task.cancelled() or (error := task.exception()) is None:
            return
        if not self._failed:  # later failures have the same cause, or are cancellations
            self._failed = True
            _log.critical("bot.failed", part=task.get_name(), why=str(error) or repr(error))

    def _crew_ended(self, task: asyncio.Task[None]) -> None:
        self._crew.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.start(_raise(error), "crew")


class RuntimePace(msgspec.Struct, frozen=True, kw_only=True):
    """The periods and time limits of the runtime.

    `poll_s` is how soon a change by another process is seen; the sandbox, which skips long spans
    of virtual time, takes a slow one.
    """

    poll_s: float = 1.0
    drain_s: float = 8.0
    lease_ttl_s: float = 10.0
    lease_renew_s: float = 3.0
    keeper_ttl_s: float = 60.0
    keeper_renew_s: float = 15.0
    keep_for: KeepFor = KEEP_FOR


class Runtime:
    """Start, supervise and stop the parts of a running bot.

    Args:
        recover: Settles the writes that a crash interrupted; returns their number.
        parts: The tasks beside the dispatcher (sources, keepers), by name; each is restarted
            if it fails.
        on_changed: Awaited when another process has changed the store.
        proven: The clock by which old rows are deleted; none are before X's time is known.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        entropy: Entropy,
        lease: Lease,
        tasks: Tasks,
        dispatcher: Dispatcher,
        inbox: Inbox,
        scheduler: Scheduler,
        reports: Reports,
        recover: Callable[[], Awaitable[int]],
        parts: Mapping[str, Callable[[], Awaitable[None]]],
        on_changed: Callable[[], Awaitable[None]] | None = None,
        proven: ProvenTime,
        pace: RuntimePace | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._lease = lease
        self._tasks = tasks
        self._dispatcher = dispatcher
        self._inbox = inbox
        self._scheduler = scheduler
        self._reports = reports
        self._recover = recover
        self._parts = parts
        self._on_changed = on_changed
        self._proven = proven
        self._pace = pace or RuntimePace()
        self._sources: list[asyncio.Task[None]] = []
        self._wrong: dict[str, float] = {}
        """The parts that failed, each with the time from which it counts as working again."""
        self._hung = False
        self._upkeep: list[asyncio.Task[None]] = []
        self._crashed = False
        self._stubborn: list[str] | None = None

    @property
    def drain_s(self) -> float:
        """Return how long a stop lets handlers finish unless it is told otherwise."""
        return self._pace.drain_s

    def add_part(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Start one more part beside those that run; it stops with them."""
        self._sources.append(self._tasks.spawn(self._supervise(name, run), name))

    async def remove_part(self, name: str) -> None:
        """Cancel a part that runs beside the dispatcher and wait until it has ended."""
        ending = [task for task in self._sources if task.get_name() == name]
        for task in ending:
            self._sources.remove(task)
            task.cancel()
        if ending:
            await asyncio.wait(ending)

    async def start(self) -> None:
        """Recover, then start everything. The lease must be held."""
        await self._reports.begin()
        await self._store.events.count_unclean(fence=self._lease.fence())
        uncertain = await self._recover()
        await self._scheduler.load()
        await self._try_causes()
        tasks = self._tasks
        tasks.start(self._lease.keep(), "lease")
        for work in self._dispatcher.tasks:
            tasks.start(work, "dispatcher")
        self._sources = [
            tasks.spawn(self._supervise(name, run), name) for name, run in self._parts.items()
        ]
        self._sources.append(tasks.spawn(self._scheduler.run(), "schedules"))
        self._upkeep = [tasks.spawn(self._keep_house(), "housekeeping")]
        self._reports("runner", "starting")
        _log.info("bot.started", parts=some_of([*self._parts]), uncertain_writes=uncertain)

    def hears(self) -> None:
        """Report that the bot runs and hears, even if some of its sources are not live."""
        self._reports("runner", "running")

    async def stop(self, drain_s: float | None = None) -> list[str]:
        """Stop in order; return the names of handlers that do not end when they are cancelled."""
        if self._stubborn is None:
            self._stubborn = [] if self._crashed else await self._stop(drain_s)
        return self._stubborn

    async def _stop(self, drain_s: float | None) -> list[str]:
        drain_s = self.drain_s if drain_s is None else drain_s
        deadline = self._clock.monotonic() + drain_s
        self._inbox.close()
        for task in self._sources:
            task.cancel()
        stubborn = await self._dispatcher.stop(max(drain_s - _CLOSING_S, 0.0))
        await self._finish_sends(max(deadline - self._clock.monotonic(), _CLOSING_S / 2))
        self._dispatcher.abandon()
        for task in self._upkeep:
            task.cancel()  # it would store reports after the lease is released
        with contextlib.suppress(StateError):
            await self._reports.clear()
            await self._lease.release()
        self._tasks.cancel()
        _log.info("bot.stopped", still_running=stubborn)
        return stubborn

    def crash(self) -> None:
        """Abandon everything as a killed process does: nothing more is written."""
        self._crashed = True
        self._inbox.close()
        self._dispatcher.abandon()
        self._lease.abandon()
        self._tasks.cancel()

    async def _finish_sends(self, seconds: float) -> None:
        sends = self._tasks.sends
        if sends:
            with contextlib.suppress(TimeoutError):
                async with self._clock.timeout(seconds):
                    await asyncio.wait(sends)
        for task in sends:
            _log.warning("send.cut_off")
            task.cancel()

    async def _supervise(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run a part, again after it fails: one part's fault must not end the others."""
        backoff = Backoff(_RESTART, self._entropy)
        while True:
            started = self._clock.monotonic()
            if name in self._wrong:
                self._wrong[name] = started + _STEADY_S
            try:
                await run()
            except (LeaseLost, StoreGone):
                raise
            except Exception as error:  # noqa: BLE001 - a part's fault must not end the others
                trace = "".join(traceback.format_exception(error))
                _log.error("part.crashed", part=name, exception=trace)
                self._reports(name, "wrong", "failed, starts again", {"code": "1"})
                self._wrong[name] = math.inf
            else:
                return
            if self._clock.monotonic() - started > _RESTART.cap_s:
                backoff.reset()
            await self._clock.sleep(backoff.next_s())

    async def _keep_house(self) -> None:
        """Look for changes by other processes, store status reports, and delete old rows."""
        count_at = prune_at = self._clock.monotonic()
        look_at = count_at + _LOOK_AGAIN_S
        outage = StoreOutage(
            _log,
            "housekeeping",
            clock=self._clock,
            ladder=Ladder(steps_s=(self._pace.poll_s,)),
        )
        while True:
            now = self._clock.monotonic()
            self._look_at_parts()
            try:
                await self._look_around()
                if now >= count_at or self._dispatcher.inbox_reader.overflowed:
                    count_at = now + _COUNT_EVERY_S
                    await self._count()
                    await self._expire_moot_writes()
                if now >= look_at:
                    look_at = now + _LOOK_AGAIN_S
                    await self._try_causes()
                by_x = self._proven.now()
                if now >= prune_at and by_x is not None:
                    prune_at = now + _PRUNE_EVERY_S
                    await self._prune(by_x)
                await self._reports.flush()
            except (LeaseLost, StoreGone):
                raise
            except StateError as error:
                self._say_store(error)
                await outage.wait(error)
                continue
            outage.end()
            self._say_store(self._store.fault)
            await self._clock.sleep(self._pace.poll_s)

    async def _prune(self, now: datetime) -> None:
        """Delete old records, by a time that X's clock confirms."""
        counts = await self._store.prune(self._pace.keep_for, now=now)
        if counts["bounded"]:
            _log.warning("prune.bounded", events=counts["events"], writes=counts["writes"])

    def _look_at_parts(self) -> None:
        """Report for parts that cannot do so that they hang, are silent, or work again."""
        self._reports.expire()
        hung = self._dispatcher.hung()
        if hung and not self._hung:
            taken = ", ".join(f"{handler} {count}" for handler, count in hung.items())
            why = f"{_SATURATED} ({taken}). {_UNHANG}"
            self._reports("handlers", "saturated", why, {"code": "1"})
            _log.error("handlers.saturated", handlers=hung, next_step=_UNHANG)
        elif self._hung and not hung:
            self._reports("handlers", "working")
        self._hung = bool(hung)
        for name, good_at_s in [*self._wrong.items()]:
            if self._clock.monotonic() >= good_at_s:
                del self._wrong[name]
                if self._reports.current[name].state == "wrong":
                    self._reports(name, "working", "after it failed and was started again")

    def _say_store(self, fault: StateError | None) -> None:
        if fault is not None:
            self._reports("store", "unavailable", str(fault), {"code": str(fault.exit_code)})
        elif "store" in self._reports.current:
            self._reports("store", "working")

    async def _look_around(self) -> None:
        if await self._store.changed() and self._on_changed is not None:
            await self._on_changed()
        if self._dispatcher.inbox_reader.has_room:
            self._dispatcher.inbox_reader.rescan()

    async def _try_causes(self) -> None:
        for cause in _CAUSES:
            await self._store.events.unpark(cause)
        self._dispatcher.inbox_reader.rescan()

    async def _count(self) -> None:
        counts = await self._store.events.counts()
        self._inbox.note_waiting(counts.get("waiting", 0) + counts.get("parked", 0))
        state = self._reports.current["runner"].state
        self._reports("runner", state, data={name: str(count) for name, count in counts.items()})

    async def _expire_moot_writes(self) -> None:
        for write_id in await self._store.writes.expire_moot():
            _log.warning("write.expired", write=write_id)


async def _raise(error: BaseException) -> None:
    raise error
