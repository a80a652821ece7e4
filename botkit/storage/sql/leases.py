"""Roles that one process holds at a time, as rows with an epoch that only grows.

A lease is free when it was given back, when its time is over, or when the kernel says that the
process which held it has ended (`HolderLocks`).
"""

from __future__ import annotations

import asyncio
import enum
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from botkit.errors import LeaseLost
from botkit.model.records import Fence
from botkit.storage.sql.values import to_us

if TYPE_CHECKING:
    from botkit.ports import Clock
    from botkit.storage.sql.transaction import SqlEngine, SqlReader, Transaction

__all__ = ["Holder", "HolderLocks", "SqlLeases"]

_MICROSECOND = timedelta(microseconds=1)
_TAKE = """
INSERT INTO lease (name, owner, epoch, until, ttl, lock) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, epoch = excluded.epoch,
  until = excluded.until, ttl = excluded.ttl, lock = excluded.lock
"""


class Holder(enum.Enum):
    """The kernel's knowledge of a lease's holder."""

    OURS = enum.auto()
    ALIVE = enum.auto()
    DEAD = enum.auto()
    UNKNOWN = enum.auto()


class HolderLocks(Protocol):
    """Locks that the system drops when the process that holds a lease ends."""

    def take(self, name: str, epoch: int) -> int:
        """Lock for that lease; return the mark for its row, 0 when there are no such locks."""
        ...

    def drop(self, name: str, epoch: int) -> None:
        """Unlock."""
        ...

    def judge(self, name: str, epoch: int, mark: int) -> Holder:
        """Return what the system knows of the holder of that lease."""
        ...


class SqlLeases:
    """See `botkit.ports.store.Leases`."""

    def __init__(self, engine: SqlEngine, locks: HolderLocks, clock: Clock) -> None:
        self._engine = engine
        self._locks = locks
        self._clock = clock

    async def acquire(
        self, name: str, owner: str, *, ttl: timedelta, ended: str = "", patient: bool = False
    ) -> Fence | None:
        ttl_us = ttl // _MICROSECOND

        def job(transaction: Transaction) -> Fence | None:
            transaction.lock(f"lease/{name}")
            now_us = to_us(self._clock.now())
            row = transaction.execute(
                "SELECT owner, epoch, until, ttl, lock FROM lease WHERE name = ?1", (name,)
            ).fetchone()
            holder, epoch, until, given, lock = row or ("", 0, 0, 0, 0)
            is_over = until <= now_us
            known = Holder.DEAD if holder in {"", ended} else self._locks.judge(name, epoch, lock)
            if known is Holder.ALIVE:
                free = is_over and not patient
            else:
                free = known is Holder.DEAD or is_over or holder == owner
            if not free:
                if until > now_us + given:
                    # The clock went back. A living holder renews within its span; without this,
                    # a dead one would keep the role for as long as the clock was moved.
                    transaction.execute(
                        "UPDATE lease SET until = ?1 WHERE name = ?2", (now_us + given, name)
                    )
                return None
            mark = self._locks.take(name, epoch + 1)
            row = (name, owner, epoch + 1, now_us + ttl_us, ttl_us, mark)
            transaction.execute(_TAKE, row)
            transaction.forget_leases()
            return Fence(name, owner, epoch + 1)

        return await self._engine.write(job)

    async def renew(self, fence: Fence, *, ttl: timedelta) -> None:
        ttl_us = ttl // _MICROSECOND

        def job(transaction: Transaction) -> None:
            until_us = to_us(self._clock.now()) + ttl_us
            done = transaction.execute(
                "UPDATE lease SET until = ?1, ttl = ?2 "
                "WHERE name = ?3 AND owner = ?4 AND epoch = ?5",
                (until_us, ttl_us, fence.name, fence.owner, fence.epoch),
            ).rowcount
            if not done:
                raise LeaseLost(f"The lease {fence.name} (epoch {fence.epoch}) was taken over.")

        await self._engine.write(job)

    async def release(self, fence: Fence) -> None:
        def job(transaction: Transaction) -> None:
            transaction.execute(
                "UPDATE lease SET owner = '', until = 0, lock = 0 "
                "WHERE name = ?1 AND owner = ?2 AND epoch = ?3",
                (fence.name, fence.owner, fence.epoch),
            )
            transaction.forget_leases()

        await self._engine.write(job)
        await asyncio.to_thread(self._locks.drop, fence.name, fence.epoch)

    async def holder(self, name: str) -> str | None:
        def job(reader: SqlReader) -> str | None:
            now_us = to_us(self._clock.now())
            row = reader.execute(
                "SELECT owner, epoch, lock FROM lease "
                "WHERE name = ?1 AND until > ?2 AND owner != ''",
                (name, now_us),
            ).fetchone()
            if row is None or self._locks.judge(name, row[1], row[2]) is Holder.DEAD:
                return None
            return str(row[0])

        return await self._engine.read(job)
