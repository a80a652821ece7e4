"""The journal of writes: which step is where, and what is known of its outcome.

Source: docs/explanation/requirements.md, "Writes".
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from botkit.errors import Conflict
from botkit.model.records import Attempt, StoredWrite, WritePolicy, WriteState
from botkit.storage.sql.values import from_us, from_us_or_none, to_us, to_us_or_none

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from botkit.model.records import Fence, NewWrite
    from botkit.storage.sql.transaction import SqlCursor, SqlEngine, SqlReader, Transaction

    Execute = Callable[..., SqlCursor]

__all__ = ["SqlWrites"]

_COLUMNS = (
    "id, account_id, operation, target, body, state, event_key, run, handler, text, text_hash, "
    "interaction, policy, cost_usd, created_at, first_sent_at, last_sent_at, next_read_at, reads, "
    "clean_reads, first_clean_at, last_clean_at, result_id, result, reason, expires_at"
)
_MAY_HAVE_HAPPENED = "('CONFIRMED', 'SENDING', 'UNCERTAIN', 'UNRESOLVED')"
_CONTENT = (
    "account_id, operation, target, body, event_key, run, handler, text, text_hash, interaction, "
    "policy, cost_usd, expires_at"
)
_INSERT = f"""
INSERT INTO write (id, {_CONTENT}, state, created_at, first_sent_at, last_sent_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'SENDING', ?, ?, ?)
"""  # noqa: S608
_PUT_ASIDE = f"""
INSERT INTO write (id, {_CONTENT}, state, created_at, reason)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET state = excluded.state, reason = excluded.reason
WHERE write.state = 'QUEUED'
"""  # noqa: S608
_REOPEN = f"""
UPDATE write SET ({_CONTENT}) = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?), state = 'SENDING',
  first_sent_at = coalesce(first_sent_at, ?), last_sent_at = ?, next_read_at = NULL, reads = 0,
  clean_reads = 0, first_clean_at = NULL, last_clean_at = NULL, reason = ''
WHERE id = ?
"""  # noqa: S608
_PRUNED = """
SELECT id FROM write w WHERE state IN ('CONFIRMED', 'REJECTED', 'EXPIRED') AND created_at < ?
  AND NOT EXISTS (SELECT 1 FROM event e LEFT JOIN ended d ON d.seq = e.seq
    WHERE e.key = w.event_key AND e.account_id = w.account_id
      AND coalesce(d.state, 'dead') = 'dead')
ORDER BY created_at LIMIT ?
"""
_FINAL_ANSWER = frozenset({WriteState.CONFIRMED})
_ANY = frozenset(WriteState)
_OPEN = frozenset(
    {
        WriteState.QUEUED,
        WriteState.SENDING,
        WriteState.UNCERTAIN,
        WriteState.ABSENT,
        WriteState.UNRESOLVED,
    }
)


class SqlWrites:
    """See `botkit.ports.store.Writes`."""

    def __init__(self, engine: SqlEngine) -> None:
        self._engine = engine

    async def begin(self, write: NewWrite, *, now: datetime, fence: Fence) -> StoredWrite:
        """Make the row SENDING, or re-open it when it is QUEUED; with a new attempt."""
        now_us = to_us(now)
        content = _content(write)

        def job(transaction: Transaction) -> StoredWrite:
            transaction.check(fence)
            found = _get(transaction.execute, write.id)
            if found is not None and found.state is not WriteState.QUEUED:
                return found
            if found is None:
                transaction.execute(_INSERT, (write.id, *content, now_us, now_us, now_us))
            else:
                transaction.execute(_REOPEN, (*content, now_us, now_us, write.id))
            number = 1 if found is None else len(found.attempts) + 1
            transaction.execute(
                "INSERT INTO attempt (write_id, n, started, epoch) VALUES (?, ?, ?, ?)",
                (write.id, number, now_us, fence.epoch),
            )
            return _must_get(transaction.execute, write.id, fresh=True)

        return await self._engine.write(job)

    async def put_aside(
        self, write: NewWrite, state: WriteState, *, reason: str, now: datetime, fence: Fence
    ) -> None:
        """Put a write on record that is not sent: REJECTED (refused here), EXPIRED (dry run)."""
        now_us = to_us(now)
        content = _content(write)

        def job(transaction: Transaction) -> None:
            transaction.check(fence)
            transaction.execute(_PUT_ASIDE, (write.id, *content, state.value, now_us, reason))

        await self._engine.write(job)

    async def confirm(
        self, write_id: str, *, result_id: str, result: bytes, now: datetime, fence: Fence | None
    ) -> None:
        """CONFIRMED, with what the step returns."""

        def job(transaction: Transaction) -> None:
            transaction.check(fence)
            if _state(transaction, write_id) is WriteState.CONFIRMED:
                return  # what was returned once stays what the step returns
            transaction.execute(
                "UPDATE write SET state = 'CONFIRMED', result_id = ?, result = ?, reason = '', "
                "next_read_at = NULL WHERE id = ?",
                (result_id, result, write_id),
            )
            _end_attempt(transaction, write_id, "confirmed", now)

        await self._engine.write(job)

    async def reject(
        self, write_id: str, *, reason: str, now: datetime, fence: Fence | None
    ) -> None:
        """REJECTED: X said no for good."""
        await self._move(
            write_id,
            WriteState.REJECTED,
            of=_ANY - _FINAL_ANSWER,
            reason=reason,
            now=now,
            fence=fence,
        )

    async def requeue(
        self, write_id: str, *, reason: str, now: datetime, fence: Fence | None
    ) -> None:
        """QUEUED again: it was surely not carried out (not sent, 429, or ABSENT)."""
        await self._move(
            write_id, WriteState.QUEUED, of=_OPEN, reason=reason, now=now, fence=fence
        )

    async def uncertain(
        self, write_id: str, *, reason: str, now: datetime, next_read_at: datetime, fence: Fence
    ) -> None:
        """UNCERTAIN: the outcome is not known; says when to read first."""
        await self._move(
            write_id,
            WriteState.UNCERTAIN,
            of={WriteState.SENDING, WriteState.UNCERTAIN},
            reason=reason,
            now=now,
            fence=fence,
            next_read_at=next_read_at,
        )

    async def record_read(
        self, write_id: str, *, clean: bool, now: datetime, next_read_at: datetime | None
    ) -> None:
        """One reading did not show the write."""
        now_us = to_us(now)

        def job(transaction: Transaction) -> None:
            if _state(transaction, write_id) is not WriteState.UNCERTAIN:
                return  # settled in the meantime
            transaction.execute(
                "UPDATE write SET reads = reads + 1, next_read_at = ? WHERE id = ?",
                (to_us_or_none(next_read_at), write_id),
            )
            if clean:
                transaction.execute(
                    # A first one that is still to come was before the clock was set back.
                    "UPDATE write SET clean_reads = clean_reads + 1, last_clean_at = ?1, "
                    "first_clean_at = min(coalesce(first_clean_at, ?1), ?1) WHERE id = ?2",
                    (now_us, write_id),
                )

        await self._engine.write(job)

    async def set_state(
        self,
        write_id: str,
        state: WriteState,
        *,
        reason: str,
        now: datetime,
        fence: Fence | None = None,
    ) -> None:
        """ABSENT, UNRESOLVED, EXPIRED, or a person's decision."""
        await self._move(
            write_id, state, of=_ANY - _FINAL_ANSWER, reason=reason, now=now, fence=fence
        )

    async def recover(self, *, now: datetime, fence: Fence) -> list[StoredWrite]:
        """At start: every SENDING row becomes UNCERTAIN; gives all UNCERTAIN rows."""
        now_us = to_us(now)

        def job(transaction: Transaction) -> list[StoredWrite]:
            transaction.check(fence)
            transaction.execute(
                "UPDATE attempt SET outcome = 'process ended', ended = ? WHERE ended IS NULL AND "
                "write_id IN (SELECT id FROM write WHERE state = 'SENDING')",
                (now_us,),
            )
            transaction.execute(
                "UPDATE write SET state = 'UNCERTAIN', next_read_at = ?, "
                "reason = 'the process ended while it was being sent' WHERE state = 'SENDING'",
                (now_us,),
            )
            return _select(transaction.execute, "state = 'UNCERTAIN' ORDER BY no", ())

        return await self._engine.write(job)

    async def get(self, write_id: str) -> StoredWrite | None:
        """One write, with its attempts."""
        return await self._engine.read(lambda reader: _get(reader.execute, write_id))

    async def listing(
        self,
        *,
        states: Sequence[WriteState] = (),
        account_id: str | None = None,
        limit: int = 100,
    ) -> list[StoredWrite]:
        """Writes, newest first."""
        where, values = "1", list[object]()
        if states:
            where = f"state IN ({', '.join('?' * len(states))})"
            values.extend(state.value for state in states)
        if account_id is not None:
            where += " AND account_id = ?"
            values.append(account_id)
        values.append(limit)
        return await self._engine.read(
            lambda reader: _select(reader.execute, f"{where} ORDER BY no DESC LIMIT ?", values)
        )

    async def owner_of(self, account_id: str, result_id: str) -> str | None:
        """The id of the write that made that post, None when none of ours did."""

        def job(reader: SqlReader) -> str | None:
            row = reader.execute(
                "SELECT id FROM write WHERE account_id = ? AND result_id = ? AND result_id != ''",
                (account_id, result_id),
            ).fetchone()
            return row[0] if row else None

        return await self._engine.read(job)

    async def answered(self, account_id: str, interaction: str) -> list[StoredWrite]:
        """Writes that answer that interaction and happened or may have happened."""
        where = (
            "account_id = ? AND interaction = ? AND interaction != '' "
            f"AND state IN {_MAY_HAVE_HAPPENED} ORDER BY no"
        )
        return await self._engine.read(
            lambda reader: _select(reader.execute, where, (account_id, interaction))
        )

    async def same_text(
        self, account_id: str, text_hash: str, target: str, *, since: datetime
    ) -> list[StoredWrite]:
        """Writes of the same text to the same target that happened or may have happened."""
        where = (
            "account_id = ? AND text_hash = ? AND text_hash != '' AND target = ? "
            f"AND coalesce(last_sent_at, created_at) >= ? AND state IN {_MAY_HAVE_HAPPENED} "
            "ORDER BY no"
        )
        values = (account_id, text_hash, target, to_us(since))
        return await self._engine.read(lambda reader: _select(reader.execute, where, values))

    async def prune(self, *, before: datetime, limit: int = 1000) -> int:
        """Forget final writes made before that time; gives how many."""
        values = (to_us(before), limit)

        def job(transaction: Transaction) -> int:
            ids = transaction.execute(_PRUNED, values).fetchall()
            transaction.executemany("DELETE FROM attempt WHERE write_id = ?", ids)
            transaction.executemany("DELETE FROM write WHERE id = ?", ids)
            return len(ids)

        return await self._engine.write(job)

    async def _move(
        self,
        write_id: str,
        state: WriteState,
        *,
        of: Collection[WriteState],
        reason: str,
        now: datetime,
        fence: Fence | None,
        next_read_at: datetime | None = None,
    ) -> None:
        read_us = to_us_or_none(next_read_at)

        def job(transaction: Transaction) -> None:
            transaction.check(fence)
            found = _state(transaction, write_id)
            if found is state and state is not WriteState.UNCERTAIN:
                return
            if found not in of:
                raise Conflict(
                    f"The write {write_id} is {found} and cannot become {state}; "
                    "nothing was written."
                )
            transaction.execute(
                "UPDATE write SET state = ?, reason = ?, next_read_at = ? WHERE id = ?",
                (state.value, reason, read_us, write_id),
            )
            _end_attempt(transaction, write_id, reason or state.value.lower(), now)

        await self._engine.write(job)


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


def _state(transaction: Transaction, write_id: str) -> WriteState:
    row = transaction.execute("SELECT state FROM write WHERE id = ?", (write_id,)).fetchone()
    if row is None:
        raise Conflict(f"The write {write_id} is not on record; nothing was written.")
    return WriteState(row[0])


def _end_attempt(transaction: Transaction, write_id: str, outcome: str, now: datetime) -> None:
    transaction.execute(
        "UPDATE attempt SET outcome = ?, ended = ? WHERE write_id = ? AND ended IS NULL",
        (outcome, to_us(now), write_id),
    )


def _get(execute: Execute, write_id: str) -> StoredWrite | None:
    found = _select(execute, "id = ?", (write_id,))
    return found[0] if found else None


def _must_get(execute: Execute, write_id: str, *, fresh: bool) -> StoredWrite:
    return _select(execute, "id = ?", (write_id,), fresh=fresh)[0]


def _select(
    execute: Execute, where: str, values: Sequence[object], *, fresh: bool = False
) -> list[StoredWrite]:
    rows = execute(f"SELECT {_COLUMNS} FROM write WHERE {where}", values).fetchall()  # noqa: S608
    return [_write(row, _attempts(execute, row[0]), fresh=fresh) for row in rows]


def _attempts(execute: Execute, write_id: str) -> tuple[Attempt, ...]:
    rows = execute(
        "SELECT n, started, epoch, outcome, ended FROM attempt WHERE write_id = ? ORDER BY n",
        (write_id,),
    )
    return tuple(
        Attempt(
            n=n,
            started=from_us(started),
            epoch=epoch,
            outcome=outcome,
            ended=from_us_or_none(ended),
        )
        for n, started, epoch, outcome, ended in rows
    )


def _write(row: tuple[Any, ...], attempts: tuple[Attempt, ...], *, fresh: bool) -> StoredWrite:
    return StoredWrite(
        id=row[0],
        account_id=row[1],
        operation=row[2],
        target=row[3],
        body=row[4],
        state=WriteState(row[5]),
        event_key=row[6],
        run=row[7],
        handler=row[8],
        text=row[9],
        text_hash=row[10],
        interaction=row[11],
        policy=WritePolicy(row[12]),
        cost_usd=Decimal(row[13]),
        created_at=from_us(row[14]),
        first_sent_at=from_us_or_none(row[15]),
        last_sent_at=from_us_or_none(row[16]),
        next_read_at=from_us_or_none(row[17]),
        reads=row[18],
        clean_reads=row[19],
        first_clean_at=from_us_or_none(row[20]),
        last_clean_at=from_us_or_none(row[21]),
        result_id=row[22],
        result=row[23],
        reason=row[24],
        expires_at=from_us_or_none(row[25]),
        attempts=attempts,
        fresh=fresh,
    )
