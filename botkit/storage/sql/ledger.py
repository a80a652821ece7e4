"""Money and calls, by account and hour."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from botkit.model.records import BudgetEntry
from botkit.storage.sql.values import from_us, to_us

if TYPE_CHECKING:
    from datetime import datetime

    from botkit.storage.sql.transaction import SqlEngine, SqlReader, Transaction

__all__ = ["SqlLedger", "hour_of"]

_HOUR_US = 3_600_000_000


class SqlLedger:
    """See `botkit.ports.store.Ledger`."""

    def __init__(self, engine: SqlEngine) -> None:
        self._engine = engine

    async def spend(
        self, account_id: str, *, now: datetime, reads_usd: Decimal, writes_usd: Decimal
    ) -> None:
        hour = hour_of(now)

        def job(transaction: Transaction) -> None:
            transaction.lock(f"budget/{account_id}")
            row = transaction.execute(
                "SELECT reads_usd, writes_usd, calls FROM budget "
                "WHERE account_id = ?1 AND hour = ?2",
                (account_id, hour),
            ).fetchone()
            reads, writes, calls = row or ("0", "0", 0)
            transaction.execute(
                "INSERT INTO budget VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (account_id, hour) "
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
        hour = hour_of(since)

        def job(reader: SqlReader) -> list[BudgetEntry]:
            rows = reader.execute(
                "SELECT account_id, hour, reads_usd, writes_usd, calls FROM budget "
                "WHERE account_id = ?1 AND hour >= ?2 ORDER BY hour",
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


def hour_of(at: datetime) -> int:
    """Return the start of the hour, as the ledger has it."""
    us = to_us(at)
    return us - us % _HOUR_US
