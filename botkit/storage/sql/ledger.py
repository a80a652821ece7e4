"""Money and calls, by account and hour."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from botkit.model.records import BudgetEntry
from botkit.storage.sql.values import from_us, to_us

if TYPE_CHECKING:
    from datetime import datetime

    from botkit.storage.sql.transaction import SqlEngine, SqlReader, Transaction

__all__ = ["SqlLedger"]

_HOUR_US = 3_600_000_000


class SqlLedger:
    """See `botkit.ports.store.Ledger`."""

    def __init__(self, engine: SqlEngine) -> None:
        self._engine = engine

    async def spend(
        self, account_id: str, *, now: datetime, reads_usd: Decimal, writes_usd: Decimal
    ) -> None:
        """Add to the hour's entry."""
        hour = _hour(now)

        def job(transaction: Transaction) -> None:
            row = transaction.execute(
                "SELECT reads_usd, writes_usd, calls FROM budget "
                "WHERE account_id = ? AND hour = ?",
                (account_id, hour),
            ).fetchone()
            reads, writes, calls = row or ("0", "0", 0)
            transaction.execute(
                "INSERT INTO budget VALUES (?, ?, ?, ?, ?) ON CONFLICT (account_id, hour) "
                "DO UPDATE SET reads_usd = excluded.reads_usd, writes_usd = excluded.writes_usd, "
                "calls = excluded.calls",
                (
                    account_id,
                    hour,
                    str(Decimal(reads) + reads_usd),
                    str(Decimal(writes) + writes_usd),
                    calls + 1,
                ),
            )

        await self._engine.write(job)

    async def spent(self, account_id: str, *, since: datetime) -> list[BudgetEntry]:
        """The entries since then, oldest first."""
        hour = _hour(since)

        def job(reader: SqlReader) -> list[BudgetEntry]:
            rows = reader.execute(
                "SELECT account_id, hour, reads_usd, writes_usd, calls FROM budget "
                "WHERE account_id = ? AND hour >= ? ORDER BY hour",
                (account_id, hour),
            )
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

    async def prune(self, *, before: datetime) -> int:
        """Forget the entries of hours before then."""
        hour = _hour(before)

        def job(transaction: Transaction) -> int:
            return transaction.execute("DELETE FROM budget WHERE hour < ?", (hour,)).rowcount

        return await self._engine.write(job)


def _hour(at: datetime) -> int:
    us = to_us(at)
    return us - us % _HOUR_US
