"""The journal of writes: which step is where, and what is known of its outcome."""

from __future__ import annotations

from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from botkit.errors import Conflict
from botkit.model.answers import SentAnswer
from botkit.model.records import (
    Attempt,
    MissedRead,
    Rivals,
    StoredWrite,
    WritePolicy,
    WriteState,
)
from botkit.model.write_moves import ALLOWED_MOVES, MAY_HAVE_HAPPENED, stays
from botkit.storage.sql.ledger import book, lock_accounts
from botkit.storage.sql.values import from_us, from_us_or_none, marks, to_us, to_us_or_none

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from botkit.model.bookings import Booking
    from botkit.model.records import Fence, NewWrite, OwnPost, WriteMove
    from botkit.storage.sql.transaction import SqlEngine, SqlReader, Transaction

__all__ = ["SqlWrites", "confirm_as_found"]

_CONTENT = (
    "account_id, operation, target, body, event_key, run, handler, text, text_hash, interaction, "
    "policy, cost_usd, expires_at"
)
_COLUMNS = (
    f"id, {_CONTENT}, state, created_at, first_sent_at, last_sent_at, next_read_at, reads, "
    "clean_reads, first_clean_at, last_clean_at, result_id, result, reason"
)
_WIDTH: Final = _COLUMNS.count(",") + 1
_SELECT = """
SELECT {columns}, n, started, epoch, outcome, ended
FROM (SELECT no, {columns} FROM write WHERE {chosen}) chosen
LEFT JOIN attempt ON write_id = id ORDER BY {order}, n
"""
_INSERT = f"""
INSERT INTO write (id, {_CONTENT}, state, created_at, first_sent_at, last_sent_at)
VALUES (?1, {marks(2, 14)}, 'SENDING', ?15, ?15, ?15)
"""
_ANSWER = "INSERT INTO answer (account_id, thread, at) VALUES (?1, ?2, ?3)"
_ANSWERS = "SELECT account_id, thread, at FROM answer WHERE at >= ?1 ORDER BY at, no"
_PUT_ASIDE = f"""
INSERT INTO write (id, {_CONTENT}, state, created_at, reason)
VALUES (?1, {marks(2, 14)}, ?15, ?16, ?17)
ON CONFLICT (id) DO UPDATE SET state = excluded.state, reason = excluded.reason
WHERE write.state = 'QUEUED'
"""
_FOUND = f"""
INSERT INTO write (id, {_CONTENT}, state, created_at, result_id, result)
VALUES (?1, {marks(2, 14)}, 'CONFIRMED', ?15, ?16, ?17)
ON CONFLICT (id) DO UPDATE SET state = excluded.state, result_id = excluded.result_id,
  result = excluded.result, reason = ''
WHERE write.state = 'QUEUED'
"""
_REOPEN = f"""
UPDATE write SET ({_CONTENT}) = ({marks(2, 14)}), state = 'SENDING',
  first_sent_at = coalesce(first_sent_at, ?15), last_sent_at = ?15, next_read_at = NULL,
  reads = 0, clean_reads = 0, first_clean_at = NULL, last_clean_at = NULL, reason = ''
WHERE id = ?1
"""
_CONFIRM = """
UPDATE write SET state = 'CONFIRMED', result_id = ?2, result = ?3, reason = '', next_read_at = NULL
WHERE id = ?1
"""
_MOVE = "UPDATE write SET state = ?2, reason = ?3, next_read_at = ?4 WHERE id = ?1"
_END_ATTEMPT = """
UPDATE attempt SET outcome = ?2, ended = ?3 WHERE write_id = ?1 AND ended IS NULL
"""
_COUNT_READ = "UPDATE write SET reads = reads + 1, next_read_at = ?2 WHERE id = ?1"
# A first clean read that is still to come was counted before the clock was set back.
_COUNT_CLEAN = """
UPDATE write SET clean_reads = clean_reads + 1, last_clean_at = ?2,
  first_clean_at = CASE WHEN first_clean_at < ?2 THEN first_clean_at ELSE ?2 END
WHERE id = ?1
"""
_END_ATTEMPTS_OF_SENDING = """
UPDATE attempt SET outcome = 'process ended', ended = ?1
WHERE ended IS NULL AND write_id IN (SELECT id FROM write WHERE state = 'SENDING')
"""
_DOUBT_SENDING = """
UPDATE write SET state = 'UNCERTAIN', next_read_at = ?1,
  reason = 'the process ended while it was being sent'
WHERE state = 'SENDING'
"""
_EXPIRE = "UPDATE write SET state = 'EXPIRED', reason = ?2 WHERE id = ?1"
_MOOT_REASON = "the event has ended, and its last run did not ask for it again"
_MOOT = """
SELECT id FROM write w WHERE state = 'QUEUED' AND event_key != '' AND NOT EXISTS (
  SELECT 1 FROM event e LEFT JOIN ended d ON d.seq = e.seq
  WHERE e.key = w.event_key AND e.account_id = w.account_id AND e.run = w.run
    AND coalesce(d.state, 'dead') = 'dead')
"""
_UNFINISHED = """
SELECT state, count(*) FROM write
WHERE state IN ('QUEUED', 'SENDING', 'UNCERTAIN', 'ABSENT', 'UNRESOLVED') GROUP BY state
"""
_MAYBE = f"state IN ({', '.join(repr(state.value) for state in MAY_HAVE_HAPPENED)})"


class SqlWrites:
    """See `botkit.ports.journal.Writes`."""

    def __init__(self, engine: SqlEngine) -> None:
        self._engine = engine

    async def begin(self, write: NewWrite, *, now: datetime, fence: Fence) -> StoredWrite:
        now_us = to_us(now)
        content = _content(write)

        def job(transaction: Transaction) -> StoredWrite:
            transaction.lock(f"write/{write.id}")
            transaction.check(fence)
            found = _get(transaction, write.id)
            if found is not None and found.state is not WriteState.QUEUED:
                return found
            transaction.execute(
                _INSERT if found is None else _REOPEN, (write.id, *content, now_us)
            )
            number = 1 if found is None else len(found.attempts) + 1
            transaction.execute(
                "INSERT INTO attempt (write_id, n, started, epoch) VALUES (?1, ?2, ?3, ?4)",
                (write.id, number, now_us, fence.epoch),
            )
            if write.thread:
                transaction.execute(_ANSWER, (write.account_id, write.thread, now_us))
            (stored,) = _select(transaction, "id = ?1", (write.id,), fresh=True)
            return stored

        return await self._engine.write(job)

    async def put_aside(
        self, write: NewWrite, state: WriteState, *, reason: str, now: datetime, fence: Fence
    ) -> None:
        values = (write.id, *_content(write), state.value, to_us(now), reason)

        def job(transaction: Transaction) -> None:
            transaction.check(fence)
            transaction.execute(_PUT_ASIDE, values)

        await self._engine.write(job)

    async def move(
        self,
        write_id: str,
        move: WriteMove | MissedRead,
        *,
        now: datetime,
        bookings: Sequence[Booking] = (),
        fence: Fence | None = None,
    ) -> None:
        now_us = to_us(now)

        def job(transaction: Transaction) -> None:
            transaction.lock(f"write/{write_id}")
            lock_accounts(transaction, bookings)
            transaction.check(fence)
            book(transaction, bookings)
            row = transaction.execute(
                "SELECT state FROM write WHERE id = ?1", (write_id,)
            ).fetchone()
            if row is None:
                raise Conflict(f"The write {write_id} is not on record; nothing was written.")
            found = WriteState(row[0])
            if isinstance(move, MissedRead):
                if found is WriteState.UNCERTAIN:  # else it was settled in the meantime
                    _count_read(transaction, write_id, move, now_us)
            elif not stays(found, move.to):
                _move(transaction, write_id, found, move, now_us)

        await self._engine.write(job)

    async def recover(self, *, now: datetime, fence: Fence) -> list[StoredWrite]:
        now_us = to_us(now)

        def job(transaction: Transaction) -> list[StoredWrite]:
            transaction.check(fence)
            transaction.execute(_END_ATTEMPTS_OF_SENDING, (now_us,))
            transaction.execute(_DOUBT_SENDING, (now_us,))
            return _select(transaction, "state = 'UNCERTAIN'", ())

        return await self._engine.write(job)

    async def answers(self, *, since: datetime) -> list[SentAnswer]:
        rows = await self._engine.read(
            lambda reader: reader.execute(_ANSWERS, (to_us(since),)).fetchall()
        )
        return [
            SentAnswer(account_id=account_id, thread=thread, at=from_us(at))
            for account_id, thread, at in rows
        ]

    async def expire_moot(self) -> list[str]:
        def job(transaction: Transaction) -> list[str]:
            transaction.lock("moot writes")
            ids = _moot(transaction)
            transaction.executemany(_EXPIRE, [(each, _MOOT_REASON) for each in ids])
            return ids

        return await self._engine.write(job) if await self._engine.read(_moot) else []

    async def get(self, write_id: str) -> StoredWrite | None:
        return await self._engine.read(lambda reader: _get(reader, write_id))

    async def listing(
        self,
        *,
        states: Sequence[WriteState] = (),
        account_id: str | None = None,
        event_key: str | None = None,
        limit: int = 100,
    ) -> list[StoredWrite]:
        where, values = "true", list[object]()
        if states:
            where = f"state IN ({marks(1, len(states))})"
            values.extend(state.value for state in states)
        if account_id is not None:
            values.append(account_id)
            where += f" AND account_id = ?{len(values)}"
        if event_key is not None:
            values.append(event_key)
            where += f" AND event_key = ?{len(values)} AND event_key != ''"
        values.append(limit)
        where += f" ORDER BY no DESC LIMIT ?{len(values)}"
        return await self._engine.read(
            lambda reader: _select(reader, where, values, order="no DESC")
        )

    async def unfinished(self) -> Mapping[WriteState, int]:
        return await self._engine.read(
            lambda reader: {
                WriteState(state): count for state, count in reader.execute(_UNFINISHED, ())
            }
        )

    async def owner_of(self, account_id: str, result_id: str) -> str | None:
        def job(reader: SqlReader) -> str | None:
            row = reader.execute(
                "SELECT id FROM write "
                "WHERE account_id = ?1 AND result_id = ?2 AND result_id != ''",
                (account_id, result_id),
            ).fetchone()
            return row[0] if row else None

        return await self._engine.read(job)

    async def rivals(self, write: NewWrite, *, since: datetime) -> Rivals:
        since_us = to_us(since)
        return await self._engine.read(lambda reader: _rivals(reader, write, since_us))


def confirm_as_found(
    transaction: Transaction, write: NewWrite, post: OwnPost, now_us: int
) -> StoredWrite:
    """Record a write as CONFIRMED by a post that X shows; a row that was sent stays as it is."""
    values = (write.id, *_content(write), now_us, post.post_id, post.body)
    transaction.execute(_FOUND, values)
    (stored,) = _select(transaction, "id = ?1", (write.id,))
    return stored


def _move(
    transaction: Transaction, write_id: str, found: WriteState, move: WriteMove, now_us: int
) -> None:
    if found not in ALLOWED_MOVES.get(move.to, ()):
        raise Conflict(
            f"The write {write_id} is {found} and cannot become {move.to}; nothing was written."
        )
    if move.to is WriteState.CONFIRMED:
        transaction.execute(_CONFIRM, (write_id, move.result_id, move.result))
    else:
        read_us = to_us_or_none(move.next_read_at)
        transaction.execute(_MOVE, (write_id, move.to.value, move.reason, read_us))
    outcome = move.reason or move.to.value.lower()
    transaction.execute(_END_ATTEMPT, (write_id, outcome, now_us))


def _count_read(transaction: Transaction, write_id: str, read: MissedRead, now_us: int) -> None:
    transaction.execute(_COUNT_READ, (write_id, to_us_or_none(read.next_read_at)))
    if read.clean:
        transaction.execute(_COUNT_CLEAN, (write_id, now_us))


def _content(write: NewWrite) -> tuple[object, ...]:
    return (
        write.account_id,
        write.operation,
        write.target,
        write.body,
        write.event_key,
        write.run,
        write.handler,
        write.text,
        write.text_hash,
        write.interaction,
        write.policy.value,
        str(write.cost_usd),
        to_us_or_none(write.expires_at),
    )


def _moot(reader: SqlReader) -> list[str]:
    return [row[0] for row in reader.execute(_MOOT, ()).fetchall()]


def _get(reader: SqlReader, write_id: str) -> StoredWrite | None:
    found = _select(reader, "id = ?1", (write_id,))
    return found[0] if found else None


def _rivals(reader: SqlReader, write: NewWrite, since_us: int) -> Rivals:
    answers: list[StoredWrite] = []
    same_text: list[StoredWrite] = []
    if write.interaction:
        chosen = f"account_id = ?1 AND id != ?2 AND interaction = ?3 AND {_MAYBE}"
        answers = _select(reader, chosen, (write.account_id, write.id, write.interaction))
    if write.text_hash:
        chosen = (
            "account_id = ?1 AND id != ?2 AND text_hash = ?3 AND target = ?4 "
            f"AND coalesce(last_sent_at, created_at) >= ?5 AND {_MAYBE}"
        )
        values = (write.account_id, write.id, write.text_hash, write.target, since_us)
        same_text = _select(reader, chosen, values)
    return Rivals(answers=tuple(answers), same_text=tuple(same_text))


def _select(
    reader: SqlReader,
    chosen: str,
    values: Sequence[object],
    *,
    order: str = "no",
    fresh: bool = False,
) -> list[StoredWrite]:
    statement = _SELECT.format(columns=_COLUMNS, chosen=chosen, order=order)
    rows = reader.execute(statement, values).fetchall()
    return [
        _write(write[:_WIDTH], [write, *others], fresh=fresh)
        for _, (write, *others) in groupby(rows, key=itemgetter(0))
    ]


def _write(
    row: tuple[Any, ...], attempts: Sequence[tuple[Any, ...]], *, fresh: bool
) -> StoredWrite:
    return StoredWrite(
        id=row[0],
        account_id=row[1],
        operation=row[2],
        target=row[3],
        body=row[4],
        event_key=row[5],
        run=row[6],
        handler=row[7],
        text=row[8],
        text_hash=row[9],
        interaction=row[10],
        policy=WritePolicy(row[11]),
        cost_usd=Decimal(row[12]),
        expires_at=from_us_or_none(row[13]),
        state=WriteState(row[14]),
        created_at=from_us(row[15]),
        first_sent_at=from_us_or_none(row[16]),
        last_sent_at=from_us_or_none(row[17]),
        next_read_at=from_us_or_none(row[18]),
        reads=row[19],
        clean_reads=row[20],
        first_clean_at=from_us_or_none(row[21]),
        last_clean_at=from_us_or_none(row[22]),
        result_id=row[23],
        result=row[24],
        reason=row[25],
        attempts=tuple(_attempt(*found[_WIDTH:]) for found in attempts if found[_WIDTH]),
        fresh=fresh,
    )


def _attempt(number: int, started: int, epoch: int, outcome: str, ended: int | None) -> Attempt:
    return Attempt(
        n=number,
        started=from_us(started),
        epoch=epoch,
        outcome=outcome,
        ended=from_us_or_none(ended),
    )
