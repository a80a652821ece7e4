"""Keep account of reads whose answer was lost: X may have charged for them.

A read is recorded before it is sent, and closed with the charge that its answer shows. If there is
no answer, the same request is sent again before the UTC day ends: X does not charge a resource
twice a day, so this shows the charge and adds nothing to it. What was not read again by then is
booked at the most that it can have cost: what the next read of the same kind shows of that time,
else the price of a full answer.
Source: X API docs, "Post cap" (a resource is charged once a UTC day); docs/explanation/cost.md.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import structlog

from botkit.errors import BotkitError, Parked, StateError
from botkit.model.bookings import Booking, OpenRead
from botkit.protocol.api.ids import snowflake_time
from botkit.protocol.api.requests import Request
from botkit.protocol.rules import pricing
from botkit.telemetry.times import rfc3339
from botkit.waiting.events import event_or_timeout
from botkit.waiting.store_outage import StoreOutage

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from botkit.ports import Clock, Sender, Store
    from botkit.protocol.rules.pricing import Charge
    from botkit.runtime.writes.checks.budget import Budget

__all__ = ["OpenReads"]

_log = structlog.get_logger(__name__)

_PAUSES_S = (60.0, 300.0, 900.0, 3600.0)
"""The waits before a lost read is sent again; the first one lets its caller do so."""
_UNDER_WAY = timedelta(seconds=90)
"""A read of another process that is older than this has lost its answer."""
_LOOK_S = 900.0
_NEXT_DAY = timedelta(minutes=10)
"""The time in which a poll reads again after the day of a lost read."""
_PAGING = frozenset({"pagination_token", "next_token"})

_Key = tuple["date", str, str, str]


class _Lost(msgspec.Struct):
    """Hold a read whose answer was lost, and when to send it again or, after its day, give up."""

    read: OpenRead
    due: datetime
    tries: int = 0
    shown: list[Booking] | None = None
    """The bookings for what the next read of the same kind shows of that time."""


class OpenReads:
    """Record reads while they are under way, and settle those that got no answer."""

    def __init__(self, store: Store, clock: Clock, budget: Budget) -> None:
        self._ledger = store.ledger
        self._clock = clock
        self._budget = budget
        self._lost: dict[_Key, _Lost] = {}
        self._earlier: dict[_Key, _Lost] = {}
        """The lost reads of earlier days."""
        self._wake = asyncio.Event()

    async def begin(self, request: Request, *, account_id: str, app: str) -> OpenRead | None:
        """Record a read that is about to be sent; return None if it costs nothing (more) today."""
        most_usd = pricing.most_usd(request)
        if not most_usd:
            return None
        known = pricing.resources_of(request, account_id=account_id)
        if known and self._budget.has_charged(known, app=app):
            return None
        now = self._clock.now()
        read = OpenRead(
            account_id=account_id,
            app=app,
            at=now,
            request=_text_of(request, now),
            most_usd=most_usd,
        )
        if _key(read) in self._lost or self._budget.reopen(read):
            return read
        try:
            if not await self._ledger.open_read(read):
                self._lose(read)  # another process has sent it, too
        except StateError as error:
            _log.warning("read.not_recorded", request=request.name, why=str(error))
        return read

    def end(self, read: OpenRead, charge: Charge | None) -> None:
        """Close a read with the charge that was noted for it, free if X has refused the read.

        None means that the answer was lost; then the read stays open. So it does if X refuses it
        after an earlier try whose answer was lost.
        """
        if charge is None or (not charge.each_usd and _key(read) in self._lost):
            self._lose(read)
            return
        self._lost.pop(_key(read), None)
        self._budget.settle(read)
        for lost in self._earlier.values():
            if charge.each_usd and lost.shown is None and _is_like(lost.read, read):
                lost.shown = list(_shown(lost.read, charge))
                lost.due = self._clock.now()
                self._wake.set()

    async def run(self, sender: Sender) -> None:
        """Settle, until cancelled, the reads whose answer was lost, also in earlier processes."""
        outage = StoreOutage(_log, "reads without an answer", clock=self._clock)
        while True:
            self._wake.clear()
            wait_s = await outage.outlast(partial(self._settle_all, sender))
            await event_or_timeout(self._wake, wait_s, clock=self._clock)

    def _lose(self, read: OpenRead) -> None:
        if _key(read) not in self._lost:
            self._lost[_key(read)] = _Lost(read=read, due=self._later(0))
            self._wake.set()

    async def _settle_all(self, sender: Sender) -> float:
        """Settle what is due; return the seconds until more may be."""
        lost = set(self._lost)
        rows = [row for row in await self._ledger.open_reads() if not row.given_up]
        for gone in lost - {_key(row) for row in rows}:
            self._lost.pop(gone, None)  # another process has read it
        for row in rows:
            if row.at.date() < self._clock.now().date():
                await self._settle_earlier(row)
            else:
                await self._settle_today(row, sender)
        now = self._clock.now()
        dues = (lost.due for lost in (*self._lost.values(), *self._earlier.values()))
        waits = [(due - now).total_seconds() for due in dues]
        return max(1.0, min([_LOOK_S, _until_midnight_s(now), *waits]))

    async def _settle_today(self, read: OpenRead, sender: Sender) -> None:
        """Send a lost read again if that is due."""
        now = self._clock.now()
        if now - read.at > _UNDER_WAY:
            self._lost.setdefault(_key(read), _Lost(read=read, due=now))
        lost = self._lost.get(_key(read))
        if lost is None or lost.due > now:
            return
        request = _request_of(read)
        if request is None:
            await self._give_up(read, [_lump(read, read.most_usd)])
            return
        lost.tries += 1
        lost.due = self._later(lost.tries)
        try:
            await sender.send(request, account_id=read.account_id)
        except (BotkitError, Parked) as problem:
            next_try = rfc3339(lost.due)
            _log.info("read.unsettled", request=request.name, next_try=next_try, why=str(problem))

    async def _settle_earlier(self, read: OpenRead) -> None:
        """Give up a lost read of an earlier day, after the time for a read like it."""
        self._lost.pop(_key(read), None)
        now = self._clock.now()
        lost = self._earlier.get(_key(read))
        if lost is None:
            lost = self._earlier[_key(read)] = _Lost(read=read, due=now)
            if not _named(read):
                lost.due += _NEXT_DAY
            elif now - read.at < _UNDER_WAY:
                lost.due += _UNDER_WAY
        if lost.due <= now:
            await self._give_up(read, _most(read) if lost.shown is None else lost.shown)

    async def _give_up(self, read: OpenRead, bookings: list[Booking]) -> None:
        """Book the most that the read can have cost."""
        most_usd = sum((booking.reads_usd for booking in bookings), Decimal(0))
        given_up = await self._ledger.give_up_read(read, bookings)
        self._lost.pop(_key(read), None)
        self._earlier.pop(_key(read), None)
        if given_up and most_usd:
            _log.warning(
                "read.given_up",
                account=read.account_id,
                request=_name_of(read),
                most_usd=str(most_usd),
                sent=rfc3339(read.at),
            )

    def _later(self, tries: int) -> datetime:
        """Return when to send a read again; often enough to do so before the day ends."""
        now = self._clock.now()
        pause_s = _PAUSES_S[min(tries, len(_PAUSES_S) - 1)]
        return now + timedelta(seconds=min(pause_s, max(1.0, _until_midnight_s(now) / 2)))


def _key(read: OpenRead) -> _Key:
    return read.at.date(), read.app, read.account_id, read.request


def _text_of(request: Request, now: datetime) -> str:
    text = msgspec.json.encode(request).decode()
    # X charges some calls each time: each of them has a row of its own, and is not sent again.
    return (
        text
        if pricing.is_by_resource(request)
        else f"{text} {rfc3339(now, timespec='microseconds')}"
    )


def _request_of(read: OpenRead) -> Request | None:
    """Return the request of the read, None if it must not be sent again."""
    try:
        return msgspec.json.decode(read.request, type=Request)
    except msgspec.DecodeError:
        return None


def _name_of(read: OpenRead) -> str:
    request = _request_of(read)
    return request.name if request else read.request


def _is_like(earlier: OpenRead, read: OpenRead) -> bool:
    """Return True if the second read shows all that the first one showed, and perhaps more.

    Both are a first page of the same list, and the second one does not begin after the first one.
    """
    if (earlier.app, earlier.account_id) != (read.app, read.account_id):
        return False
    one, other = _request_of(earlier), _request_of(read)
    if one is None or other is None or one.path != other.path:
        return False
    before, now = dict(one.query), dict(other.query)
    begins = int(before.pop("since_id", "0")), int(now.pop("since_id", "0"))
    return before == now and not _PAGING & before.keys() and begins[0] >= begins[1]


def _named(read: OpenRead) -> tuple[str, ...]:
    """Return the resources that the read names."""
    request = _request_of(read)
    return pricing.resources_of(request, account_id=read.account_id) if request else ()


def _most(read: OpenRead) -> list[Booking]:
    """Return the bookings of a read about which nothing more is known."""
    named = _named(read)
    each_usd = read.most_usd / max(len(named), 1)
    return [_of(read, name, each_usd) for name in named] or [_lump(read, read.most_usd)]


def _shown(read: OpenRead, charge: Charge) -> Iterable[Booking]:
    """Yield the bookings for what a like read shows to have been there at the time of a read.

    If its page is full, as many may have been pushed off it as have come.
    """
    latest = read.at + _UNDER_WAY
    left_usd = read.most_usd
    for name in charge.resources:
        made = snowflake_time(name.rpartition("/")[2])
        if made is None or made <= latest:
            left_usd -= charge.each_usd
            yield _of(read, name, charge.each_usd)
    if len(charge.resources) * charge.each_usd >= read.most_usd and left_usd > 0:
        yield _lump(read, left_usd)


def _of(read: OpenRead, resource: str, usd: Decimal) -> Booking:
    return Booking(
        account_id=read.account_id, at=read.at, app=read.app, resource=resource, reads_usd=usd
    )


def _lump(read: OpenRead, usd: Decimal) -> Booking:
    return _of(read, "", usd)


def _until_midnight_s(now: datetime) -> float:
    tomorrow = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return (tomorrow - now).total_seconds()
