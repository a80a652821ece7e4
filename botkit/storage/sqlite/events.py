"""The hot path of the events on SQLite: record, read what is due, mark, settle."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from botkit.model.records import InboxPage
from botkit.storage.sql.event_rows import event_rows, insert_checkpoint
from botkit.storage.sql.ledger import book
from botkit.storage.sql.values import from_us_or_none, to_us
from botkit.storage.sql.work.events import ITEM, SqlEvents, inbox_items
from botkit.storage.sqlite.settle import listed, prepare_settlement, settle

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from botkit.model.bookings import Booking
    from botkit.model.hearing import Checkpoint
    from botkit.model.records import Fence, NewEvent, RunEnd
    from botkit.ports import Clock
    from botkit.storage.sql.event_rows import EventRow
    from botkit.storage.sql.transaction import SqlReader, Transaction
    from botkit.storage.sqlite.engine import Engine
    from botkit.storage.sqlite.settle import Settlement

    _Delivery = tuple[
        Sequence[EventRow],
        Checkpoint | None,
        Settlement | None,
        Sequence[Booking],
        Fence | None,
    ]

__all__ = ["SqliteEvents"]

_PROMOTED_AT_ONCE = 2000
_PROMOTABLE = "SELECT 1 FROM inbox WHERE queue = 1 AND not_before <= ?1 LIMIT 1"
_PROMOTE = """
UPDATE inbox SET queue = 0 WHERE queue = 1 AND seq IN (
  SELECT seq FROM inbox WHERE queue = 1 AND not_before <= ?1 ORDER BY not_before LIMIT ?2)
"""
_DUE = f"""{ITEM}
WHERE i.queue = 0 AND i.seq > ?1 AND (i.not_before IS NULL OR i.not_before <= ?2)
ORDER BY i.seq LIMIT ?3
"""
_NEXT = """
SELECT min(at) FROM (
  SELECT min(not_before) AS at FROM inbox WHERE queue = 0 AND not_before > ?1
  UNION ALL SELECT min(not_before) FROM inbox WHERE queue = 1 AND not_before > ?1)
"""
# To set `queue`, even to what it is, costs four times as much: it is a part of the key.
_RUN_DUE = """
UPDATE inbox SET running = 1, waiting_for = '', not_before = NULL
WHERE queue = 0 AND seq IN (SELECT value FROM json_each(?1))
"""
_RUN = """
UPDATE inbox SET queue = 0, running = 1, waiting_for = '', not_before = NULL
WHERE queue = 1 AND seq IN (SELECT value FROM json_each(?1))
"""


class SqliteEvents(SqlEvents):
    """See `botkit.ports.journal.Events`."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        super().__init__(engine)
        self._hot = engine
        self._clock = clock

    async def append(
        self,
        events: Sequence[NewEvent],
        *,
        checkpoint: Checkpoint | None = None,
        ends: Sequence[RunEnd] = (),
        bookings: Sequence[Booking] = (),
        fence: Fence | None = None,
    ) -> list[int | None]:
        now_us = to_us(self._clock.now())
        settlement = prepare_settlement(ends, now_us) if ends else None
        delivery = (event_rows(events, now_us), checkpoint, settlement, bookings, fence)
        return await self._hot.write(_append, delivery)

    async def due(self, now: datetime, *, after_seq: int = 0, limit: int = 500) -> InboxPage:
        now_us = to_us(now)
        while True:
            page = await self._hot.read(lambda reader: _page(reader, after_seq, now_us, limit))
            if page is not None:
                return page
            await self._hot.write(
                lambda transaction: transaction.execute(_PROMOTE, (now_us, _PROMOTED_AT_ONCE))
            )

    async def settle(self, ends: Sequence[RunEnd], *, fence: Fence) -> None:
        settlement = prepare_settlement(ends, to_us(self._clock.now()))

        def job(transaction: Transaction) -> None:
            transaction.check(fence)
            settle(transaction, settlement)

        await self._hot.write(job)

    async def mark_running(self, seqs: Sequence[int], *, fence: Fence) -> None:
        numbers, count = (listed(seqs),), len(seqs)

        def job(transaction: Transaction) -> None:
            transaction.check(fence)
            if transaction.execute(_RUN_DUE, numbers).rowcount < count:
                transaction.execute(_RUN, numbers)

        await self._hot.write(job)


def _append(transaction: Transaction, deliveries: Sequence[_Delivery]) -> list[list[int | None]]:
    """Record what several callers bring at the same time; return the numbers for each of them."""
    for _, checkpoint, settlement, bookings, fence in deliveries:
        transaction.check(fence)
        if bookings:
            book(transaction, bookings)
        if checkpoint is not None:
            insert_checkpoint(transaction, checkpoint)
        if settlement is not None:
            settle(transaction, settlement)
    given = iter(transaction.record_events([row for rows, *_ in deliveries for row in rows]))
    return [list(islice(given, len(rows))) for rows, *_ in deliveries]


def _page(reader: SqlReader, after_seq: int, now_us: int, limit: int) -> InboxPage | None:
    """Return what is due, None if events whose time has come are still set aside."""
    if reader.execute(_PROMOTABLE, (now_us,)).fetchone() is not None:
        return None
    return InboxPage(
        items=inbox_items(reader.execute(_DUE, (after_seq, now_us, limit))),
        next_at=from_us_or_none(reader.execute(_NEXT, (now_us,)).fetchone()[0]),
    )
