"""The operator's side of the events: look at them, revive, drop, count, forget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botkit.model.records import DeadLetter, EventState, StoredEvent
from botkit.storage.sql.values import from_us, from_us_or_none, to_us

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from botkit.ports import Clock
    from botkit.storage.sql.transaction import SqlEngine, SqlReader, Transaction

__all__ = ["EventsAdmin"]

_EVENT = """
SELECT e.seq, e.account_id, e.key, e.kind, e.lane, e.body, e.at, e.recorded_at, e.source, e.cause,
  coalesce(d.state, 'waiting'), coalesce(d.note, i.reason, ''),
  coalesce(d.attempts, i.attempts, 0), e.run, i.not_before, coalesce(i.waiting_for, '')
FROM event e LEFT JOIN ended d ON d.seq = e.seq
LEFT JOIN inbox i ON i.queue IN (0, 1) AND i.seq = e.seq
"""
_WAITING = """
SELECT e.seq, e.account_id, e.key, e.kind, e.lane, e.body, e.at, e.recorded_at, e.source, e.cause,
  'waiting', i.reason, i.attempts, e.run, i.not_before, i.waiting_for
FROM inbox i JOIN event e ON e.seq = i.seq
"""
_ENDED = """
SELECT e.seq, e.account_id, e.key, e.kind, e.lane, e.body, e.at, e.recorded_at, e.source, e.cause,
  d.state, d.note, d.attempts, e.run, NULL, ''
FROM ended d JOIN event e ON e.seq = d.seq
"""
_DROP = """
INSERT INTO ended SELECT seq, 'dropped', ?1, 0 FROM event WHERE seq = ?2
ON CONFLICT (seq) DO UPDATE SET state = excluded.state, note = excluded.note
"""
_ASK_AGAIN = """
UPDATE write SET state = 'QUEUED', reason = ''
WHERE account_id = ? AND event_key = ? AND run = ? AND state = 'REJECTED' AND reason LIKE '{%'
"""
"""Refusals are kept as JSON; in words stands what a person cancelled, and that stays."""
_DEAD = "SELECT account_id, key, kind, reason, error, trace, handler, attempts, at FROM dead"


class EventsAdmin:
    """The half of `botkit.ports.store.Events` that commands use, in short transactions."""

    def __init__(self, engine: SqlEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def unpark(self, waiting_for: str, *, account_id: str | None = None) -> int:
        """The cause is gone: all events that wait for it are due now; gives how many."""
        where, values = _for_account("waiting_for = ?", [waiting_for], account_id, inbox=True)

        def job(transaction: Transaction) -> int:
            return transaction.execute(
                "UPDATE inbox SET queue = 0, not_before = NULL, waiting_for = '' "  # noqa: S608
                f"WHERE waiting_for != '' AND {where}",
                values,
            ).rowcount

        return await self._engine.write(job)

    async def dead(self, *, account_id: str | None = None, limit: int = 100) -> list[DeadLetter]:
        """Dead letters, newest first."""
        where, values = _for_account("1", [], account_id)

        def job(reader: SqlReader) -> list[DeadLetter]:
            rows = reader.execute(
                f"{_DEAD} WHERE {where} ORDER BY at DESC, seq DESC LIMIT ?",
                [*values, limit],
            )
            return [_letter(row) for row in rows]

        return await self._engine.read(job)

    async def listing(
        self,
        *,
        state: EventState | None = None,
        account_id: str | None = None,
        limit: int = 100,
    ) -> list[StoredEvent]:
        """Recorded events, newest first."""
        values: list[Any] = []
        if state is EventState.WAITING:
            query = f"{_WAITING} WHERE 1"
        elif state is EventState.DEAD:
            query = f"{_ENDED} WHERE d.seq IN (SELECT seq FROM dead)"  # noqa: S608
        elif state is None:
            query = f"{_EVENT} WHERE 1"
        else:
            query = f"{_ENDED} WHERE d.state = ?"
            values.append(state.value)
        if account_id is not None:
            query += " AND e.account_id = ?"
            values.append(account_id)
        values.append(limit)
        return await self._engine.read(
            lambda reader: _stored(reader.execute(f"{query} ORDER BY e.seq DESC LIMIT ?", values))
        )

    async def get(self, key: str, *, account_id: str | None = None) -> list[StoredEvent]:
        """The events with that key (one for each account)."""
        where, values = _for_account("e.key = ?", [key], account_id, alias="e.")
        return await self._engine.read(
            lambda reader: _stored(
                reader.execute(f"{_EVENT} WHERE {where} ORDER BY e.account_id", values)
            )
        )

    async def revive(self, account_id: str, key: str, *, new_run: bool = False) -> bool:
        """Put a dead (or, with `new_run`, any finished) event back into the inbox."""

        def job(transaction: Transaction) -> bool:
            row = transaction.execute(
                "SELECT e.seq, d.state, e.run FROM event e JOIN ended d ON d.seq = e.seq "
                "WHERE e.key = ? AND e.account_id = ?",
                (key, account_id),
            ).fetchone()
            if row is None or (row[1] != "dead" and not new_run):
                return False
            seq = row[:1]
            transaction.execute("DELETE FROM ended WHERE seq = ?", seq)
            transaction.execute("DELETE FROM dead WHERE seq = ?", seq)
            transaction.execute("INSERT INTO inbox (queue, seq) VALUES (0, ?)", seq)
            if new_run:
                transaction.execute("UPDATE event SET run = run + 1 WHERE seq = ?", seq)
            else:
                transaction.execute(_ASK_AGAIN, (account_id, key, row[2]))
            return True

        return await self._engine.write(job)

    async def drop(self, account_id: str, key: str, note: str) -> bool:
        """Give up a waiting or dead event for good."""

        def job(transaction: Transaction) -> bool:
            row = transaction.execute(
                "SELECT e.seq FROM event e LEFT JOIN ended d ON d.seq = e.seq "
                "WHERE e.key = ? AND e.account_id = ? AND coalesce(d.state, 'dead') = 'dead'",
                (key, account_id),
            ).fetchone()
            if row is None:
                return False
            transaction.execute(_DROP, (note, *row))
            transaction.execute("DELETE FROM dead WHERE seq = ?", row)
            transaction.execute("DELETE FROM inbox WHERE queue IN (0, 1) AND seq = ?", row)
            return True

        return await self._engine.write(job)

    async def counts(self) -> Mapping[str, int]:
        """How many events are `waiting`, `parked`, `dead`, `done`, `dropped`."""
        return await self._engine.read(_counts)

    async def prune(self, *, before: datetime, limit: int = 1000) -> int:
        """Forget finished events recorded before that time; gives how many."""
        before_us = to_us(before)

        def job(transaction: Transaction) -> int:
            rows = transaction.execute(
                "SELECT e.seq, e.key, e.account_id FROM event e JOIN ended d ON d.seq = e.seq "
                "WHERE e.recorded_at < ? AND d.state IN ('done', 'dropped') "
                "AND e.seq != (SELECT max(seq) FROM event) ORDER BY e.recorded_at LIMIT ?",
                (before_us, limit),
            ).fetchall()
            seqs = [row[:1] for row in rows]
            transaction.executemany("DELETE FROM event WHERE seq = ?", seqs)
            transaction.executemany("DELETE FROM ended WHERE seq = ?", seqs)
            transaction.executemany(
                "DELETE FROM memo WHERE event_key = ? AND account_id = ?",
                [row[1:] for row in rows],
            )
            return len(rows)

        return await self._engine.write(job)


def _for_account(
    where: str, values: list[Any], account_id: str | None, *, alias: str = "", inbox: bool = False
) -> tuple[str, list[Any]]:
    if account_id is None:
        return where, values
    if inbox:
        condition = "(SELECT account_id FROM event e WHERE e.seq = inbox.seq) = ?"
    else:
        condition = f"{alias}account_id = ?"
    return f"{where} AND {condition}", [*values, account_id]


def _counts(reader: SqlReader) -> dict[str, int]:
    def count(query: str) -> int:
        return int(reader.execute(f"SELECT count(*) FROM {query}").fetchone()[0])  # noqa: S608

    parked = count("inbox WHERE waiting_for != ''")
    dropped = count("ended WHERE state = 'dropped'")
    dead = count("dead")
    return {
        "waiting": count("inbox") - parked,
        "parked": parked,
        "dead": dead,
        "done": count("ended") - dropped - dead,
        "dropped": dropped,
    }


def _stored(rows: Iterable[tuple[Any, ...]]) -> list[StoredEvent]:
    return [
        StoredEvent(
            seq=row[0],
            account_id=row[1],
            key=row[2],
            kind=row[3],
            lane=row[4],
            body=row[5],
            at=from_us(row[6]),
            recorded_at=from_us(row[7]),
            source=row[8],
            cause=row[9],
            state=EventState(row[10]),
            note=row[11],
            attempts=row[12],
            run=row[13],
            not_before=from_us_or_none(row[14]),
            waiting_for=row[15],
        )
        for row in rows
    ]


def _letter(row: tuple[Any, ...]) -> DeadLetter:
    return DeadLetter(
        account_id=row[0],
        key=row[1],
        kind=row[2],
        reason=row[3],
        error=row[4],
        trace=row[5],
        handler=row[6],
        attempts=row[7],
        at=from_us(row[8]),
    )
