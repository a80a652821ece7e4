"""Runs one event once: calls the first matching handler and decides what its end means.

`Runs.run` catches all that a handler raises. A final refusal makes a dead letter at once, a
refusal for now parks the event, and after any other error the event is tried three times.
Source: docs/explanation/requirements.md, "Intake".
"""

from __future__ import annotations

import asyncio
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
from botkit.model.events import DirectMessage, Event, Mention, PostMatched, Quote, Reply, Signal
from botkit.model.records import EventState, RunDone
from botkit.model.triggers import PostRequest
from botkit.ports import Actions, Reader
from botkit.protocol.events.activity import decode_event
from botkit.routing.middleware import HeldBy
from botkit.runtime.dispatch.control_errors import (
    CONTROL_ERRORS,
    FailureOfAuthor,
    as_failure_of_author,
    candidates_of_author,
    raise_as_failure_of_author,
)
from botkit.runtime.dispatch.deleted_posts import end_of_deleted
from botkit.runtime.dispatch.exception_groups import deciding
from botkit.runtime.dispatch.failure_hooks import FailureHooks
from botkit.runtime.dispatch.lateness import is_too_late, why_skipped
from botkit.runtime.dispatch.memory import NOTHING, Memory, held_places, recall
from botkit.runtime.dispatch.run_ends import Ended, RunEnds
from botkit.runtime.dispatch.turns import Turns
from botkit.runtime.dispatch.workers import Slot
from botkit.runtime.intake.lanes import Job
from botkit.runtime.writes.actions import EventActions
from botkit.runtime.writes.causes import origin_of
from botkit.runtime.writes.checks.guard import ANSWERS_OPT_OUTS
from botkit.runtime.writes.post_requests import SENDS_POSTS, send_request
from botkit.runtime.writes.write_outcomes import FINAL
from botkit.waiting.backoff import JITTER, Ladder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from botkit.ports import Entropy
    from botkit.routing.wiring import Candidate, Wiring
    from botkit.runtime.dispatch.workers import Deadlines
    from botkit.runtime.writes.actions import Services
    from botkit.runtime.writes.opt_outs import OptOuts

__all__ = ["Runs"]

_log = structlog.get_logger(__name__)

_CONFLICTS = 20
_CONFLICT_S = 5.0
"""How long an event rests whose state another process keeps changing. That is no failed try."""
_NETWORK = Ladder(steps_s=(30.0,), jitter=JITTER)
"""How long an event waits whose handler could not reach X."""
_RATE_S = 60.0
_DECIDING = ((Parked,), (Drop,), FINAL, (RateLimited, TransportError), (Retry,))


class Runs:
    """Run events, and decide what the end of each means.

    Args:
        given: Returns, for an account, the values that handlers may ask for by exact type.
        opt_outs: Ends events of users who opt out, or who opted out before.
        store_soon, later, redact, on_ended: See `RunEnds`.

    Attributes:
        ends: Records how each run ended.
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
        self._clock = services.clock
        self._entropy = entropy
        self._given = given
        self._deadlines = deadlines
        self._turns = Turns()
        self.ends: RunEnds = RunEnds(
            services,
            entropy=entropy,
            failures=FailureHooks(wiring.error_hooks, given, self._clock, redact),
            store_soon=store_soon,
            later=later,
            redact=redact,
            on_ended=on_ended,
        )
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
                    await self.ends.park(job, slot, Parked("state", until=until))
                    return False
                _log.info("event.conflicted", key=job.key)
                again += 1
            except StoreUnavailable as problem:
                slot.settle()
                await self.ends.outage.wait(problem, again, key=job.key)
                again += 1
            except BaseException as error:  # noqa: BLE001 - the worker's edge
                await self._judge(job, slot, error)
                return False
            else:
                if again:  # an event that needed no store tells nothing of it
                    self.ends.outage.end()
                return batched

    async def _handle(self, job: Job, slot: Slot) -> bool:
        event = job.event or self.decode(job)
        if deleted := await end_of_deleted(job, event, self._services):
            return self.ends.put_aside(job, EventState.DROPPED, deleted)
        if _is_own(event):
            return self.ends.finished(job, "own post")
        if isinstance(event, PostRequest):
            slot.begin(SENDS_POSTS)
            await send_request(self._services, self.value_of(job, Reader), job, event)
            return self.ends.finished(job, SENDS_POSTS, handler=SENDS_POSTS)
        slot.begin(ANSWERS_OPT_OUTS)
        early = await self._opt_outs.end_of(job, event)
        if early is not None:
            return await self.ends.done(job, early.note, emitted=early.emitted)
        if why := why_skipped(job, event, self._services):
            return self.ends.put_aside(job, EventState.DROPPED, why)
        for candidate in candidates_of_author(self._wiring.candidates(event, slot.begin)):
            if is_too_late(job, event, candidate.route.answer_within, self._services.proven):
                return self.ends.late(job, candidate.route.name)
            batched = await self._give(job, event, candidate, slot)
            if batched is not None:
                return batched
        return self.ends.finished(job, "no handler")

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
        except CONTROL_ERRORS as error:
            raise_as_failure_of_author(error)
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
        return await self.ends.done(
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
        return self.ends.finished(job, f"held back by {middleware}")

    async def _recall(self, job: Job, event: Event, candidate: Candidate, slot: Slot) -> Memory:
        """Wait for the handler's turn, and load its state."""
        store, states, account_id = self._services.store, candidate.route.states, job.account_id
        subject = await origin_of(job, event, store, self._wiring.signals)
        places = held_places(states, subject=subject, account_id=account_id)
        await slot.take_turns(self._turns, places)
        return await recall(store.states, states, subject=subject, account_id=account_id)

    async def _judge(self, job: Job, slot: Slot, error: BaseException) -> None:
        """Record what the end of the handler means."""
        if slot.lost:
            raise asyncio.CancelledError from None
        timed_out = slot.settle()
        if isinstance(error, asyncio.CancelledError) and self.stopping:
            raise error
        error = self._as_wait(as_failure_of_author(deciding(error, _DECIDING)))
        if slot.parked is not None:
            error = slot.parked
        await self._record(job, slot, error, timed_out=timed_out)

    async def _record(
        self, job: Job, slot: Slot, error: BaseException, *, timed_out: bool
    ) -> None:
        if isinstance(error, Parked):
            await self.ends.park(job, slot, error)
        elif isinstance(error, Drop):
            await self.ends.drop(job, slot, error)
        elif isinstance(error, OptedOut) and isinstance(job.event, Signal):
            await self.ends.drop(job, slot, Drop("opted out"))  # after the signal was emitted
        elif isinstance(error, FINAL):
            await self.ends.bury(job, reason="refused", handler=slot.handler, error=error)
        elif isinstance(error, UndecodableEvent):
            await self.ends.bury(job, reason="undecodable", error=error)
        elif timed_out:
            await self.ends.time_out(job, slot, error)
        else:
            error = error.error if isinstance(error, FailureOfAuthor) else error
            _forget_own_cancel(slot, error)
            reason = "failed" if isinstance(error, Exception) else "crashed"
            await self.ends.fail(job, slot, error, reason)

    def _as_wait(self, error: BaseException) -> BaseException:
        """Return `Parked` for an error that only says "not now", any other error as it is."""
        now = self._clock.now()
        if isinstance(error, RateLimited):
            return Parked("rate", until=error.retry_at or now + timedelta(seconds=_RATE_S))
        if isinstance(error, TransportError) and not isinstance(error, OutcomeUnknown):
            wait_s = _NETWORK.wait_s(0, self._entropy)
            return Parked("network", until=now + timedelta(seconds=wait_s))
        return error

    def decode(self, job: Job) -> Event:
        """Decode and return the job's event.

        Raises:
            UndecodableEvent: This version, or this bot, cannot read it.
        """
        event = job.event = decode_event(job.kind, job.body, self._wiring.signals)
        return event

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
    if isinstance(event, (Mention, Reply, Quote, PostMatched)):
        return event.author.id == event.account_id
    return isinstance(event, DirectMessage) and event.sent_by_me


def _forget_own_cancel(slot: Slot, error: BaseException) -> None:
    """Undo cancellations of the worker if the handler cancelled its own task."""
    if isinstance(error, asyncio.CancelledError):
        while slot.worker.uncancel():
            continue
