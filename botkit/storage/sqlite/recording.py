"""Rows for new events: many of them by few statements, and duplicates left out.

A statement that inserts many rows costs half of what one for each of them costs, and the thread
gives up the interpreter once for all of them. Source: rows A2 and D1 of `make bench`.
"""

from __future__ import annotations

from itertools import chain, groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from botkit.storage.sql.event_rows import EventRow
    from botkit.storage.sqlite.transaction import SqliteTransaction

__all__ = ["insert_events"]

_ROW = "(?1 + %d, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT: Final = {
    size: f"""
INSERT INTO event (seq, account_id, key, kind, lane, source, cause, at, recorded_at, body)
VALUES {", ".join(_ROW % number for number in range(1, size + 1))} ON CONFLICT DO NOTHING
"""
    for size in (64, 16, 4, 1)
}
"""Statements for so many rows, whose numbers follow on ?1; the largest first."""
_PLACE = """
INSERT INTO inbox (queue, seq, not_before, running)
SELECT ?3, seq, ?4, ?5 FROM event WHERE seq BETWEEN ?1 AND ?2
"""


def insert_events(transaction: SqliteTransaction, rows: Sequence[EventRow]) -> list[int | None]:
    """Record events; return the sequence number of each, None for a duplicate.

    Numbers first, then one statement for many rows: that is what makes a row cheap.
    """
    (last,) = transaction.execute("SELECT coalesce(max(seq), 0) FROM event").fetchone()
    count = _insert_rows(transaction, last, [columns for columns, _ in rows])
    first = last + 1
    for place, alike in groupby(rows, key=itemgetter(1)):
        end = first + len(list(alike))
        transaction.execute(_PLACE, (first, end - 1, *place))
        first = end
    if count == len(rows):
        return list(range(last + 1, last + 1 + count))
    found = transaction.execute("SELECT seq FROM event WHERE seq > ?", (last,))
    new = {seq for (seq,) in found}
    return [seq if seq in new else None for seq in range(last + 1, last + 1 + len(rows))]


def _insert_rows(
    transaction: SqliteTransaction, last: int, rows: Sequence[tuple[Any, ...]]
) -> int:
    """Insert rows as `last` + 1 and so on, in few steps; return how many are new."""
    done = new = 0
    for size, statement in _INSERT.items():
        while len(rows) - done >= size:
            values = chain.from_iterable(rows[done : done + size])
            new += transaction.execute(statement, (last + done, *values)).rowcount
            done += size
    return new
