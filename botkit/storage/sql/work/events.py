"""The inbox, the record of events and the dead letters.

`event` is the record (it is the dedup, kept for seven days) and is written once; `ended` says how
an event ended, apart so that a done mark touches little; `inbox` holds what is not finished. Queue
0 of the inbox is due, queue 1 is set aside for a time or a cause, so that a backlog of either does
not slow the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from botkit.model.records import DeadLetter, EventState, InboxItem, StoredEvent, Wait
from botkit.storage.sql.values import from_us, from_us_or_none, to_us
from botkit.storage.sql.work.deleted_posts import forget_post
from botkit.storage.sql.work.ends import drop, tally
from botkit.storage.sql.work.handler_names import hold_if_gone

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from botkit.model.records import Fence, PostForgotten
    from botkit.storage.sql.transaction import SqlEngine, SqlReader, Transaction

__all__ = ["ITEM", "SqlEvents", "inbox_items"]

ITEM: Final = """
SELECT e.seq, e.account_id, e.key, e.kind, e.lane, e.body, e.at, e.source, e.cause,
  i.attempts, i.unclean, e.run, i.not_before, i.waiting_for, e.recorded_at, i.asked
FROM inbox i JOIN event e ON e.seq = i.seq
"""
"""The columns of what `inbox_items` makes."""
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
_OF_ACCOUNT = "(?1 IS NULL OR e.account_id = ?1)"
_LISTINGS: Final = {
    None: f"{_EVENT} WHERE true",
    EventState.WAITING: f"{_WAITING} WHERE true",
    EventState.DEAD: f"{_ENDED} WHERE d.seq IN (SELECT seq FROM dead)",
    EventState.DONE: f"{_ENDED} WHERE d.state = 'done'",
    EventState.DROPPED: f"{_ENDED} WHERE d.state = 'dropped'",
    EventState.LATE: f"{_ENDED} WHERE d.state = 'late'",
}
_BY_KEY = f"{_EVENT} WHERE e.key = ?2 AND {_OF_ACCOUNT} ORDER BY e.account_id"
_ASK_AGAIN = """
UPDATE write SET state = 'QUEUED', reason = ''
WHERE account_id = ?1 AND event_key = ?2 AND event_key != '' AND run = ?3
  AND state = 'REJECTED' AND reason LIKE '{%'
"""
"""Refusals are kept as JSON; in words stands what a person cancelled, and that stays."""
_AMEND = """
UPDATE event SET body = ?2 WHERE seq = ?1
  AND EXISTS (SELECT 1 FROM inbox WHERE queue IN (0, 1) AND seq = ?1)
"""
_COUNT_UNCLEAN = "UPDATE inbox SET unclean = unclean + 1, running = 0 WHERE running = 1"
_UNPARK = """
UPDATE inbox SET queue = 0, not_before = NULL, waiting_for = ''
WHERE waiting_for = ?1 AND waiting_for != ''
  AND (?2 IS NULL OR (SELECT account_id FROM event e WHERE e.seq = inbox.seq) = ?2)
"""
_COUNT_INBOX = """
SELECT (SELECT count(*) FROM inbox), (SELECT count(*) FROM inbox WHERE waiting_for != '')
"""
_ENDS: Final = (EventState.DEAD, EventState.DONE, EventState.DROPPED, EventState.LATE)
_REVIVABLE: Final = (EventState.DEAD.value, EventState.LATE.value)
_LETTER = "SELECT account_id, key, kind, reason, error, trace, handler, attempts, at FROM dead"
_NEWEST_LETTERS = "(?1 IS NULL OR account_id = ?1) ORDER BY at DESC, seq DESC LIMIT ?2"
_DEAD = f"{_LETTER} WHERE {_NEWEST_LETTERS}"
_DEAD_BY_KEY = f"""
{_LETTER} WHERE seq IN (SELECT seq FROM event WHERE key = ?3) AND {_NEWEST_LETTERS}
"""
_OLDEST_DEAD = """
SELECT d.seq, d.account_id, d.key, e.run FROM dead d JOIN event e ON e.seq = d.seq
WHERE d.at < ?2 AND (?1 IS NULL OR d.account_id = ?1) ORDER BY d.at, d.seq LIMIT ?3
"""
_WAITS = """
SELECT waiting_for, count(*), max(not_before) FROM inbox WHERE waiting_for != ''
GROUP BY waiting_for ORDER BY waiting_for
"""


class SqlEvents:
    """See `botkit.ports.journal.Events`; the hot path is each driver's own.

    A driver adds `append`, `due`, `mark_running` and `settle`.
    """

    def __init__(self, engine: SqlEngine) -> None:
        self._engine = engine

    async def amend(self, seq: int, body: bytes, *, fence: Fence) -> None:
        def job(transaction: Transaction) -> None:
            transaction.check(fence)
            transaction.execute(_AMEND, (seq, body))

        await self._engine.write(job)

    async def count_unclean(self, *, fence: Fence) -> list[InboxItem]:
        def job(transaction: Transaction) -> list[InboxItem]:
            transaction.lock("unclean")
            transaction.check(fence)
            items = inbox_items(
                transaction.execute(f"{ITEM} WHERE i.running = 1 ORDER BY i.seq").fetchall()
            )
            transaction.execute(_COUNT_UNCLEAN, ())
            return [replace(item, unclean=item.unclean + 1) for item in items]

        return await self._engine.write(job)

    async def unpark(self, waiting_for: str, *, account_id: str | None = None) -> int:
        def job(transaction: Transaction) -> int:
            return transaction.execute(_UNPARK, (waiting_for, account_id)).rowcount

        return await self._engine.write(job)

    async def waits(self) -> list[Wait]:
        return await self._engine.read(
            lambda reader: [
                Wait(waiting_for=row[0], events=row[1], until=from_us_or_none(row[2]))
                for row in reader.execute(_WAITS, ())
            ]
        )

    async def dead(
        self, *, account_id: str | None = None, key: str | None = None, limit: int = 100
    ) -> list[DeadLetter]:
        query, values = _DEAD, tuple[object, ...]((account_id, limit))
        if key is not None:
            query, values = _DEAD_BY_KEY, (account_id, limit, key)
        return await self._engine.read(
            lambda reader: [_letter(row) for row in reader.execute(query, values)]
        )

    async def revive_dead(
        self, *, account_id: str | None = None, before: datetime, limit: int = 1000
    ) -> int:
        def job(transaction: Transaction) -> int:
            transaction.lock("dead")
            found = _oldest_dead(transaction, account_id, before, limit)
            for seq, owner, key, run in found:
                _revive(transaction, seq, "dead")
                transaction.execute(_ASK_AGAIN, (owner, key, run))
                hold_if_gone(transaction, seq)
            return len(found)

        return await self._engine.write(job)

    async def drop_dead(
        self, note: str, *, account_id: str | None = None, before: datetime, limit: int = 1000
    ) -> int:
        def job(transaction: Transaction) -> int:
            transaction.lock("dead")
            found = _oldest_dead(transaction, account_id, before, limit)
            for seq, *_ in found:
                drop(transaction, seq, "dead", note)
            return len(found)

        return await self._engine.write(job)

    async def listing(
        self,
        *,
        state: EventState | None = None,
        account_id: str | None = None,
        limit: int = 100,
    ) -> list[StoredEvent]:
        query = f"{_LISTINGS[state]} AND {_OF_ACCOUNT} ORDER BY e.seq DESC LIMIT ?2"
        return await self._engine.read(
            lambda reader: _stored(reader.execute(query, (account_id, limit)))
        )

    async def get(self, key: str, *, account_id: str | None = None) -> list[StoredEvent]:
        return await self._engine.read(
            lambda reader: _stored(reader.execute(_BY_KEY, (account_id, key)))
        )

    async def revive(self, account_id: str, key: str, *, new_run: bool = False) -> bool:
        def job(transaction: Transaction) -> bool:
            transaction.lock(f"event/{account_id}/{key}")
            row = transaction.execute(
                "SELECT e.seq, d.state, e.run FROM event e JOIN ended d ON d.seq = e.seq "
                "WHERE e.key = ?1 AND e.account_id = ?2",
                (key, account_id),
            ).fetchone()
            if row is None or (row[1] not in _REVIVABLE and not new_run):
                return False
            _revive(transaction, row[0], row[1])
            if new_run:
                transaction.execute("UPDATE event SET run = run + 1 WHERE seq = ?1", row[:1])
            else:
                transaction.execute(_ASK_AGAIN, (account_id, key, row[2]))
                hold_if_gone(transaction, row[0])
            return True

        return await self._engine.write(job)

    async def drop(self, account_id: str, key: str, note: str) -> bool:
        def job(transaction: Transaction) -> bool:
            transaction.lock(f"event/{account_id}/{key}")
            row = transaction.execute(
                "SELECT e.seq, d.state FROM event e LEFT JOIN ended d ON d.seq = e.seq "
                "WHERE e.key = ?1 AND e.account_id = ?2 "
                "AND coalesce(d.state, 'dead') IN ('dead', 'late')",
                (key, account_id),
            ).fetchone()
            if row is None:
                return False
            drop(transaction, row[0], row[1], note)
            return True

        return await self._engine.write(job)

    async def forget_post(self, account_id: str, post_id: str, *, fence: Fence) -> PostForgotten:
        def job(transaction: Transaction) -> PostForgotten:
            transaction.lock(f"post/{account_id}/{post_id}")
            transaction.check(fence)
            return forget_post(transaction, account_id, post_id)

        return await self._engine.write(job)

    async def counts(self) -> Mapping[str, int]:
        return await self._engine.read(_counts)


def inbox_items(rows: Iterable[tuple[Any, ...]]) -> list[InboxItem]:
    """Return the rows of a query that begins with `ITEM` as items."""
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
            recorded_at=from_us(row[14]),
            asked=bool(row[15]),
        )
        for row in rows
    ]


def _oldest_dead(
    transaction: Transaction, account_id: str | None, before: datetime, limit: int
) -> list[tuple[int, str, str, int]]:
    return transaction.execute(_OLDEST_DEAD, (account_id, to_us(before), limit)).fetchall()


def _revive(transaction: Transaction, seq: int, ended: str) -> None:
    transaction.execute("DELETE FROM ended WHERE seq = ?1", (seq,))
    transaction.execute("DELETE FROM dead WHERE seq = ?1", (seq,))
    tally(transaction, ended, -1)
    transaction.execute("INSERT INTO inbox (queue, seq, asked) VALUES (0, ?1, 1)", (seq,))


def _counts(reader: SqlReader) -> dict[str, int]:
    (inbox, parked) = reader.execute(_COUNT_INBOX, ()).fetchone()
    ended = dict(reader.execute("SELECT state, events FROM tally", ()).fetchall())
    return {
        "waiting": inbox - parked,
        "parked": parked,
        **{state.value: ended[state] for state in _ENDS},
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
