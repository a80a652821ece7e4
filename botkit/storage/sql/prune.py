"""Forgetting what has been over for long enough."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from botkit.storage.sql.ledger import day_of, hour_of
from botkit.storage.sql.values import to_us
from botkit.storage.sql.work.ends import tally

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from botkit.model.records import KeepFor
    from botkit.storage.sql.transaction import SqlEngine, SqlReader, Transaction

__all__ = ["AT_ONCE", "prune"]

AT_ONCE: Final = 1000
"""So many events or writes go in one transaction, so that others can write in between."""
_SHARE: Final = 10
_FEWEST: Final = 10_000
"""The bound of one call: a tenth of the events and of the writes, or this many if more."""
_COUNTS: Final = {
    "events": "SELECT count(*) FROM event",
    "writes": "SELECT count(*) FROM write",
}
_ANSWERS_KEPT = timedelta(days=2)
"""Longer than the limit of answers looks back."""
_NOT_NEEDED = """
  (e.recorded_at < ?2 OR NOT EXISTS (SELECT 1 FROM checkpoint c
    WHERE c.account_id = e.account_id AND c.read_to <= e.at))
  AND e.seq != (SELECT max(seq) FROM event)
"""
"""Spare events that a source may deliver again: their rows prove that they were handled."""
_OLD_EVENTS = f"""
SELECT e.seq, e.key, e.account_id, d.state FROM event e JOIN ended d ON d.seq = e.seq
WHERE e.recorded_at < ?1 AND d.state IN ('done', 'dropped', 'late')
  AND {_NOT_NEEDED} ORDER BY e.recorded_at LIMIT ?3
"""
_OLD_DEAD = f"""
SELECT e.seq, e.key, e.account_id, 'dead' FROM dead d JOIN event e ON e.seq = d.seq
WHERE d.at < ?1 AND {_NOT_NEEDED} ORDER BY d.at LIMIT ?3
"""
_OLD_WRITES = """
SELECT id FROM write w WHERE state IN ('CONFIRMED', 'REJECTED', 'EXPIRED') AND created_at < ?1
  AND NOT EXISTS (SELECT 1 FROM event e LEFT JOIN ended d ON d.seq = e.seq
    WHERE e.key = w.event_key AND e.account_id = w.account_id
      AND coalesce(d.state, 'dead') = 'dead')
ORDER BY created_at LIMIT ?2
"""
_OLD_CHARGES = """
DELETE FROM billed WHERE (day, app, resource) IN (
  SELECT day, app, resource FROM billed WHERE day < ?1 ORDER BY day, app, resource LIMIT ?2)
"""
_DELETED: Final = {
    "invitations": "DELETE FROM invitation WHERE coalesce(used_at, revoked_at, expires_at) < ?1",
    "users": 'DELETE FROM "user" WHERE fetched_at < ?1',
    "gaps": "DELETE FROM gap WHERE until < ?1 AND state != 'open'",
    "own_posts": "DELETE FROM own_post WHERE at < ?1",
    "ledger": "DELETE FROM budget WHERE hour < ?1",
    "answers": "DELETE FROM answer WHERE at < ?1",
    "open_reads": "DELETE FROM open_read WHERE at < ?1 AND given_up = 1",
}


async def prune(engine: SqlEngine, keep_for: KeepFor, *, now: datetime) -> Mapping[str, int]:
    """Forget what has been over for so long, as `botkit.ports.store.Store.prune` says."""
    old = to_us(now - keep_for.events), to_us(now - keep_for.deliverable)
    events = await _repeat(engine, "events", partial(_forget_events, _OLD_EVENTS, old=old))
    old = to_us(now - keep_for.dead), to_us(now - keep_for.deliverable)
    dead = await _repeat(engine, "events", partial(_forget_events, _OLD_DEAD, old=old))
    old_us = to_us(now - keep_for.writes)
    writes = await _repeat(engine, "writes", partial(_forget_writes, old_us=old_us))
    charges = await _forget_charges(engine, day_of(now) - 1)
    before = {
        "invitations": to_us(now - keep_for.invitations),
        "users": to_us(now - keep_for.users),
        "gaps": to_us(now - keep_for.gaps),
        "own_posts": old_us,
        "ledger": hour_of(now - keep_for.ledger),
        "answers": to_us(now - _ANSWERS_KEPT),
        "open_reads": hour_of(now - keep_for.ledger),
    }

    def job(transaction: Transaction) -> dict[str, int]:
        return {
            name: transaction.execute(statement, (before[name],)).rowcount
            for name, statement in _DELETED.items()
        }

    return {
        "events": events.rows,
        "dead": dead.rows,
        "writes": writes.rows,
        "charges": charges,
        **await engine.write(job),
        "bounded": events.is_bounded + dead.is_bounded + writes.is_bounded,
    }


class _Forgotten(NamedTuple):
    rows: int
    is_bounded: bool


async def _repeat(
    engine: SqlEngine, what: str, forget: Callable[[Transaction, int], int]
) -> _Forgotten:
    """Call `forget` with the row limit of one transaction until the bound of one call."""
    left = await engine.read(lambda reader: _most(reader, what))
    count = 0
    while left:
        limit = min(AT_ONCE, left)
        forgotten = await engine.write(partial(_forget, forget, limit))
        count += forgotten
        left -= forgotten
        if forgotten < limit:
            return _Forgotten(count, is_bounded=False)
    return _Forgotten(count, is_bounded=True)


def _forget(
    forget: Callable[[Transaction, int], int], limit: int, transaction: Transaction
) -> int:
    transaction.lock("prune")
    return forget(transaction, limit)


def _most(reader: SqlReader, what: str) -> int:
    (rows,) = reader.execute(_COUNTS[what], ()).fetchone()
    return max(int(rows) // _SHARE, _FEWEST)


def _forget_events(
    query: str, transaction: Transaction, limit: int, *, old: tuple[int, int]
) -> int:
    rows = transaction.execute(query, (*old, limit)).fetchall()
    seqs = [row[:1] for row in rows]
    transaction.executemany("DELETE FROM event WHERE seq = ?1", seqs)
    transaction.executemany("DELETE FROM ended WHERE seq = ?1", seqs)
    if query is _OLD_DEAD:
        transaction.executemany("DELETE FROM dead WHERE seq = ?1", seqs)
    transaction.executemany(
        "DELETE FROM memo WHERE event_key = ?1 AND account_id = ?2", [row[1:3] for row in rows]
    )
    for state, count in Counter(row[3] for row in rows).items():
        tally(transaction, state, -count)
    return len(rows)


def _forget_writes(transaction: Transaction, limit: int, *, old_us: int) -> int:
    ids = transaction.execute(_OLD_WRITES, (old_us, limit)).fetchall()
    transaction.executemany("DELETE FROM attempt WHERE write_id = ?1", ids)
    transaction.executemany("DELETE FROM write WHERE id = ?1", ids)
    return len(ids)


async def _forget_charges(engine: SqlEngine, before_day: int) -> int:
    """Forget the resources charged before that day: X charges for them again."""
    count = 0
    while True:
        forgotten = await engine.write(
            lambda transaction: transaction.execute(_OLD_CHARGES, (before_day, AT_ONCE)).rowcount
        )
        count += forgotten
        if forgotten < AT_ONCE:
            return count
