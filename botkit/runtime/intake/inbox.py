"""Makes events durable before their source may acknowledge them.

One transaction holds the events and the source's checkpoint. An event whose key is on record is
dropped as a duplicate. New events go on to the dispatcher as they are, without another decoding.
Source: docs/explanation/requirements.md, "Intake".
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from botkit.errors import StoreUnavailable
from botkit.model.events import GrantRevoked, XEvent
from botkit.model.records import NewEvent
from botkit.protocol.events.activity import encode_event
from botkit.runtime.intake.enrichment import is_incomplete
from botkit.runtime.intake.lanes import Job

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from datetime import datetime

    from botkit.model.events import Event
    from botkit.model.hearing import Checkpoint
    from botkit.model.records import Fence
    from botkit.ports import Clock, Store
    from botkit.runtime.dispatch.done_batch import DoneBatch
    from botkit.runtime.writes.checks.budget import Budget

__all__ = ["Inbox", "Taker", "job_of", "row_of"]

_log = structlog.get_logger(__name__)

_when: Final = attrgetter("at")


class Taker(Protocol):
    """Takes the events that were recorded: the dispatcher."""

    def offer(self, jobs: Iterable[Job]) -> None:
        """Handle these, or leave them in the store until there is room."""
        ...

    def starts_at_once(self, account_id: str, lanes: Sequence[str]) -> Sequence[bool]:
        """Return for a new event in each of these lanes whether its handler would start at once.

        Called just before the events are recorded.
        """
        ...

    @property
    def done_batch(self) -> DoneBatch:
        """Return the ends that are stored in the same transaction as new events."""
        ...

    async def let_catch_up(self) -> None:
        """Wait until there is room for more events, but only a moment."""
        ...


class Inbox:
    """Put events into the store: the `ports.Intake` of a running bot.

    Args:
        budget: Holds the charges for the events, to book them in the same transaction.
        on_revoked: Awaited for each new `GrantRevoked` after it is durable.
        limit: The number of waiting events at which the inbox is full.
    """

    def __init__(
        self,
        *,
        store: Store,
        taker: Taker,
        clock: Clock,
        fence: Callable[[], Fence],
        budget: Budget,
        on_revoked: Callable[[GrantRevoked], Awaitable[None]] | None = None,
        limit: int = 100_000,
    ) -> None:
        self._events = store.events
        self._taker = taker
        self._clock = clock
        self._fence = fence
        self._budget = budget
        self._on_revoked = on_revoked
        self._limit = limit
        self._closed = False
        self._waiting = 0
        self.recorded: int = 0
        """How many new events were recorded since the start."""

    @property
    def full(self) -> bool:
        """Return True if too many events wait to take more now."""
        return self._waiting >= self._limit

    def note_waiting(self, waiting: int) -> None:
        """Take the number of events that wait in the store."""
        if (waiting >= self._limit) != self.full:
            if waiting >= self._limit:
                _log.warning("inbox.full", limit=self._limit)
            else:
                _log.warning("inbox.open_again")
        self._waiting = waiting

    def close(self) -> None:
        """Take nothing more: the process is stopping."""
        self._closed = True

    async def record(
        self,
        events: Sequence[Event],
        *,
        account_id: str,
        source: str,
        checkpoint: Checkpoint | None = None,
    ) -> int:
        """Commit events and checkpoint together; return how many were new. See `ports.Intake`.

        Raises:
            StoreUnavailable: Nothing was recorded, also when the inbox is full or closed.
        """
        if self._closed or (self.full and events):
            why = "closed: the process is stopping" if self._closed else "full"
            raise StoreUnavailable(f"The inbox is {why}; nothing was recorded.")
        # One delivery is recorded in the order in which its events happened.
        ordered = sorted(map(_from_outside, events), key=_when)
        rows = self._rows(ordered, account_id, source)
        now = self._clock.now()
        with (
            self._taker.done_batch.join_commit() as ends,
            self._budget.join_commit() as bookings,
        ):
            seqs = await self._events.append(
                rows, checkpoint=checkpoint, ends=ends, bookings=bookings, fence=self._fence()
            )
        jobs = [
            job_of(row, event, seq, now)
            for row, event, seq in zip(rows, ordered, seqs, strict=True)
            if seq is not None
        ]
        if jobs:
            self.recorded += len(jobs)
            self._taker.offer(jobs)
            await self._taker.let_catch_up()
            if self._on_revoked is not None:
                await self._tell_revoked(jobs)
        return len(jobs)

    def _rows(self, events: Sequence[XEvent], account_id: str, source: str) -> list[NewEvent]:
        starts = self._taker.starts_at_once(account_id, [event.lane for event in events])
        return [
            row_of(event, account_id, source, running=at_once and not is_incomplete(event))
            for event, at_once in zip(events, starts, strict=True)
        ]

    async def _tell_revoked(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            if isinstance(job.event, GrantRevoked) and self._on_revoked is not None:
                await self._on_revoked(job.event)


def _from_outside(event: Event) -> XEvent:
    if not isinstance(event, XEvent):
        raise TypeError(f"{type(event).__name__} has no key of its own: emit it from a handler")
    return event


def row_of(event: XEvent, account_id: str, source: str, *, running: bool = False) -> NewEvent:
    """Return the inbox's row for an event."""
    kind, body = encode_event(event)
    return NewEvent(
        account_id=account_id,
        key=event.key,
        kind=kind,
        lane=event.lane,
        body=body,
        at=event.at,
        source=source,
        running=running,
    )


def job_of(row: NewEvent, event: Event, seq: int, recorded_at: datetime | None = None) -> Job:
    """Return the job of an event that was just recorded; it needs no decoding."""
    return Job(
        seq=seq,
        account_id=row.account_id,
        key=row.key,
        kind=row.kind,
        lane=row.lane,
        event=event,
        source=row.source,
        marked=row.running,
        recorded_at=recorded_at,
    )
