"""Store money and calls, by account and hour, and the resources that X charged for."""

from __future__ import annotations

from decimal import Decimal
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from botkit.model.bookings import BudgetEntry
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


class SqlLedger:
    """See `botkit.ports.store.Ledger`."""

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


def lock_accounts(transaction: Transaction, bookings: Iterable[Booking]) -> None:
    """Lock these accounts against other bookings; call it at the start of a job that books."""
    for account_id in sorted({booking.account_id for booking in bookings}):
        transaction.lock(f"budget/{account_id}")


def book(transaction: Transaction, bookings: Iterable[Booking]) -> None:
    """Add the bookings to their hours; skip a resource charged earlier on the same day."""
    sums: dict[tuple[str, int], tuple[Decimal, Decimal, int]] = {}
    # Sorted, so that two transactions that charge the same resources never deadlock.
    for booking in sorted(bookings, key=attrgetter("app", "resource")):
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
