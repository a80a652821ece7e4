"""Settles writes whose outcome is unknown, by reading the account's own timeline.

One read an account serves all its rows. Times of the next reads stand in the rows, so that a
restart continues the count. Source: docs/explanation/requirements.md, "Writes".
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
import structlog

from botkit.errors import StateError
from botkit.model.bookings import Booking
from botkit.model.messages import Message
from botkit.model.records import (
    MissedRead,
    StoredWrite,
    WriteMove,
    WritePolicy,
    WriteState,
)
from botkit.protocol.rules import policy
from botkit.runtime.writes.lookups.write_lookup import TimelineReading, WriteLookup
from botkit.runtime.writes.write_outcomes import (
    DUPLICATE,
    MESSAGE_OPERATIONS,
    REPEATABLE,
    duplicate_refusal,
    is_found_by_reading,
)
from botkit.waiting.backoff import Ladder
from botkit.waiting.events import event_or_timeout
from botkit.waiting.store_outage import StoreOutage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from botkit.model.posts import Post
    from botkit.model.records import Fence
    from botkit.ports import Clock, Sender, Store
    from botkit.runtime.writes.checks.budget import Budget

__all__ = ["Reconciler"]

_log = structlog.get_logger(__name__)

_NOTHING = Decimal(0)
_READS_AFTER_S = (5.0, 15.0, 60.0, 180.0)
_SOONEST_S = 5.0
_FAILING = Ladder(steps_s=(180.0, 360.0, 720.0, 900.0))
_CLEAN_READS = 2
_CLEAN_APART = timedelta(seconds=60)
_LAST_AFTER_SEND = timedelta(minutes=2)
_LOOK_BACK = timedelta(minutes=2)
_LOOK_FAR_BACK = timedelta(hours=24)
"""When the clock was set back since the sending, whose true time nobody knows then."""
_GIVE_UP_AFTER = timedelta(hours=24)
_GIVE_UP_READS = 8
_FAR = timedelta(hours=1)
"""No read is planned that far ahead: the wall clock was set back, and the plan is void."""
_AT_ONCE = 8
_STORE = Ladder(steps_s=(5.0,))
_LONGEST_WAIT_S = 300.0


class Reconciler:
    """Settle UNCERTAIN writes by reading: as CONFIRMED, REJECTED, QUEUED again or UNRESOLVED.

    Args:
        budget: Takes back the price of a write that turns out not to be on X.
        fence: Returns the fence of the runner's lease at the time of the call.
        on_settled: Called when an event that waited for a write may run again.
        report: Called with part, state and detail, for `botkit status` and `/readyz`.
    """

    def __init__(
        self,
        *,
        store: Store,
        sender: Sender,
        clock: Clock,
        budget: Budget,
        fence: Callable[[], Fence],
        on_settled: Callable[[], None] | None = None,
        report: Callable[[str, str, str], None] | None = None,
    ) -> None:
        self._store = store
        self._timeline = WriteLookup(sender)
        self._clock = clock
        self._budget = budget
        self._fence = fence
        self._on_settled = on_settled
        self._report = report
        self._woken = asyncio.Event()
        self._at_once = asyncio.Semaphore(_AT_ONCE)

    def wake(self) -> None:
        """Look again, because a write became uncertain."""
        self._woken.set()

    async def unpark(self, waiting_for: str, *, account_id: str) -> None:
        """Make events run again whose cause for waiting is over."""
        await self._store.events.unpark(waiting_for, account_id=account_id)
        if self._on_settled is not None:
            self._on_settled()

    async def run(self) -> None:
        """Settle what becomes due, until cancelled."""
        outage = StoreOutage(_log, "uncertain writes", clock=self._clock, ladder=_STORE)
        while True:
            self._woken.clear()
            try:
                wait_s = await self.settle_due()
            except StateError as error:
                await outage.wait(error)
                continue
            outage.end()
            await event_or_timeout(self._woken, wait_s, clock=self._clock)

    async def settle_due(self) -> float | None:
        """Settle the rows whose time has come; return the seconds until the next one.

        Raises:
            StateError: The store cannot be used now, or the lease is gone.
        """
        now = self._clock.now()
        groups: dict[tuple[str, str, str], list[StoredWrite]] = {}
        uncertain = await self._store.writes.listing(states=[WriteState.UNCERTAIN], limit=10_000)
        for row in uncertain:
            groups.setdefault(_place(row), []).append(row)
        due = [rows for rows in groups.values() if any(_is_due(row, now) for row in rows)]
        if not due:
            times = [row.next_read_at for row in uncertain if row.next_read_at is not None]
            return min((min(times) - now).total_seconds(), _LONGEST_WAIT_S) if times else None
        troubles: list[StateError] = []
        async with asyncio.TaskGroup() as group:
            for rows in due:
                group.create_task(self._settle(rows, troubles))
        if troubles:
            raise troubles[0]
        return 0.0

    async def _settle(self, rows: Sequence[StoredWrite], troubles: list[StateError]) -> None:
        async with self._at_once:
            try:
                left = [row for row in rows if not await self._needs_no_reading(row)]
                if left:
                    now = self._clock.now()
                    since = min(_earliest(row, now) for row in left)
                    reading = await self._timeline.read(left[0], since, at=now)
                    await self._judge(left, reading)
            except StateError as error:
                troubles.append(error)

    async def _needs_no_reading(self, row: StoredWrite) -> bool:
        """Return True for a write that can be sent again, or left to a person, without reading."""
        repeats = row.operation in REPEATABLE or row.policy is WritePolicy.RESEND
        if not repeats or row.reason == DUPLICATE:
            if is_found_by_reading(row.operation):
                return False
            await self._unresolved(row, "botkit cannot look up what this operation does")
            return True
        await self._send_again(row, "may be sent twice")
        return True

    async def _judge(self, rows: Sequence[StoredWrite], reading: TimelineReading) -> None:
        """Match rows with posts that show them: oldest with oldest, no post for two rows."""
        shown: dict[str, list[Post]] = {}
        taken: set[str] = set()
        confirmed: list[StoredWrite] = []
        for row in sorted(rows, key=_sent_first):
            matches = shown[row.id] = await self._matches(row, reading)
            free = [post for post in matches if post.id not in taken]
            if not free:
                await self._not_shown(row, reading)
            elif await self._has_rival(row):
                _log.info("write.ambiguous", write=row.id)
                await self._plan(row, reading, clean=False)
            else:
                taken.add(free[0].id)
                confirmed.append(row)
                await self._confirm(row, free[0])
        for row in confirmed:
            self._report_twice(row, [post for post in shown[row.id] if post.id not in taken])

    async def _matches(self, row: StoredWrite, reading: TimelineReading) -> list[Post]:
        """Return posts that the row may have made and no other row did, oldest first."""
        earliest = _earliest(row, reading.at) - reading.ahead
        found: list[Post] = []
        for post in reading.posts:
            if post.created_at is not None and post.created_at < earliest:
                continue
            if policy.shows_write(row, post):
                owner = await self._store.writes.owner_of(row.account_id, post.id)
                if owner in {None, row.id}:
                    found.append(post)
        return sorted(found, key=lambda post: (len(post.id), post.id))

    async def _has_rival(self, row: StoredWrite) -> bool:
        """Return True if another write of the same text still waits for its answer."""
        sending = await self._store.writes.listing(
            states=[WriteState.SENDING], account_id=row.account_id, limit=1_000
        )
        return any(
            other.text_hash == row.text_hash and _place(other) == _place(row) for other in sending
        )

    async def _confirm(self, row: StoredWrite, post: Post) -> None:
        result = msgspec.json.encode(_result(row, post))
        await self._move(row, WriteMove(to=WriteState.CONFIRMED, result_id=post.id, result=result))
        _log.info("write.found", write=row.id, result=post.id)
        await self._release(row)

    def _report_twice(self, row: StoredWrite, others: Sequence[Post]) -> None:
        if not others:
            return
        ids = " ".join(post.id for post in others)
        _log.error("write.duplicated", write=row.id, also=ids)
        if self._report is not None:
            self._report(
                f"write/{row.id}", "twice", f"X also shows {ids}: delete what is too much"
            )

    async def _not_shown(self, row: StoredWrite, reading: TimelineReading) -> None:
        if _is_out_of_reach(row, reading):
            await self._unresolved(row, "X shows an account's newest 3,200 posts, this is older")
        elif reading.clean and _proves_absence(row, reading.at):
            await self._absent(row)
        elif reading.at - _sent_last(row) >= _GIVE_UP_AFTER and row.reads >= _GIVE_UP_READS:
            await self._unresolved(row, f"could not be read: {reading.trouble or 'not clean'}")
        else:
            await self._plan(row, reading, clean=reading.clean)

    async def _plan(self, row: StoredWrite, reading: TimelineReading, *, clean: bool) -> None:
        """Count the reading, and store when the next one is due."""
        now = self._clock.now()
        next_read_at = max(_next_read(row, now, clean=clean), now + timedelta(seconds=_SOONEST_S))
        if reading.retry_at is not None:
            next_read_at = max(next_read_at, min(reading.retry_at, now + _FAR))
        missed = MissedRead(clean=clean, next_read_at=next_read_at)
        await self._store.writes.move(row.id, missed, now=reading.at)

    async def _absent(self, row: StoredWrite) -> None:
        if row.reason == DUPLICATE:
            _log.warning("write.rejected_as_duplicate", write=row.id)
            await self._move(row, WriteMove(to=WriteState.REJECTED, reason=duplicate_refusal()))
            await self._release(row)
        elif row.policy is WritePolicy.HOLD:
            await self._unresolved(row, "not on the timeline")
        else:
            await self._send_again(
                row, "absent: two clean reads did not show it", back_usd=row.cost_usd
            )

    async def _unresolved(self, row: StoredWrite, reason: str) -> None:
        _log.error("write.unresolved", next_step="botkit writes settle", write=row.id, why=reason)
        await self._move(row, WriteMove(to=WriteState.UNRESOLVED, reason=reason))

    async def _send_again(
        self, row: StoredWrite, reason: str, *, back_usd: Decimal = _NOTHING
    ) -> None:
        """Queue a write again; take `back_usd` off what was booked when it was sent."""
        _log.info("write.requeued", write=row.id, why=reason)
        back = Booking(account_id=row.account_id, at=_sent_last(row), writes_usd=-back_usd)
        again = WriteMove(to=WriteState.QUEUED, reason=reason)
        await self._move(row, again, *([back] if back_usd else ()))
        await self._release(row)

    async def _move(self, row: StoredWrite, move: WriteMove, *own: Booking) -> None:
        with self._budget.join_commit(*own) as bookings:
            await self._store.writes.move(
                row.id, move, now=self._clock.now(), bookings=bookings, fence=self._fence()
            )

    async def _release(self, row: StoredWrite) -> None:
        await self.unpark(f"write/{row.id}", account_id=row.account_id)


def _place(row: StoredWrite) -> tuple[str, str, str]:
    """Return what must be read for the row: the account's posts, or one conversation."""
    if row.operation in MESSAGE_OPERATIONS:
        return row.account_id, row.operation, row.target
    return row.account_id, "", ""


def _sent_first(row: StoredWrite) -> datetime:
    return row.first_sent_at or row.created_at


def _sent_last(row: StoredWrite) -> datetime:
    return row.last_sent_at or row.created_at


def _sent_by(row: StoredWrite, now: datetime) -> datetime:
    """Return a time by which it was surely sent, also if the clock was set back since."""
    sent, clean_at = _sent_last(row), row.first_clean_at
    if sent <= now:
        return sent
    return now if clean_at is None else min(clean_at, now)


def _earliest(row: StoredWrite, now: datetime) -> datetime:
    """Return the time before which X cannot have made the row's post."""
    sent = _sent_first(row)
    return sent - _LOOK_BACK if sent <= now else now - _LOOK_FAR_BACK


def _is_due(row: StoredWrite, now: datetime) -> bool:
    return row.next_read_at is None or not now < row.next_read_at <= now + _FAR


def _is_out_of_reach(row: StoredWrite, reading: TimelineReading) -> bool:
    """Return True if the row's post can be older than all that X shows, now and later."""
    earliest = _earliest(row, reading.at) - reading.ahead
    return reading.reaches_to is not None and earliest < reading.reaches_to


def _proves_absence(row: StoredWrite, now: datetime) -> bool:
    """Return True for two clean reads 60 s apart, the last 2 minutes or more after the sending."""
    if row.clean_reads + 1 < _CLEAN_READS or row.first_clean_at is None:
        return False
    sent = _sent_by(row, now)
    return now - row.first_clean_at >= _CLEAN_APART and now - sent >= _LAST_AFTER_SEND


def _next_read(row: StoredWrite, now: datetime, *, clean: bool) -> datetime:
    """Return 5, 15, 60, 180 s after the sending; later, when a reading can prove something."""
    sent = _sent_by(row, now)
    for after_s in _READS_AFTER_S if clean or sent < now else ():
        if sent + timedelta(seconds=after_s) > now:
            return sent + timedelta(seconds=after_s)
    if clean:
        return (row.first_clean_at or now) + _CLEAN_APART
    failures = max(row.reads - row.clean_reads - len(_READS_AFTER_S), 0)
    return now + timedelta(seconds=_FAILING.step_s(failures))


def _result(row: StoredWrite, post: Post) -> Post | Message:
    if row.operation not in MESSAGE_OPERATIONS:
        return post
    return Message(
        id=post.id,
        conversation_id=post.conversation_id or "",
        text=post.text,
        sender_id=row.account_id,
        created_at=post.created_at,
    )
