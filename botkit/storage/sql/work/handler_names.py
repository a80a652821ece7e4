"""What unfinished events did, moved to the names that their handlers have today."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from botkit.model.records import GoneHandler
from botkit.model.write_moves import MAY_HAVE_HAPPENED

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from botkit.model.records import Fence
    from botkit.storage.sql.transaction import Transaction

__all__ = ["hold_if_gone", "take_over_handlers"]

_OPEN: Final = """
FROM (SELECT seq FROM inbox UNION ALL SELECT seq FROM dead) open
JOIN event e ON e.seq = open.seq
"""
_KEPT = f"""
SELECT e.seq, e.key, e.account_id, e.run, m.handler, m.name, m.n, m.value {_OPEN}
JOIN memo m ON m.event_key = e.key AND m.account_id = e.account_id AND m.run = e.run
"""
# An id begins with account, event and run; the character after the slash is the zero.
_WRITTEN = f"""
SELECT e.seq, e.key, w.handler, w.id, w.state {_OPEN}
JOIN write w ON w.id > e.account_id || '/' || e.key || '#' || e.run || '/'
  AND w.id < e.account_id || '/' || e.key || '#' || e.run || '0'
"""
_FREE = """
UPDATE inbox SET queue = 0, waiting_for = '', not_before = NULL
WHERE queue IN (0, 1) AND seq = ?1
"""
_HELD = "SELECT seq FROM inbox WHERE waiting_for > 'handler/' AND waiting_for < 'handler0'"
_HOLD = """
UPDATE inbox SET queue = 1, running = 0, not_before = NULL, waiting_for = ?2
WHERE queue IN (0, 1) AND seq = ?1
"""
_KEEP = """
INSERT INTO memo VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING
"""
_FORGET = """
DELETE FROM memo WHERE event_key = ?1 AND account_id = ?2 AND run = ?3 AND handler = ?4
  AND name = ?5 AND n = ?6
"""
_RENAMES: Final = (
    "UPDATE write SET id = ?2, handler = ?3 WHERE id = ?1",
    "UPDATE attempt SET write_id = ?2 WHERE write_id = ?1",
    "UPDATE inbox SET waiting_for = 'write/' || ?2 WHERE waiting_for = 'write/' || ?1",
)
_ONE: Final = " WHERE e.seq = ?1"
_NAMES: Final = "handlers"
_REMEMBER = """
INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value
WHERE value != excluded.value
"""
_MAYBE: Final = {state.value for state in MAY_HAVE_HAPPENED}


def take_over_handlers(
    transaction: Transaction,
    names: Collection[str],
    renamed: Mapping[str, str],
    fence: Fence,
) -> list[GoneHandler]:
    """Move the results and writes of unfinished events to their handlers' present names.

    See `botkit.ports.store.Store.take_over_handlers`.
    """
    transaction.lock("handlers")
    transaction.check(fence)
    transaction.execute(_REMEMBER, (_NAMES, msgspec.json.encode(sorted(names))))
    for held in transaction.execute(_HELD, ()).fetchall():
        transaction.execute(_FREE, held)
    left: dict[str, dict[int, str]] = {}
    for row in transaction.execute(_KEPT, ()).fetchall():
        seq, key, handler = row[0], row[1], row[4]
        if handler in renamed:
            _keep_as(transaction, row, renamed[handler])
        elif handler not in names:
            left.setdefault(handler, {})[seq] = key
    for seq, key, handler, write_id, state in transaction.execute(_WRITTEN, ()).fetchall():
        if handler in renamed:
            _write_as(transaction, write_id, handler, renamed[handler])
        elif handler not in names and state in _MAYBE:
            left.setdefault(handler, {})[seq] = key
    for handler, events in left.items():
        for seq in events:
            transaction.execute(_HOLD, (seq, f"handler/{handler}"))
    return [
        GoneHandler(name=handler, keys=tuple(left[handler].values())) for handler in sorted(left)
    ]


def hold_if_gone(transaction: Transaction, seq: int) -> None:
    """Hold an event of the inbox if the handler that began it is gone since the last start."""
    row = transaction.execute("SELECT value FROM meta WHERE name = ?1", (_NAMES,)).fetchone()
    if row is None:
        return  # no start has stored the names of the handlers yet
    names = msgspec.json.decode(row[0], type=set[str])
    kept = transaction.execute(_KEPT + _ONE, (seq,)).fetchall()
    written = transaction.execute(_WRITTEN + _ONE, (seq,)).fetchall()
    began = {row[4] for row in kept} | {row[2] for row in written if row[4] in _MAYBE}
    gone = sorted(began - names)
    if gone:
        transaction.execute(_HOLD, (seq, f"handler/{gone[0]}"))


def _keep_as(transaction: Transaction, row: tuple[Any, ...], new: str) -> None:
    _, key, account_id, run, handler, name, n, value = row
    transaction.execute(_KEEP, (key, account_id, run, new, name, n, value))
    transaction.execute(_FORGET, (key, account_id, run, handler, name, n))


def _write_as(transaction: Transaction, write_id: str, handler: str, new: str) -> None:
    """Rename a write, unless the handler of today has made the same step already."""
    start, _, rest = write_id.rpartition(f"/{handler}/")
    new_id = f"{start}/{new}/{rest}"
    if transaction.execute("SELECT 1 FROM write WHERE id = ?1", (new_id,)).fetchone() is None:
        transaction.execute(_RENAMES[0], (write_id, new_id, new))
        for statement in _RENAMES[1:]:
            transaction.execute(statement, (write_id, new_id))
