"""Checkpoints, gaps, schedules, and what the running parts say of themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from botkit.model.hearing import Checkpoint, GapRow
from botkit.model.records import ScheduleRow, StatusReport
from botkit.storage.sql.event_rows import event_rows, insert_checkpoint
from botkit.storage.sql.values import from_us, from_us_or_none, to_us, to_us_or_none

if TYPE_CHECKING:
    from collections.abc import Sequence

    from botkit.model.records import Fence, NewEvent
    from botkit.ports import Clock
    from botkit.storage.sql.transaction import SqlEngine, SqlReader, Transaction

__all__ = ["SqlProgress"]


class SqlProgress:
    """See `botkit.ports.store.Progress`."""

    def __init__(self, engine: SqlEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def checkpoint(self, source: str, account_id: str) -> Checkpoint | None:
        def job(reader: SqlReader) -> Checkpoint | None:
            row = reader.execute(
                "SELECT cursor, read_to FROM checkpoint WHERE source = ?1 AND account_id = ?2",
                (source, account_id),
            ).fetchone()
            if row is None:
                return None
            return Checkpoint(
                source=source,
                account_id=account_id,
                cursor=row[0],
                read_to=from_us_or_none(row[1]),
            )

        return await self._engine.read(job)

    async def set_checkpoint(self, checkpoint: Checkpoint, *, fence: Fence | None = None) -> None:
        def job(transaction: Transaction) -> None:
            transaction.check(fence)
            insert_checkpoint(transaction, checkpoint)

        await self._engine.write(job)

    async def open_gap(self, gap: GapRow) -> int:
        columns = _gap_columns(gap)

        def job(transaction: Transaction) -> int:
            return transaction.insert(
                "INSERT INTO gap (source, account_id, since, until, state, cause, tried, reason) "
                "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                columns,
            )

        return await self._engine.write(job)

    async def change_gap(self, gap: GapRow) -> None:
        columns = (*_gap_columns(gap), gap.id)

        def job(transaction: Transaction) -> None:
            transaction.execute(
                "UPDATE gap SET source = ?1, account_id = ?2, since = ?3, until = ?4, state = ?5, "
                "cause = ?6, tried = ?7, reason = ?8 WHERE id = ?9 AND state = 'open'",
                columns,
            )

        await self._engine.write(job)

    async def gaps(self, *, state: str | None = None, limit: int = 100) -> list[GapRow]:
        def job(reader: SqlReader) -> list[GapRow]:
            rows = reader.execute(
                "SELECT source, account_id, since, until, state, cause, tried, reason, id "
                "FROM gap WHERE ?1 IS NULL OR state = ?1 ORDER BY id DESC LIMIT ?2",
                (state, limit),
            )
            return [
                GapRow(
                    source=row[0],
                    account_id=row[1],
                    since=from_us(row[2]),
                    until=from_us_or_none(row[3]),
                    state=row[4],
                    cause=row[5],
                    tried=row[6],
                    reason=row[7],
                    id=row[8],
                )
                for row in rows
            ]

        return await self._engine.read(job)

    async def schedules(self, account_id: str | None = None) -> list[ScheduleRow]:
        def job(reader: SqlReader) -> list[ScheduleRow]:
            rows = reader.execute(
                "SELECT id, account_id, spec, next_at FROM schedule "
                "WHERE ?1 IS NULL OR account_id = ?1 ORDER BY next_at, id",
                (account_id,),
            )
            return [
                ScheduleRow(id=row[0], account_id=row[1], spec=row[2], next_at=from_us(row[3]))
                for row in rows
            ]

        return await self._engine.read(job)

    async def fire(
        self, row: ScheduleRow, events: Sequence[NewEvent], *, fence: Fence
    ) -> list[int | None]:
        rows = event_rows(events, to_us(self._clock.now()))
        columns = (row.id, row.account_id, row.spec, to_us(row.next_at))

        def job(transaction: Transaction) -> list[int | None]:
            transaction.check(fence)
            transaction.execute(
                "INSERT INTO schedule VALUES (?1, ?2, ?3, ?4) ON CONFLICT (account_id, id) "
                "DO UPDATE SET spec = excluded.spec, next_at = excluded.next_at",
                columns,
            )
            return transaction.record_events(rows)

        return await self._engine.write(job)

    async def report(self, reports: Sequence[StatusReport], *, fence: Fence | None = None) -> None:
        rows = [
            (
                report.part,
                report.state,
                report.detail,
                to_us(report.at),
                msgspec.json.encode(report.data).decode(),
            )
            for report in reports
        ]

        def job(transaction: Transaction) -> None:
            transaction.check(fence)
            transaction.executemany(
                "INSERT INTO report VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (part) DO UPDATE SET "
                "state = excluded.state, detail = excluded.detail, at = excluded.at, "
                "data = excluded.data",
                rows,
            )

        await self._engine.write(job)

    async def reports(self) -> list[StatusReport]:
        def job(reader: SqlReader) -> list[StatusReport]:
            rows = reader.execute("SELECT part, state, detail, at, data FROM report ORDER BY part")
            return [
                StatusReport(
                    part=row[0],
                    state=row[1],
                    detail=row[2],
                    at=from_us(row[3]),
                    data=msgspec.json.decode(row[4], type=dict[str, str]),
                )
                for row in rows
            ]

        return await self._engine.read(job)

    async def clear_reports(self, *, fence: Fence | None = None) -> None:
        def job(transaction: Transaction) -> None:
            transaction.check(fence)
            transaction.execute("DELETE FROM report")

        await self._engine.write(job)


def _gap_columns(gap: GapRow) -> tuple[Any, ...]:
    return (
        gap.source,
        gap.account_id,
        to_us(gap.since),
        to_us_or_none(gap.until),
        gap.state,
        gap.cause,
        gap.tried,
        gap.reason,
    )
