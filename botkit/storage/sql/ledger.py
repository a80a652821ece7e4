"""Store money and calls by account and hour, what X charged for, and reads without an answer."""

from __future__ import annotations

from decimal import Decimal
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from botkit.model.bookings import BudgetEntry, OpenRead
from botkit.storage.sql.values import from_us, to_us

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from botkit.model.bookings import Booking
    from botkit.storage.sql.transaction import SqlEngine, SqlReader, Transaction

__all__ = ["SqlLedger", "book", "day_of", "hour_of", "lock_accounts"]

_HOUR_US = 3_600_000_000
_DAY_US = 24 * _HOUR_US
_NOTHING = Decimal(0)
_CHARGE: Final = "INSERT INTO billed VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING"
_READ: Final = """
SELECT reads_usd, writes_usd, calls FROM budget WHERE account_id = ?1 AND hour = ?2
"""
_STORE: Final = """
INSERT INTO budget VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (account_id, hour)
DO UPDATE SET reads_usd = excluded.reads_usd, writes_usd = excluded.writes_usd,
  calls = excluded.calls
"""
_SPENT: Final = """
SELECT account_id, hour, reads_usd, writes_usd, calls FROM budget WHERE hour >= ?1 ORDER BY hour
"""
_ITS: Final = """
SELECT account_id, hour, reads_usd, writes_usd, calls FROM budget
WHERE hour >= ?1 AND account_id = ?2 ORDER BY hour
"""
_OPEN: Final = "INSERT INTO open_read VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0) ON CONFLICT DO NOTHING"
_OPEN_ONES: Final = """
SELECT app, account_id, request, at, most_usd, given_up FROM open_read ORDER BY at
"""
_CLOSE: Final = """
DELETE FROM open_read
WHERE day = ?1 AND app = ?2 AND account_id = ?3 AND request = ?4 AND given_up = 0
"""
_GIVE_UP: Final = """
UPDATE open_read SET given_up = 1, most_usd = ?5
WHERE day = ?1 AND app = ?2 AND account_id = ?3 AND request = ?4 AND given_up = 0
"""


class SqlLedger:
    """See `botkit.ports.ledger.Ledger`."""

    def __init__(self, engine: SqlEngine) -> None:
        self._engine = engine

    async def book(self, bookings: Sequence[Booking]) -> None:
        def job(transaction: Transaction) -> None:
            lock_accounts(transaction, bookings)
            book(transaction, bookings)

        await self._engine.write(job)

    async def spent(self, account_id: str | None = None, *, since: datetime) -> list[BudgetEntry]:
        hour = hour_of(since)
        query, values = (_SPENT, (hour,)) if account_id is None else (_ITS, (hour, account_id))

        def job(reader: SqlReader) -> list[BudgetEntry]:
            rows = reader.execute(query, values)
            return [
                BudgetEntry(
                    account_id=row[0],
                    hour=from_us(row[1]),
                    reads_usd=Decimal(row[2]),
                    writes_usd=Decimal(row[3]),
                    calls=row[4],
                )
                for row in rows
            ]

        return await self._engine.read(job)

    async def open_read(self, read: OpenRead) -> bool:
        values = (*_key(read), to_us(read.at), str(read.most_usd))

        def job(transaction: Transaction) -> bool:
            return transaction.execute(_OPEN, values).rowcount == 1

        return await self._engine.write(job)

    async def open_reads(self) -> list[OpenRead]:
        def job(reader: SqlReader) -> list[OpenRead]:
            return [
                OpenRead(
                    app=row[0],
                    account_id=row[1],
                    request=row[2],
                    at=from_us(row[3]),
                    most_usd=Decimal(row[4]),
                    given_up=bool(row[5]),
                )
                for row in reader.execute(_OPEN_ONES, ())
            ]

        return await self._engine.read(job)

    async def give_up_read(self, read: OpenRead, bookings: Sequence[Booking]) -> bool:
        most_usd = sum((booking.reads_usd for booking in bookings), _NOTHING)
        given_up = (_GIVE_UP, (*_key(read), str(most_usd))) if most_usd else (_CLOSE, _key(read))

        def job(transaction: Transaction) -> bool:
            lock_accounts(transaction, bookings)
            if not transaction.execute(*given_up).rowcount:
                return False
            book(transaction, bookings)
            return True

        return await self._engine.write(job)


def _key(read: OpenRead) -> tuple[int, str, str, str]:
    return day_of(read.at), read.app, read.account_id, read.request


def lock_accounts(transaction: Transaction, bookings: Iterable[Booking]) -> None:
    """Lock these accounts against other bookings; call it at the start of a job that books."""
    for account_id in sorted({booking.account_id for booking in bookings}):
        transaction.lock(f"budget/{account_id}")


def book(transaction: Transaction, bookings: Iterable[Booking]) -> None:
    """Add the bookings to their hours; skip a resource charged earlier on the same day.

    Close the reads that the bookings settle.
    """
    sums: dict[tuple[str, int], tuple[Decimal, Decimal, int]] = {}
    # Sorted, so that two transactions that charge the same resources never deadlock.
    for booking in sorted(bookings, key=attrgetter("app", "resource")):
        if booking.settles is not None:
            transaction.execute(_CLOSE, _key(booking.settles))
            continue
        if booking.resource:
            row = day_of(booking.at), booking.app, booking.resource
            if transaction.execute(_CHARGE, row).rowcount == 0:
                continue
        hour = booking.account_id, hour_of(booking.at)
        reads, writes, calls = sums.get(hour, (_NOTHING, _NOTHING, 0))
        sums[hour] = reads + booking.reads_usd, writes + booking.writes_usd, calls + 1
    for hour, (reads, writes, calls) in sorted(sums.items()):
        known = transaction.execute(_READ, hour).fetchone() or ("0", "0", 0)
        total = (str(Decimal(known[0]) + reads), str(Decimal(known[1]) + writes))
        transaction.execute(_STORE, (*hour, *total, known[2] + calls))


def hour_of(at: datetime) -> int:
    """Return the start of the hour, as the ledger has it."""
    us = to_us(at)
    return us - us % _HOUR_US


def day_of(at: datetime) -> int:
    """Return the number of the UTC day, counted from 1970."""
    return to_us(at) // _DAY_US
