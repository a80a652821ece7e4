"""The inbox, the record of events and the dead letters: what the runtime does with them.

`event` is the record (it is the dedup, kept for seven days), `body` its bytes, apart so that a
done mark touches little; `inbox` holds what is not finished. Queue 0 of the inbox is due, queue 1
is set aside for a time or a cause, so that a backlog of either does not slow the other.
"""

from __future__ import annotations

import sqlite3  # noqa: TC003 - kept beside its use, the room is about it
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from botkit.errors import Conflict
from botkit.model.records import InboxItem
from botkit.storage.sqlite.desk import EventDesk
from botkit.storage.sqlite.values import from_us, from_us_or_none, to_us, to_us_or_none

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from botkit.model.records import (
        Checkpoint,
        DeadLetter,
        Fence,
        Finish,
        NewEvent,
        StateChange,
    )
    from botkit.storage.sqlite.engine import Transaction

__all__ = ["EventRow", "SqliteEvents", "event_rows", "insert_checkpoint", "insert_events"]

EventRow = tuple[tuple[Any, ...], bytes, int, int | None, bool]
"""An event's columns, its body, its queue and `not_before`."""

_PROMOTED_AT_ONCE = 2000

_INSERT = """
INSERT INTO event (seq, account_id, key, kind, lane, source, cause, at, recorded_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_INSERT_BODY = "INSERT INTO body VALUES (?, ?)"
_INSERT_INBOX = "INSERT INTO inbox (queue, seq, not_before, running) VALUES (?, ?, ?, ?)"
_SEVERAL = 4
_ITEM = """
SELECT e.seq, e.account_id, e.key, e.kind, e.lane, b.body, e.at, e.source, e.cause,
  i.attempts, i.unclean, e.run, i.not_before, i.waiting_for
FROM inbox i JOIN event e ON e.seq = i.seq JOIN body b ON b.seq = i.seq
"""
_DUE = f"""{_ITEM}
WHERE i.queue = 0 AND i.seq > ? AND (i.not_before IS NULL OR i.not_before <= ?)
ORDER BY i.seq LIMIT ?
"""
_PROMOTE = """
UPDATE inbox SET queue = 0 WHERE queue = 1 AND seq IN (
  SELECT seq FROM inbox WHERE queue = 1 AND not_before <= ? ORDER BY not_before LIMIT ?)
"""
# ?1 is a JSON list of numbers: one statement for a whole batch, half the cost of one for each.
_DONE = """
UPDATE event SET state = ?2, note = ?3, attempts = coalesce(
  (SELECT attempts FROM inbox WHERE queue = 0 AND inbox.seq = event.seq),
  (SELECT attempts FROM inbox WHERE queue = 1 AND inbox.seq = event.seq))
WHERE state = 'waiting' AND seq IN (SELECT value FROM json_each(?1))
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


class SqliteEvents(EventDesk):
    """See `botkit.ports.store.Events`."""

    async def append(
        self,
        events: Sequence[NewEvent],
        *,
        checkpoint: Checkpoint | None = None,
        fence: Fence | None = None,
    ) -> list[int | None]:
        """Record events and move the checkpoint, together."""
        rows = event_rows(events, to_us(self._clock.now()))

        def job(transaction: Transaction) -> list[int | None]:
            transaction.check(fence)
            if checkpoint is not None:
                insert_checkpoint(transaction, checkpoint)
            return insert_events(transaction, rows)

        return await self._engine.write(job)

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

        def job(reader: sqlite3.Connection) -> int | None:
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
                "UPDATE body SET body = ?2 WHERE seq = ?1 AND EXISTS "
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
        done = (_listed([finish.seq]), finish.state.value, finish.note)

        def job(transaction: Transaction) -> None:
            transaction.check(fence)
            if finish.changes and _waits(transaction, finish.seq):
                _apply(transaction, finish.changes)
            if transaction.execute(_DONE, done).rowcount:
                _leave(transaction, done[0], 1)
                if rows:
                    insert_events(transaction, rows)

        await self._engine.write(job)

    async def finish_many(self, finishes: Sequence[Finish], *, fence: Fence) -> None:
        """Done marks of events that changed no state and emitted nothing."""
        seqs: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for finish in finishes:
            seqs[finish.state.value, finish.note].append(finish.seq)
        done = [(_listed(each), *end, len(each)) for end, each in seqs.items()]

        def job(transaction: Transaction) -> None:
            transaction.check(fence)
            for listed, state, note, count in done:
                transaction.execute(_DONE, (listed, state, note))
                _leave(transaction, listed, count)

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
        listed = _listed([seq])

        def job(transaction: Transaction) -> None:
            transaction.check(fence)
            if transaction.execute(_DONE, (listed, "dead", letter.reason)).rowcount:
                _leave(transaction, listed, 1)
                transaction.execute("INSERT INTO dead VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

        await self._engine.write(job)

    async def _set_aside(self, row: tuple[Any, ...], fence: Fence) -> None:
        def job(transaction: Transaction) -> None:
            transaction.check(fence)
            transaction.execute(_SET_ASIDE, row)

        await self._engine.write(job)


def event_rows(events: Iterable[NewEvent], now_us: int) -> list[EventRow]:
    """What `insert_events` takes; made outside the writer's thread."""
    return [
        (
            (
                event.account_id,
                event.key,
                event.kind,
                event.lane,
                event.source,
                event.cause,
                to_us(event.at),
                now_us,
            ),
            event.body,
            0 if event.not_before is None else 1,
            to_us_or_none(event.not_before),
            event.running,
        )
        for event in events
    ]


def insert_events(transaction: Transaction, rows: Sequence[EventRow]) -> list[int | None]:
    """Record events; gives the sequence number of each, None for a duplicate."""
    if len(rows) >= _SEVERAL:
        return _insert_several(transaction, rows)
    execute = transaction.execute
    given: list[int | None] = []
    for columns, body, queue, not_before, running in rows:
        cursor = execute(_INSERT, (None, *columns))
        if not cursor.rowcount:
            given.append(None)
            continue
        seq = cursor.lastrowid
        execute(_INSERT_BODY, (seq, body))
        execute(_INSERT_INBOX, (queue, seq, not_before, running))
        given.append(seq)
    return given


def _insert_several(transaction: Transaction, rows: Sequence[EventRow]) -> list[int | None]:
    """The same at half the cost: numbers first, then a statement a table, duplicates left out."""
    (last,) = transaction.execute("SELECT coalesce(max(seq), 0) FROM event").fetchone()
    seqs = range(last + 1, last + 1 + len(rows))
    numbered = list(zip(seqs, rows, strict=True))
    given: list[int | None] = list(seqs)
    count = transaction.executemany(_INSERT, [(seq, *row[0]) for seq, row in numbered]).rowcount
    if count < len(rows):
        found = transaction.execute("SELECT seq FROM event WHERE seq > ?", (last,))
        there = {seq for (seq,) in found}
        numbered = [each for each in numbered if each[0] in there]
        given = [seq if seq in there else None for seq in seqs]
    transaction.executemany(_INSERT_BODY, [(seq, row[1]) for seq, row in numbered])
    transaction.executemany(
        _INSERT_INBOX, [(row[2], seq, row[3], row[4]) for seq, row in numbered]
    )
    return given


def insert_checkpoint(transaction: Transaction, checkpoint: Checkpoint) -> None:
    """Move a source's cursor."""
    transaction.execute(
        "INSERT INTO checkpoint VALUES (?, ?, ?) "
        "ON CONFLICT (source, account_id) DO UPDATE SET cursor = excluded.cursor",
        (checkpoint.source, checkpoint.account_id, checkpoint.cursor),
    )


def _leave(transaction: Transaction, listed: str, count: int) -> None:
    """Take so many out of the inbox; what ends is nearly always in its first queue."""
    for queue in (0, 1):
        if transaction.execute(_LEAVE, (listed, queue)).rowcount == count:
            return


def _listed(seqs: Sequence[int]) -> str:
    return f"[{','.join(map(str, seqs))}]"


def _has_promotable(reader: sqlite3.Connection, now_us: int) -> bool:
    found = reader.execute(
        "SELECT 1 FROM inbox WHERE queue = 1 AND not_before <= ? LIMIT 1", (now_us,)
    ).fetchone()
    return found is not None


def _promote(transaction: Transaction, now_us: int) -> None:
    transaction.execute(_PROMOTE, (now_us, _PROMOTED_AT_ONCE))


def _waits(transaction: Transaction, seq: int) -> bool:
    row = transaction.execute(
        "SELECT 1 FROM event WHERE seq = ? AND state = 'waiting'", (seq,)
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
