"""Runs one event once: calls the first matching handler and records how that ended.

`Runs.run` catches all that a handler raises. A success commits done mark, state and emitted
events in one transaction. A final refusal makes a dead letter at once, a refusal for now parks
the event, and after any other error the event is tried three times.
Source: docs/explanation/requirements.md, "Intake".
"""

from __future__ import annotations

import asyncio
import traceback
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from msgspec import Struct

from botkit.errors import (
    Conflict,
    Drop,
    LeaseLost,
    OptedOut,
    OutcomeUnknown,
    Parked,
    RateLimited,
    Retry,
    Skip,
    StateError,
    StoreUnavailable,
    TransportError,
    UndecodableEvent,
)
from botkit.model.events import DirectMessage, Event, Mention, Quote, Reply, Signal
from botkit.model.records import (
    DeadLetter,
    EventState,
    RunDead,
    RunDone,
    RunEnd,
    RunParked,
    RunRetried,
)
from botkit.ports import Actions
from botkit.protocol.events.activity import decode_event
from botkit.routing.middleware import HeldBy
from botkit.runtime.dispatch.exception_groups import deciding
from botkit.runtime.dispatch.failure_hooks import FailureHooks
from botkit.runtime.dispatch.lateness import is_too_late, why_skipped
from botkit.runtime.dispatch.memory import NOTHING, Memory, held_places, recall
from botkit.runtime.dispatch.turns import Turns
from botkit.runtime.dispatch.workers import Slot
from botkit.runtime.intake.lanes import Job
from botkit.runtime.writes.actions import EventActions
from botkit.runtime.writes.causes import origin_of
from botkit.runtime.writes.checks.guard import ANSWERS_OPT_OUTS
from botkit.runtime.writes.write_outcomes import FINAL
from botkit.telemetry.times import rfc3339
from botkit.waiting.backoff import JITTER, Ladder
from botkit.waiting.store_outage import StoreOutage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from botkit.model.records import NewEvent, StateChange
    from botkit.ports import Entropy
    from botkit.routing.wiring import Candidate, Wiring
    from botkit.runtime.dispatch.workers import Deadlines
    from botkit.runtime.writes.actions import Services
    from botkit.runtime.writes.opt_outs import OptOuts

__all__ = ["Ended", "Runs"]

_log = structlog.get_logger(__name__)

_TRIES = 3
_BACKOFF = Ladder(steps_s=(2.0, 15.0), jitter=JITTER)
_CONFLICTS = 20
_CONFLICT_S = 5.0
"""How long an event rests whose state another process keeps changing. That is no failed try."""
_NETWORK = Ladder(steps_s=(30.0,), jitter=JITTER)
"""How long an event waits whose handler could not reach X."""
_RATE_S = 60.0
_MAX_TRACE = 16_000
_DECIDING = ((Parked,), (Drop,), FINAL, (RateLimited, TransportError), (Retry,))


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """A run that ended, for transcript, setup and metrics.

    `outcome` is `done`, `dropped`, `dead`, `retry` or `parked`; `note` says more of it.
    """

    account_id: str
    key: str
    event: Event | None
    outcome: str
    handler: str = ""
    note: str = ""
    returned: Any = None
    error: BaseException | None = None


class Runs:
    """Run events, and record how each ended.

    Args:
        given: Returns, for an account, the values that handlers may ask for by exact type.
        opt_outs: Ends events of users who opt out, or who opted out before.
        store_soon: Takes the end of an event that changed nothing else, to store it with others.
        later: Called with the time at which an event in the store becomes due.
        redact: Removes secrets from a trace.
        on_ended: Called after every run.
    """

    def __init__(
        self,
        *,
        wiring: Wiring,
        services: Services,
        opt_outs: OptOuts,
        entropy: Entropy,
        given: Callable[[str], Mapping[Any, Any]],
        deadlines: Deadlines,
        store_soon: Callable[[Job, RunDone], None],
        later: Callable[[datetime], None],
        redact: Callable[[str], str],
        on_ended: Callable[[Ended], None] | None = None,
    ) -> None:
        self._wiring = wiring
        self._services = services
        self._opt_outs = opt_outs
        self._events = services.store.events
        self._clock = services.clock
        self._fence = services.fence
        self._entropy = entropy
        self._given = given
        self._deadlines = deadlines
        self._store_soon = store_soon
        self._later = later
        self._redact = redact
        self._on_ended = on_ended
        self._failures = FailureHooks(wiring.error_hooks, given, self._clock, redact)
        self._turns = Turns()
        self.outage: StoreOutage = StoreOutage(_log, "event", clock=self._clock)
        self._said_late = False
        self.stopping = False
        """Set when cancellations are the runtime's, not a handler's own."""

    async def run(self, job: Job, slot: Slot) -> bool:
        """Handle the event and record how that ended.

        Return True if its end is stored later, with others.

        Raises:
            CancelledError: The runtime stops, or gave the slot up; nothing was recorded.
            LeaseLost: Another process runs this store now; nothing was recorded.
        """
        again = 0
        while True:
            try:
                batched = await self._handle(job, slot)
            except LeaseLost:
                raise
            except Conflict:
                slot.settle()
                if again >= _CONFLICTS:
                    until = self._clock.now() + timedelta(seconds=_CONFLICT_S)
                    await self._park(job, slot, Parked("state", until=until))
                    return False
                _log.info("event.conflicted", key=job.key)
                again += 1
            except StoreUnavailable as problem:
                slot.settle()
                await self.outage.wait(problem, again, key=job.key)
                again += 1
            except BaseException as error:  # noqa: BLE001 - the worker's edge
                await self._judge(job, slot, error)
                return False
            else:
                if again:  # an event that needed no store tells nothing of it
                    self.outage.end()
                return batched

    async def bury(
        self, job: Job, *, reason: str, handler: str = "", error: BaseException | None = None
    ) -> None:
        """Move the event to the dead letters."""
        letter = DeadLetter(
            account_id=job.account_id,
            key=job.key,
            kind=job.kind,
            reason=reason,
            error=self._redact(_said(error)) if error is not None else "",
            trace=self._redact(_trace(error)) if error is not None else "",
            handler=handler,
            attempts=job.attempts + 1,
            at=self._clock.now(),
        )
        await self._settle(RunDead(seq=job.seq, letter=letter))
        _log.error(
            "event.dead_lettered", key=job.key, handler=handler, reason=reason, error=letter.error
        )
        self._tell(job, "dead", handler=handler, note=reason, error=error)
        await self._failures.tell(job, handler, error, reason=reason)

    async def time_out(self, job: Job, slot: Slot, at: BaseException | None = None) -> None:
        """Record that the handler exceeded its time limit; `at` shows where it was then."""
        error = TimeoutError(
            f"{slot.handler} did not end within {slot.limit_s:g} s; "
            "on(..., timeout_s=...) gives it longer."
        )
        error.__cause__ = at
        await self._fail(job, slot, error, "timeout")

    async def _settle(self, end: RunEnd) -> None:
        await self.outage.outlast(lambda: self._events.settle([end], fence=self._fence()))

    async def _handle(self, job: Job, slot: Slot) -> bool:
        event = job.event or self.decode(job)
        if _is_own(event):
            return self._finished(job, "own post")
        slot.begin(ANSWERS_OPT_OUTS)
        early = await self._opt_outs.end_of(job, event)
        if early is not None:
            return await self._end(job, early.note, emitted=early.emitted)
        if why := why_skipped(job, event, self._services):
            return self._put_aside(job, EventState.DROPPED, why)
        for candidate in self._wiring.candidates(event):
            if is_too_late(job, event, candidate.route.answer_within, self._services.proven):
                return self._late(job, candidate.route.name)
            batched = await self._give(job, event, candidate, slot)
            if batched is not None:
                return batched
        return self._finished(job, "no handler")

    def _late(self, job: Job, handler: str) -> bool:
        if not self._said_late:
            _log.warning("event.late", key=job.key, handler=handler)
        self._said_late = True
        return self._put_aside(job, EventState.LATE, handler, handler)

    def _put_aside(self, job: Job, state: EventState, note: str, handler: str = "") -> bool:
        self._store_soon(job, RunDone(seq=job.seq, state=state, note=note))
        self._tell(job, state.value, handler=handler, note=note)
        return True

    async def _give(self, job: Job, event: Event, candidate: Candidate, slot: Slot) -> bool | None:
        """Call a handler. Return None if it passed the event on, else what `run` returns."""
        slot.begin(candidate.route.name)
        if not candidate.route.states:
            return await self._call(job, event, candidate, slot, NOTHING)
        try:
            memory = await self._recall(job, event, candidate, slot)
            return await self._call(job, event, candidate, slot, memory)
        finally:
            slot.end_turns()

    async def _call(
        self, job: Job, event: Event, candidate: Candidate, slot: Slot, memory: Memory
    ) -> bool | None:
        values = _Values(self, job, event, slot, memory)
        self._deadlines.start(slot, candidate.route.timeout_s)
        try:
            returned = await candidate(values)
            passed_on = False
        except Skip:
            returned, passed_on = None, True
        finally:
            actions = slot.end_actions()
        if slot.lost:
            raise asyncio.CancelledError
        slot.settle()
        if slot.parked is not None:
            raise slot.parked
        if actions is not None and actions.forgotten:
            raise StateError(actions.forgotten, hint="Write `await` before it.")
        if passed_on:
            return None
        if values.held_by:
            return self._held_back(job, slot, values.held_by[0])
        return await self._end(
            job,
            slot.handler,
            handler=slot.handler,
            changes=memory.changes(most_kib=self._services.state_kib),
            emitted=tuple(actions.emitted) if actions is not None else (),
            returned=returned,
        )

    def _held_back(self, job: Job, slot: Slot, middleware: str) -> bool:
        """Record that a middleware did not call the handler, which therefore never ran."""
        _log.info("event.held_back", key=job.key, handler=slot.handler, middleware=middleware)
        return self._finished(job, f"held back by {middleware}")

    async def _recall(self, job: Job, event: Event, candidate: Candidate, slot: Slot) -> Memory:
        """Wait for the handler's turn, and load its state."""
        store, states, account_id = self._services.store, candidate.route.states, job.account_id
        subject = await origin_of(job, event, store, self._wiring.signals)
        places = held_places(states, subject=subject, account_id=account_id)
        await slot.take_turns(self._turns, places)
        return await recall(store.states, states, subject=subject, account_id=account_id)

    async def _end(
        self,
        job: Job,
        note: str,
        *,
        handler: str = "",
        changes: Sequence[StateChange] = (),
        emitted: tuple[NewEvent, ...] = (),
        returned: object = None,
    ) -> bool:
        """Commit the end of an event, with its state changes and signals; return as `run` does."""
        if not changes and not emitted:
            return self._finished(job, note, handler=handler, returned=returned)
        await self._settle(
            RunDone(seq=job.seq, note=note, changes=tuple(changes), emitted=emitted)
        )
        if emitted:
            now = self._clock.now()
            self._later(min(new.not_before or now for new in emitted))
        self._tell(job, "done", handler=handler, note=note, returned=returned)
        return False

    def _finished(
        self, job: Job, note: str, *, handler: str = "", returned: object = None
    ) -> bool:
        self._store_soon(job, RunDone(seq=job.seq, note=note))
        if self._on_ended is not None:
            self._tell(job, "done", handler=handler, note=note, returned=returned)
        return True

    async def _judge(self, job: Job, slot: Slot, error: BaseException) -> None:
        """Record what the end of the handler means."""
        if slot.lost:
            raise asyncio.CancelledError from None
        timed_out = slot.settle()
        if isinstance(error, asyncio.CancelledError) and self.stopping:
            raise error
        error = self._as_wait(deciding(error, _DECIDING))
        if slot.parked is not None:
            error = slot.parked
        if isinstance(error, Parked):
            await self._park(job, slot, error)
        elif isinstance(error, Drop):
            await self._drop(job, slot, error)
        elif isinstance(error, OptedOut) and isinstance(job.event, Signal):
            await self._drop(job, slot, Drop("opted out"))  # after the signal was emitted
        elif isinstance(error, FINAL):
            await self.bury(job, reason="refused", handler=slot.handler, error=error)
        elif isinstance(error, UndecodableEvent):
            await self.bury(job, reason="undecodable", error=error)
        elif timed_out:
            await self.time_out(job, slot, error)
        else:
            _forget_own_cancel(slot, error)
            reason = "failed" if isinstance(error, Exception) else "crashed"
            await self._fail(job, slot, error, reason)

    def _as_wait(self, error: BaseException) -> BaseException:
        """Return `Parked` for an error that only says "not now", any other error as it is."""
        now = self._clock.now()
        if isinstance(error, RateLimited):
            return Parked("rate", until=error.retry_at or now + timedelta(seconds=_RATE_S))
        if isinstance(error, TransportError) and not isinstance(error, OutcomeUnknown):
            wait_s = _NETWORK.wait_s(0, self._entropy)
            return Parked("network", until=now + timedelta(seconds=wait_s))
        return error

    async def _park(self, job: Job, slot: Slot, parked: Parked) -> None:
        until = parked.until
        await self._settle(RunParked(seq=job.seq, waiting_for=parked.waiting_for, until=until))
        _log.info(
            "event.parked",
            key=job.key,
            handler=slot.handler,
            waiting_for=parked.waiting_for,
            until=rfc3339(until) if until is not None else None,
        )
        if until is not None:
            self._later(until)
        self._tell(job, "parked", handler=slot.handler, note=parked.waiting_for, error=parked)

    async def _drop(self, job: Job, slot: Slot, drop: Drop) -> None:
        await self._settle(RunDone(seq=job.seq, state=EventState.DROPPED, note=drop.reason))
        _log.info("event.dropped", key=job.key, handler=slot.handler, reason=drop.reason)
        self._tell(job, "dropped", handler=slot.handler, note=drop.reason)

    async def _fail(
        self, job: Job, slot: Slot, error: BaseException, reason: str = "failed"
    ) -> None:
        """Count a failed try: run the event again later, or bury it after the last try."""
        tried = job.attempts + 1
        if tried >= _TRIES:
            await self.bury(job, reason=reason, handler=slot.handler, error=error)
            return
        if isinstance(error, Retry) and error.after is not None:
            wait = error.after
        else:
            wait = timedelta(seconds=_BACKOFF.wait_s(tried - 1, self._entropy))
        not_before = self._clock.now() + wait
        why = self._redact(_said(error))
        await self._settle(RunRetried(seq=job.seq, not_before=not_before, reason=why))
        first = tried == 1 and not isinstance(error, Retry)
        _log.warning(
            "handler.failed",
            key=job.key,
            handler=slot.handler,
            tried=tried,
            again_at=rfc3339(not_before),
            error=why,
            **({"exception": self._redact(_trace(error))} if first else {}),
        )
        self._later(not_before)
        self._tell(job, "retry", handler=slot.handler, note=why, error=error)
        await self._failures.tell(job, slot.handler, error, again_at=not_before)

    def decode(self, job: Job) -> Event:
        """Decode and return the job's event.

        Raises:
            UndecodableEvent: This version, or this bot, cannot read it.
        """
        event = job.event = decode_event(job.kind, job.body, self._wiring.signals)
        return event

    def _tell(self, job: Job, outcome: str, **more: Any) -> None:
        if self._on_ended is not None:
            self._on_ended(
                Ended(
                    account_id=job.account_id,
                    key=job.key,
                    event=job.event,
                    outcome=outcome,
                    **more,
                )
            )

    def actions_of(self, job: Job, event: Event, slot: Slot) -> EventActions:
        """Return the actions of the run that is under way in the slot."""
        actions = slot.actions
        if actions is None:
            actions = EventActions(self._services, job, event, handler=slot.handler)
            slot.actions = actions
        return actions

    def value_of(self, job: Job, wanted: Any) -> Any:
        """Return a value that handlers of the job's account may ask for, else raise `KeyError`."""
        return self._given(job.account_id)[wanted]


class _Values(Struct, frozen=True):
    """`ports.Scope` for one run of one handler."""

    runs: Runs
    job: Job
    event: Event
    slot: Slot
    memory: Memory
    held_by: list[str] = msgspec.field(default_factory=list[str])

    def resolve(self, wanted: Any) -> Any:
        if wanted is HeldBy:
            return self.held_by
        if wanted is Actions:
            return self.runs.actions_of(self.job, self.event, self.slot)
        if wanted in self.memory.values:
            return self.memory.values[wanted]
        return self.runs.value_of(self.job, wanted)


def _is_own(event: Event) -> bool:
    """Return True if the account itself did it: answering its own words would never end."""
    if isinstance(event, (Mention, Reply, Quote)):
        return event.author.id == event.account_id
    return isinstance(event, DirectMessage) and event.sent_by_me


def _forget_own_cancel(slot: Slot, error: BaseException) -> None:
    """Undo cancellations of the worker if the handler cancelled its own task."""
    if isinstance(error, asyncio.CancelledError):
        while slot.worker.uncancel():
            continue


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))[-_MAX_TRACE:]
