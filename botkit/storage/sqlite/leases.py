"""Roles that one process holds at a time, as rows with an epoch that only grows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botkit.errors import LeaseLost
from botkit.model.records import Fence
from botkit.storage.sqlite.values import to_us

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime, timedelta

    from botkit.storage.sqlite.engine import Engine, Transaction

__all__ = ["SqliteLeases"]

_TAKE = """
INSERT INTO lease (name, owner, epoch, until, ttl) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, epoch = excluded.epoch,
  until = excluded.until, ttl = excluded.ttl
"""


class SqliteLeases:
    """See `botkit.ports.store.Leases`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def acquire(
        self, name: str, owner: str, *, ttl: timedelta, now: datetime
    ) -> Fence | None:
        """Take a free or expired lease, with the next epoch; None when another holds it."""
        now_us = to_us(now)
        ttl_us = to_us(now + ttl) - now_us

        def job(transaction: Transaction) -> Fence | None:
            row = transaction.execute(
                "SELECT owner, epoch, until, ttl FROM lease WHERE name = ?", (name,)
            ).fetchone()
            holder, epoch, until, given = row or ("", 0, 0, 0)
            if holder not in {"", owner} and until > now_us:
                if until > now_us + given:
                    # The clock went back. Whoever lives renews within its span; without this,
                    # a dead holder would keep the role for as long as the clock was moved.
                    transaction.execute(
                        "UPDATE lease SET until = ? WHERE name = ?", (now_us + given, name)
                    )
                return None
            transaction.execute(_TAKE, (name, owner, epoch + 1, now_us + ttl_us, ttl_us))
            transaction.forget_leases()
            return Fence(name, owner, epoch + 1)

        return await self._engine.write(job)

    async def renew(self, fence: Fence, *, ttl: timedelta, now: datetime) -> None:
        """Hold it longer; `LeaseLost` when it is gone."""
        until_us = to_us(now + ttl)
        ttl_us = until_us - to_us(now)

        def job(transaction: Transaction) -> None:
            done = transaction.execute(
                "UPDATE lease SET until = ?, ttl = ? WHERE name = ? AND owner = ? AND epoch = ?",
                (until_us, ttl_us, fence.name, fence.owner, fence.epoch),
            ).rowcount
            if not done:
                raise LeaseLost(f"The lease {fence.name} (epoch {fence.epoch}) was taken over.")

        await self._engine.write(job)

    async def release(self, fence: Fence) -> None:
        """Give it back; does nothing when it is gone."""

        def job(transaction: Transaction) -> None:
            transaction.execute(
                "UPDATE lease SET owner = '', until = 0 "
                "WHERE name = ? AND owner = ? AND epoch = ?",
                (fence.name, fence.owner, fence.epoch),
            )
            transaction.forget_leases()

        await self._engine.write(job)

    async def holder(self, name: str, *, now: datetime) -> str | None:
        """Who holds it now."""
        now_us = to_us(now)

        def job(reader: sqlite3.Connection) -> str | None:
            row = reader.execute(
                "SELECT owner FROM lease WHERE name = ? AND until > ? AND owner != ''",
                (name, now_us),
            ).fetchone()
            return row[0] if row else None

        return await self._engine.read(job)
