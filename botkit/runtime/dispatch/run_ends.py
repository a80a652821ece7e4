"""Records how runs ended: in the store, in the log, and for those who are told.

A success commits done mark, state and emitted events in one transaction. A failed event is tried
three times, then it becomes a dead letter; a refusal for now parks it.
Source: docs/explanation/requirements.md, "Intake".
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from botkit.errors import Drop, Parked, Retry
from botkit.model.events import Event
from botkit.model.records import (
    DeadLetter,
    EventState,
    RunDead,
    RunDone,
    RunEnd,
    RunParked,
    RunRetried,
)
from botkit.telemetry.error_text import error_text, plain_text, trace_text
from botkit.telemetry.times import rfc3339
from botkit.waiting.backoff import JITTER, Ladder
from botkit.waiting.store_outage import StoreOutage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from botkit.model.records import NewEvent, StateChange
    from botkit.ports import Entropy
    from botkit.runtime.dispatch.failure_hooks import FailureHooks
    from botkit.runtime.dispatch.workers import Slot
    from botkit.runtime.intake.lanes import Job
    from botkit.runtime.writes.actions import Services

__all__ = ["Ended", "RunEnds"]

_log = structlog.get_logger(__name__)

_TRIES = 3
_BACKOFF = Ladder(steps_s=(2.0, 15.0), jitter=JITTER)
_LONGEST_WAIT = timedelta(days=3650)


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


class RunEnds:
    """Record how runs ended. `True` says that the end is stored later, with others.

    Args:
        store_soon: Takes the end of an event that changed nothing else, to store it with others.
        later: Called with the time at which an event in the store becomes due.
        redact: Removes secrets from a trace.
        on_ended: Called after every run.
    """

    def __init__(
        self,
        services: Services,
        *,
        entropy: Entropy,
        failures: FailureHooks,
        store_soon: Callable[[Job, RunDone], None],
        later: Callable[[datetime], None],
        redact: Callable[[str], str],
        on_ended: Callable[[Ended], None] | None,
    ) -> None:
        self._events = services.store.events
        self._clock = services.clock
        self._fence = services.fence
        self._entropy = entropy
        self._failures = failures
        self._store_soon = store_soon
        self._later = later
        self._redact = redact
        self._on_ended = on_ended
        self._said_late = False
        self.outage: StoreOutage = StoreOutage(_log, "event", clock=self._clock)

    async def bury(
        self, job: Job, *, reason: str, handler: str = "", error: BaseException | None = None
    ) -> None:
        """Move the event to the dead letters."""
        letter = DeadLetter(
            account_id=job.account_id,
            key=job.key,
            kind=job.kind,
            reason=reason,
            error=self._redact(error_text(error)) if error is not None else "",
            trace=self._redact(trace_text(error)) if error is not None else "",
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
        await self.fail(job, slot, error, "timeout")

    def late(self, job: Job, handler: str) -> bool:
        """Set the event aside as too late for the handler, until a person retries it."""
        if not self._said_late:
            _log.warning("event.late", key=job.key, handler=handler)
        self._said_late = True
        return self.put_aside(job, EventState.LATE, handler, handler)

    def put_aside(self, job: Job, state: EventState, note: str, handler: str = "") -> bool:
        """End an event that no handler gets, in this state."""
        self._store_soon(job, RunDone(seq=job.seq, state=state, note=note))
        self._tell(job, state.value, handler=handler, note=note)
        return True

    async def done(
        self,
        job: Job,
        note: str,
        *,
        handler: str = "",
        changes: Sequence[StateChange] = (),
        emitted: tuple[NewEvent, ...] = (),
        returned: object = None,
    ) -> bool:
        """Commit the end of an event, with its state changes and signals."""
        if not changes and not emitted:
            return self.finished(job, note, handler=handler, returned=returned)
        await self._settle(
            RunDone(seq=job.seq, note=note, changes=tuple(changes), emitted=emitted)
        )
        if emitted:
            now = self._clock.now()
            self._later(min(new.not_before or now for new in emitted))
        self._tell(job, "done", handler=handler, note=note, returned=returned)
        return False

    def finished(self, job: Job, note: str, *, handler: str = "", returned: object = None) -> bool:
        """End an event that changed nothing else."""
        self._store_soon(job, RunDone(seq=job.seq, note=note))
        if self._on_ended is not None:
            self._tell(job, "done", handler=handler, note=note, returned=returned)
        return True

    async def park(self, job: Job, slot: Slot, parked: Parked) -> None:
        """Let the event wait, until its time or until its cause is gone; no try is counted."""
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

    async def drop(self, job: Job, slot: Slot, drop: Drop) -> None:
        """End an event that its handler, or a rule, wants no more of."""
        note = plain_text(drop.reason)
        await self._settle(RunDone(seq=job.seq, state=EventState.DROPPED, note=note))
        _log.info("event.dropped", key=job.key, handler=slot.handler, reason=note)
        self._tell(job, "dropped", handler=slot.handler, note=note)

    async def fail(
        self, job: Job, slot: Slot, error: BaseException, reason: str = "failed"
    ) -> None:
        """Count a failed try: run the event again later, or bury it after the last try."""
        tried = job.attempts + 1
        if tried >= _TRIES:
            await self.bury(job, reason=reason, handler=slot.handler, error=error)
            return
        if isinstance(error, Retry) and error.after is not None:
            wait = min(error.after, _LONGEST_WAIT)
        else:
            wait = timedelta(seconds=_BACKOFF.wait_s(tried - 1, self._entropy))
        not_before = self._clock.now() + wait
        why = self._redact(error_text(error))
        await self._settle(RunRetried(seq=job.seq, not_before=not_before, reason=why))
        first = tried == 1 and not isinstance(error, Retry)
        _log.warning(
            "handler.failed",
            key=job.key,
            handler=slot.handler,
            tried=tried,
            again_at=rfc3339(not_before),
            error=why,
            **({"exception": self._redact(trace_text(error))} if first else {}),
        )
        self._later(not_before)
        self._tell(job, "retry", handler=slot.handler, note=why, error=error)
        await self._failures.tell(job, slot.handler, error, again_at=not_before)

    async def _settle(self, end: RunEnd) -> None:
        await self.outage.outlast(lambda: self._events.settle([end], fence=self._fence()))

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
