"""Limits what each account spends by hour and by day, also across restarts.

A step reserves its price before it is journaled, so that steps which run side by side cannot
spend the same money twice. What was spent is booked in memory at once and in the store soon after.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import structlog
from msgspec import Struct

from botkit.errors import Parked, StoreUnavailable
from botkit.protocol.api import operations

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from botkit.ports import Clock, Store
    from botkit.protocol.api.requests import Request

__all__ = ["Budget", "BudgetLimits"]

_log = structlog.get_logger(__name__)

_NOTHING = Decimal(0)
_FLUSH_S = 1.0


class BudgetLimits(Struct, frozen=True, kw_only=True):
    """The most that may be spent, USD; None for no limit."""

    hour_usd: Decimal | None = None
    day_usd: Decimal | None = Decimal(50)


class Budget:
    """Counts what each account spent and refuses what would be too much.

    A refusal is one for now: the event waits for the next hour or day (UTC), or for a new limit.
    """

    def __init__(self, store: Store, clock: Clock, limits: BudgetLimits) -> None:
        self._store = store
        self._clock = clock
        self.limits = limits
        self._reserved: dict[str, Decimal] = {}
        self._unstored: dict[tuple[str, datetime], tuple[Decimal, Decimal]] = {}
        # Between reading the ledger and acting on what it said nothing may be booked or reserved.
        self._books = asyncio.Lock()
        self._noted = asyncio.Event()

    async def check(self, account_id: str, cost_usd: Decimal) -> None:
        """Return if that much more may be spent now.

        Raises:
            Parked: `budget`, until the hour or the day is over.
        """
        async with self._books:
            await self._refuse_too_much(account_id, cost_usd)

    @asynccontextmanager
    async def reserved(self, account_id: str, cost_usd: Decimal) -> AsyncGenerator[None]:
        """Hold that much back inside the block, which calls `charge` for what it spends.

        Raises:
            Parked: `budget`, until the hour or the day is over; the block is not entered.
        """
        async with self._books:
            await self._refuse_too_much(account_id, cost_usd)
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
        self._book(account_id, reads_usd=_NOTHING, writes_usd=cost_usd)

    def note(self, account_id: str, request: Request, cost_usd: Decimal) -> None:
        """Book the price of a call, but not of a write: the outbox charges those."""
        if not operations.operation(request.operation).writes:
            self._book(account_id, reads_usd=cost_usd, writes_usd=_NOTHING)

    def note_events(self, account_id: str, cost_usd: Decimal) -> None:
        """Book the price of events that X delivered."""
        if cost_usd:
            self._book(account_id, reads_usd=cost_usd, writes_usd=_NOTHING)

    async def spent(self, account_id: str) -> tuple[Decimal, Decimal]:
        """Return the USD spent in this hour and on this day, UTC."""
        async with self._books:
            return await self._sums(account_id)

    async def flush(self) -> None:
        """Store what was booked; keep for the next call what the store does not take now."""
        async with self._books:
            for (account_id, hour), (reads_usd, writes_usd) in list(self._unstored.items()):
                try:
                    await self._store.ledger.spend(
                        account_id, now=hour, reads_usd=reads_usd, writes_usd=writes_usd
                    )
                except StoreUnavailable as error:
                    _log.error(
                        "store.unavailable", waiting="spending", account=account_id, why=str(error)
                    )
                    return
                self._settle(account_id, hour, reads_usd, writes_usd)

    async def run(self) -> None:
        """Store what is booked, a second later, until cancelled."""
        while True:
            await self._noted.wait()
            self._noted.clear()
            await self._clock.sleep(_FLUSH_S)
            await self.flush()

    async def _refuse_too_much(self, account_id: str, cost_usd: Decimal) -> None:
        if not cost_usd or (self.limits.hour_usd is None and self.limits.day_usd is None):
            return
        hour = _hour(self._clock.now())
        by_hour, by_day = await self._sums(account_id)
        wanted = self._reserved.get(account_id, _NOTHING) + cost_usd
        if _over(self.limits.day_usd, by_day + wanted):
            raise Parked("budget", until=hour.replace(hour=0) + timedelta(days=1))
        if _over(self.limits.hour_usd, by_hour + wanted):
            raise Parked("budget", until=hour + timedelta(hours=1))

    async def _sums(self, account_id: str) -> tuple[Decimal, Decimal]:
        hour = _hour(self._clock.now())
        day = hour.replace(hour=0)
        by_hour = by_day = _NOTHING
        for entry in await self._store.ledger.spent(account_id, since=day):
            by_day += entry.reads_usd + entry.writes_usd
            by_hour += entry.reads_usd + entry.writes_usd if entry.hour >= hour else _NOTHING
        # Read after the ledger: what is booked while it was read is counted, too.
        for (whose, when), (reads_usd, writes_usd) in self._unstored.items():
            if whose == account_id and when >= day:
                by_day += reads_usd + writes_usd
                by_hour += reads_usd + writes_usd if when >= hour else _NOTHING
        return by_hour, by_day

    def _book(self, account_id: str, *, reads_usd: Decimal, writes_usd: Decimal) -> None:
        key = account_id, _hour(self._clock.now())
        reads, writes = self._unstored.get(key, (_NOTHING, _NOTHING))
        self._unstored[key] = reads + reads_usd, writes + writes_usd
        self._noted.set()

    def _settle(
        self, account_id: str, hour: datetime, reads_usd: Decimal, writes_usd: Decimal
    ) -> None:
        """Subtract what the store has now; more may have been booked meanwhile."""
        reads, writes = self._unstored.pop((account_id, hour))
        if reads != reads_usd or writes != writes_usd:
            self._unstored[account_id, hour] = reads - reads_usd, writes - writes_usd


def _hour(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0)


def _over(limit: Decimal | None, would_be: Decimal) -> bool:
    return limit is not None and would_be > limit
