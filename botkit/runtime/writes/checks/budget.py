"""Limit the spending of each account by hour and by day, also across restarts.

A step reserves its price before it is journaled, so that concurrent steps cannot spend the same
money twice. A charge is booked in memory at once. The store books it together with what it paid
for: events and cursor, or the outcome of a write. A process that dies before that has stored
neither, and X does not charge again for a resource that is read again on the same day.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import structlog
from msgspec import Struct
from msgspec.structs import replace

from botkit.errors import Parked, StoreUnavailable
from botkit.model.bookings import Booking

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Generator, Iterable, Sequence

    from botkit.model.bookings import BudgetEntry, OpenRead
    from botkit.ports import Clock, Store
    from botkit.protocol.rules.pricing import Charge

__all__ = ["Budget", "BudgetLimits"]

_log = structlog.get_logger(__name__)

_NOTHING = Decimal(0)
_FLUSH_S = 0.05
"""The time for which a booking waits for another commit to join."""
_MOST_CHARGED = 50_000
"""The most charged resources to remember without asking the store."""

_Charged = tuple[date, str, str]
_Key = tuple[str, datetime] | tuple[date, str, str, str] | _Charged


class BudgetLimits(Struct, frozen=True, kw_only=True):
    """The most that may be spent, USD; None for no limit."""

    hour_usd: Decimal | None = None
    day_usd: Decimal | None = Decimal(50)
    hearing_day_usd: Decimal | None = None


class Budget:
    """Count the spending of each account, and refuse what exceeds its limits.

    A resource that X has charged an app for is not counted again on that UTC day. A refusal is
    temporary: the event waits for the next hour or day (UTC), or for a new limit.
    """

    def __init__(self, store: Store, clock: Clock, limits: BudgetLimits) -> None:
        self._store = store
        self._clock = clock
        self.limits = limits
        self._reserved: dict[str, Decimal] = {}
        self._unstored: dict[_Key, Booking] = {}
        self._storing: list[dict[_Key, Booking]] = []
        self._stored = 0
        """The number of commits that have stored bookings."""
        self._charged: set[_Charged] = set()
        self._noted = asyncio.Event()
        self._settled = asyncio.Event()

    async def check(self, account_id: str, cost_usd: Decimal) -> None:
        """Return if that much more may be spent now.

        Raises:
            Parked: `budget`, until the hour or the day is over.
        """
        if not cost_usd or (self.limits.hour_usd is None and self.limits.day_usd is None):
            return
        if await self._wait_until(account_id, cost_usd) is not None:
            # Unstored bookings may be of resources that were charged before.
            await self._settle()
            until = await self._wait_until(account_id, cost_usd)
            if until is not None:
                raise Parked("budget", until=until)

    async def check_hearing(self, account_id: str) -> None:
        """Check that the account may spend more on hearing on this day.

        Raises:
            Parked: `budget`, until the day is over.
        """
        limit = self.limits.hearing_day_usd
        if limit is None or await self._read_today(account_id) < limit:
            return
        await self._settle()
        if await self._read_today(account_id) >= limit:
            tomorrow = _hour(self._clock.now()).replace(hour=0) + timedelta(days=1)
            raise Parked("budget", until=tomorrow)

    @contextlib.asynccontextmanager
    async def reserved(self, account_id: str, cost_usd: Decimal) -> AsyncGenerator[None]:
        """Hold that much back inside the block, which calls `charge` for what it spends.

        Raises:
            Parked: `budget`, until the hour or the day is over; the block is not entered.
        """
        await self.check(account_id, cost_usd)
        # Since the sum in `check` nothing was awaited, so nobody else has reserved meanwhile.
        self._reserved[account_id] = self._reserved.get(account_id, _NOTHING) + cost_usd
        try:
            yield
        finally:
            left = self._reserved[account_id] - cost_usd
            if left:
                self._reserved[account_id] = left
            else:
                del self._reserved[account_id]

    def charge(self, account_id: str, cost_usd: Decimal) -> None:
        """Book the price of a write that was carried out, or may have been."""
        self._keep([Booking(account_id=account_id, at=self._clock.now(), writes_usd=cost_usd)])

    def note(self, account_id: str, charge: Charge, *, app: str) -> None:
        """Book X's charge for a read or a delivery."""
        if not charge.each_usd:
            return
        now = self._clock.now()
        self._keep(
            Booking(
                account_id=account_id, at=now, app=app, resource=name, reads_usd=charge.each_usd
            )
            for name in charge.resources
        )

    def has_charged(self, resources: Collection[str], *, app: str) -> bool:
        """Return True if it is known that X has charged the app for all of them today."""
        today = self._clock.now().date()
        return all((today, app, name) in self._charged for name in resources)

    def settle(self, read: OpenRead) -> None:
        """Close a recorded read with the next commit, which also stores its noted charge."""
        booking = Booking(account_id=read.account_id, at=self._clock.now(), settles=read)
        self._unstored[_key_of(read)] = booking
        self._noted.set()

    def reopen(self, read: OpenRead) -> bool:
        """Leave an equal read open that no commit has closed yet; return True if there is one."""
        return self._unstored.pop(_key_of(read), None) is not None

    async def spent(self, account_id: str) -> tuple[Decimal, Decimal]:
        """Return the USD spent in this hour and on this day, UTC."""
        await self._settle()
        return await self._sums(account_id)

    @contextlib.contextmanager
    def join_commit(self, *own: Booking) -> Generator[Sequence[Booking]]:
        """Yield the waiting bookings, so that the commit inside the block stores them, too.

        If the block fails, they wait for the next commit; the bookings in `own` do not.
        """
        if not self._unstored:
            yield own
            self._stored += bool(own)
            return
        taken, self._unstored = self._unstored, {}
        self._storing.append(taken)
        try:
            yield (*own, *taken.values())
        except Exception:  # whatever it was, the commit stored none of them
            self._keep(taken.values())
            raise
        except BaseException:
            # The store finishes a commit whose caller is cancelled; a resource is booked once.
            self._keep(each for each in taken.values() if each.resource or each.settles)
            raise
        else:
            self._stored += 1
            self._learn(taken.values())
        finally:
            self._storing.remove(taken)
            if not self._storing:
                self._settled.set()

    async def flush(self) -> None:
        """Store what was booked; keep for the next call what the store does not take now."""
        if not self._unstored:
            return
        try:
            with self.join_commit() as bookings:
                await self._store.ledger.book(bookings)
        except StoreUnavailable as error:
            _log.error("store.unavailable", waiting="spending", why=str(error))

    async def run(self) -> None:
        """Store, until cancelled, the bookings that no other commit has stored in time."""
        while True:
            await self._noted.wait()
            self._noted.clear()
            await self._clock.sleep(_FLUSH_S)
            await self.flush()

    async def _wait_until(self, account_id: str, cost_usd: Decimal) -> datetime | None:
        """Return the end of the hour or day whose limit the cost exceeds, None if none does."""
        hour = _hour(self._clock.now())
        by_hour, by_day = await self._sums(account_id)
        wanted = self._reserved.get(account_id, _NOTHING) + cost_usd
        if _over(self.limits.day_usd, by_day + wanted):
            return hour.replace(hour=0) + timedelta(days=1)
        if _over(self.limits.hour_usd, by_hour + wanted):
            return hour + timedelta(hours=1)
        return None

    async def _settle(self) -> None:
        """Store the waiting bookings, and wait for the commits that store other ones."""
        await self.flush()
        while self._storing:
            self._settled.clear()
            await self._settled.wait()

    async def _sums(self, account_id: str) -> tuple[Decimal, Decimal]:
        hour = _hour(self._clock.now())
        sums = [(at, reads + writes) for at, reads, writes in await self._today(account_id)]
        by_hour = sum((usd for at, usd in sums if at >= hour), _NOTHING)
        return by_hour, sum((usd for _, usd in sums), _NOTHING)

    async def _read_today(self, account_id: str) -> Decimal:
        return sum((reads for _, reads, _ in await self._today(account_id)), _NOTHING)

    async def _today(self, account_id: str) -> list[tuple[datetime, Decimal, Decimal]]:
        """Return the day's spending as tuples of hour, money for reads and money for writes."""
        day = _hour(self._clock.now()).replace(hour=0)
        stored = -1
        entries: Iterable[BudgetEntry] = ()
        while stored != self._stored:  # else a commit under way would hide a booking
            stored = self._stored
            entries = await self._store.ledger.spent(account_id, since=day)
        waiting = [
            each
            for bookings in (self._unstored, *self._storing)
            for each in bookings.values()
            if each.account_id == account_id and each.at >= day
        ]
        return [(entry.hour, entry.reads_usd, entry.writes_usd) for entry in entries] + [
            (each.at, each.reads_usd, each.writes_usd) for each in waiting
        ]

    def _keep(self, bookings: Iterable[Booking]) -> None:
        """Hold bookings for the next commit, each resource once, other money added up."""
        for booking in bookings:
            if booking.resource:
                charged = _charged(booking)
                if charged not in self._charged:
                    self._unstored.setdefault(charged, booking)
                continue
            if booking.settles is not None:
                self._unstored.setdefault(_key_of(booking.settles), booking)
                continue
            key = booking.account_id, _hour(booking.at)
            known = self._unstored.get(key)
            self._unstored[key] = booking if known is None else _added(known, booking)
        if self._unstored:
            self._noted.set()

    def _learn(self, stored: Iterable[Booking]) -> None:
        """Remember the booked resources, so that the store need not be asked again."""
        if len(self._charged) > _MOST_CHARGED:
            self._charged.clear()
        self._charged.update(_charged(booking) for booking in stored if booking.resource)


def _charged(booking: Booking) -> _Charged:
    return booking.at.date(), booking.app, booking.resource


def _key_of(read: OpenRead) -> tuple[date, str, str, str]:
    return read.at.date(), read.app, read.account_id, read.request


def _added(one: Booking, other: Booking) -> Booking:
    return replace(
        one,
        reads_usd=one.reads_usd + other.reads_usd,
        writes_usd=one.writes_usd + other.writes_usd,
    )


def _hour(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0)


def _over(limit: Decimal | None, would_be: Decimal) -> bool:
    return limit is not None and would_be > limit
