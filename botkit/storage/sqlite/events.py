"""The inbox, the record of events and the dead letters: what the runtime does with them.

`event` is the record (it is the dedup, kept for seven days) and is written once; `ended` says how
an event ended, apart so that a done mark touches little; `inbox` holds what is not finished. Queue
0 of the inbox is due, queue 1 is set aside for a time or a cause, so that a backlog of either does
not slow the other.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import islice
from typing import TYPE_CHECKING, Any

from botkit.errors import Conflict
from botkit.model.records import EventState, InboxItem
from botkit.storage.sql.event_rows import event_rows, insert_checkpoint
from botkit.storage.sql.events_admin import EventsAdmin
from botkit.storage.sql.values import from_us, from_us_or_none, to_us, to_us_or_none

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from botkit.model.records import (
        Checkpoint,
        DeadLetter,
        Fence,
        Finish,
        NewEvent,
        StateChange,
    )
    from botkit.ports import Clock
    from botkit.storage.sql.event_rows import EventRow
    from botkit.storage.sql.transaction import SqlReader, Transaction
    from botkit.storage.sqlite.engine import Engine

    _Ends = Mapping[tuple[str, str], Sequence[int]]
    """Events by how they ended: state and note."""
    _Delivery = tuple[Sequence[EventRow], Checkpoint | None, _Ends, Fence | None]

__all__ = ["SqliteEvents"]

_PROMOTED_AT_ONCE = 2000

_ITEM = """
SELECT e.seq, e.account_id, e.key, e.kind, e.lane, e.body, e.at, e.source, e.cause,
  i.attempts, i.unclean, e.run, i.not_before, i.waiting_for
FROM inbox i JOIN event e ON e.seq = i.seq
"""
_DUE = f"""{_ITEM}
WHERE i.queue = 0 AND i.seq > ? AND (i.not_before IS NULL OR i.not_before <= ?)
ORDER BY i.seq LIMIT ?
"""
_PROMOTE = """
UPDATE inbox SET queue = 0 WHERE queue = 1 AND seq IN (
  SELECT seq FROM inbox WHERE queue = 1 AND not_before <= ? ORDER BY not_before LIMIT ?)
"""
_END_RUN = """
INSERT INTO ended SELECT seq, ?2, ?3, attempts FROM inbox
WHERE queue = ?1 AND seq BETWEEN ?4 AND ?5
"""
_LEAVE_RUN = "DELETE FROM inbox WHERE queue = ?1 AND seq BETWEEN ?2 AND ?3"
# ?1 is a JSON list of numbers: one statement for a whole batch, half the cost of one for each.
_END = """
INSERT INTO ended SELECT i.seq, ?3, ?4, i.attempts
FROM json_each(?1) CROSS JOIN inbox i ON i.queue = ?2 AND i.seq = value
"""
_LEAVE = """
DELETE FROM inbox WHERE queue = ?2 AND seq IN (SELECT value FROM json_each(?1))
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
_SET_ASIDE = """
UPDATE inbox SET queue = 1, running = 0, not_before = ?2, waiting_for = ?3, reason = ?4,
  attempts = attempts + ?5
WHERE queue IN (0, 1) AND seq = ?1
"""


class SqliteEvents(EventsAdmin):
    """See `botkit.ports.store.Events`."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        super().__init__(engine, clock)
        self._hot = engine

    async def append(
        self,
        events: Sequence[NewEvent],
        *,
        checkpoint: Checkpoint | None = None,
        ended: Sequence[Finish] = (),
        fence: Fence | None = None,
    ) -> list[int | None]:
        """Record events and move the checkpoint, together; with them what `finish_many` stores."""
        rows = event_rows(events, to_us(self._clock.now()))
        delivery = (rows, checkpoint, _by_end(ended), fence)
        return await self._hot.write(_append, delivery)

    async def due(self, now: datetime, *, after_seq: int = 0, limit: int = 500) -> list[InboxItem]:
        """Events that wait and whose time has come, in order of `seq`, from after `after_seq`."""
        now_us = to_us(now)
        while await self._engine.read(lambda reader: _has_promotable(reader, now_us)):
            await self._engine.write(lambda transaction: _promote(transaction, now_us))
        return await self._engine.read(
            lambda reader: _items(reader.execute(_DUE, (after_seq, now_us, limit)))
        )

    async def next_due(self, now: datetime) -> datetime | None:
        """The earliest `not_before` after now, None when nothing waits for a time."""
        now_us = to_us(now)

        def job(reader: SqlReader) -> int | None:
            times = [
                reader.execute(
                    "SELECT min(not_before) FROM inbox WHERE queue = ? AND not_before > ?",
                    (queue, now_us),
                ).fetchone()[0]
                for queue in (0, 1)
            ]
            return min((time for time in times if time is not None), default=None)

        return from_us_or_none(await self._engine.read(job))

    async def amend(self, seq: int, body: bytes, *, fence: Fence) -> None:
        """Replace an inbox event's body: what the delivery lacked was looked up."""

        def job(transaction: Transaction) -> None:
            transaction.check(fence)
            transaction.execute(
                "UPDATE event SET body = ?2 WHERE seq = ?1 AND EXISTS "
                "(SELECT 1 FROM inbox WHERE queue IN (0, 1) AND seq = ?1)",
                (seq, body),
            )

        await self._engine.write(job)

    async def mark_running(self, seqs: Sequence[int], *, fence: Fence) -> None:
        """Say that these events' handlers start now (for counting unclean ends)."""
        listed, count = (_listed(seqs),), len(seqs)

        def job(transaction: Transaction) -> None:
            transaction.check(fence)
            if transaction.execute(_RUN_DUE, listed).rowcount < count:
                transaction.execute(_RUN, listed)

        await self._engine.write(job)

    async def count_unclean(self, *, fence: Fence) -> list[InboxItem]:
        """At start: raise `unclean` of all that were running, clear the marks, give them."""

        def job(transaction: Transaction) -> list[InboxItem]:
            transaction.check(fence)
            transaction.execute("UPDATE inbox SET unclean = unclean + 1 WHERE running = 1")
            items = _items(
                transaction.execute(f"{_ITEM} WHERE i.running = 1 ORDER BY i.seq").fetchall()
            )
            transaction.execute("UPDATE inbox SET running = 0 WHERE running = 1")
            return items

        return await self._engine.write(job)

    async def finish(self, finish: Finish, *, fence: Fence) -> None:
        """Done mark, state changes and emitted events, in one transaction."""
        rows = event_rows(finish.emitted, to_us(self._clock.now())) if finish.emitted else ()

        def job(transaction: Transaction) -> None:
            transaction.check(fence)
            if finish.changes and _waits(transaction, finish.seq):
                _apply(transaction, finish.changes)
            if _end(transaction, [finish.seq], finish.state.value, finish.note) and rows:
                transaction.record_events(rows)

        await self._engine.write(job)

    async def finish_many(self, finishes: Sequence[Finish], *, fence: Fence) -> None:
        """Done marks of events that changed no state and emitted nothing."""
        ends = _by_end(finishes)

        def job(transaction: Transaction) -> None:
            transaction.check(fence)
            for (state, note), seqs in ends.items():
                _end(transaction, seqs, state, note)

        await self._engine.write(job)

    async def retry_later(
        self, seq: int, *, not_before: datetime, reason: str, fence: Fence
    ) -> None:
        """Count a failed try and set the time of the next; clears the running mark."""
        await self._set_aside((seq, to_us(not_before), "", reason, 1), fence)

    async def park(
        self, seq: int, *, waiting_for: str, until: datetime | None, fence: Fence
    ) -> None:
        """Make the event wait for a cause; no try is counted; clears the running mark."""
        await self._set_aside((seq, to_us_or_none(until), waiting_for, "", 0), fence)

    async def bury(self, seq: int, letter: DeadLetter, *, fence: Fence) -> None:
        """Move the event to the dead letters."""
        row = (
            seq,
            letter.account_id,
            letter.key,
            letter.kind,
            letter.reason,
            letter.error,
            letter.trace,
            letter.handler,
            letter.attempts,
            to_us(letter.at),
        )

        def job(transaction: Transaction) -> None:
            transaction.check(fence)
            if _end(transaction, [seq], EventState.DEAD.value, letter.reason):
                transaction.execute("INSERT INTO dead VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

        await self._engine.write(job)

    async def _set_aside(self, row: tuple[Any, ...], fence: Fence) -> None:
        def job(transaction: Transaction) -> None:
            transaction.check(fence)
            transaction.execute(_SET_ASIDE, row)

        await self._engine.write(job)


def _append(transaction: Transaction, deliveries: Sequence[_Delivery]) -> list[list[int | None]]:
    """Record what several callers bring at the same time; numbers for each of them."""
    for _, checkpoint, ends, fence in deliveries:
        transaction.check(fence)
        if checkpoint is not None:
            insert_checkpoint(transaction, checkpoint)
        for (state, note), seqs in ends.items():
            _end(transaction, seqs, state, note)
    given = iter(transaction.record_events([row for rows, *_ in deliveries for row in rows]))
    return [list(islice(given, len(rows))) for rows, *_ in deliveries]


def _by_end(finishes: Iterable[Finish]) -> _Ends:
    seqs: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for finish in finishes:
        seqs[finish.state.value, finish.note].append(finish.seq)
    return seqs


def _end(transaction: Transaction, given: Iterable[int], state: str, note: str) -> int:
    """Take those that wait out of the inbox, and say how they ended; gives how many.

    What ends is nearly always in the first queue, and often without a gap.
    """
    seqs = sorted({*given})
    if seqs[-1] - seqs[0] < len(seqs):
        return _end_run(transaction, seqs[0], seqs[-1], state, note)
    listed, ended = _listed(seqs), 0
    for queue in (0, 1):
        ended += transaction.execute(_END, (listed, queue, state, note)).rowcount
        transaction.execute(_LEAVE, (listed, queue))
        if ended == len(seqs):
            break
    return ended


def _end_run(transaction: Transaction, first: int, last: int, state: str, note: str) -> int:
    """As `_end`, of all from the first to the last."""
    ended = 0
    for queue in (0, 1):
        ended += transaction.execute(_END_RUN, (queue, state, note, first, last)).rowcount
        transaction.execute(_LEAVE_RUN, (queue, first, last))
        if ended > last - first:
            break
    return ended


def _listed(seqs: Sequence[int]) -> str:
    return f"[{','.join(map(str, seqs))}]"


def _has_promotable(reader: SqlReader, now_us: int) -> bool:
    found = reader.execute(
        "SELECT 1 FROM inbox WHERE queue = 1 AND not_before <= ? LIMIT 1", (now_us,)
    ).fetchone()
    return found is not None


def _promote(transaction: Transaction, now_us: int) -> None:
    transaction.execute(_PROMOTE, (now_us, _PROMOTED_AT_ONCE))


def _waits(transaction: Transaction, seq: int) -> bool:
    row = transaction.execute(
        "SELECT 1 FROM inbox WHERE queue IN (0, 1) AND seq = ?", (seq,)
    ).fetchone()
    return row is not None


def _apply(transaction: Transaction, changes: Sequence[StateChange]) -> None:
    """Change the author's state; looks at all revisions before it writes the first."""
    for change in changes:
        row = transaction.execute(
            "SELECT rev FROM state WHERE scope = ? AND key = ?", (change.scope, change.key)
        ).fetchone()
        rev = row[0] if row else 0
        if rev != change.expected_rev:
            raise Conflict(
                f"The state {change.scope}/{change.key} has moved on (revision {rev}, "
                f"read was {change.expected_rev}); nothing was written."
            )
    for change in changes:
        if change.value is None:
            transaction.execute(
                "DELETE FROM state WHERE scope = ? AND key = ?", (change.scope, change.key)
            )
        else:
            transaction.execute(
                "INSERT INTO state VALUES (?, ?, ?, ?) "
                "ON CONFLICT (scope, key) DO UPDATE SET rev = excluded.rev, "
                "value = excluded.value",
                (change.scope, change.key, change.expected_rev + 1, change.value),
            )


def _items(rows: Iterable[tuple[Any, ...]]) -> list[InboxItem]:
    return [
        InboxItem(
            seq=row[0],
            account_id=row[1],
            key=row[2],
            kind=row[3],
            lane=row[4],
            body=row[5],
            at=from_us(row[6]),
            source=row[7],
            cause=row[8],
            attempts=row[9],
            unclean=row[10],
            run=row[11],
            not_before=from_us_or_none(row[12]),
            waiting_for=row[13],
        )
        for row in rows
    ]
