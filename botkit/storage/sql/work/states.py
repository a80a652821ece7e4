"""The author's state, and the results of `act.once`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botkit.model.records import StateRow

if TYPE_CHECKING:
    from botkit.model.records import Fence, MemoKey
    from botkit.storage.sql.transaction import SqlEngine, SqlReader, Transaction

__all__ = ["SqlStates"]

_NEXT_SCOPE = "SELECT scope FROM state WHERE scope > ?1 ORDER BY scope LIMIT 1"


class SqlStates:
    """See `botkit.ports.store.States`."""

    def __init__(self, engine: SqlEngine) -> None:
        self._engine = engine

    async def read(self, scope: str, key: str) -> StateRow | None:
        def job(reader: SqlReader) -> StateRow | None:
            row = reader.execute(
                "SELECT value, rev FROM state WHERE scope = ?1 AND key = ?2", (scope, key)
            ).fetchone()
            return StateRow(value=row[0], rev=row[1]) if row else None

        return await self._engine.read(job)

    async def scopes(self) -> list[str]:
        def job(reader: SqlReader) -> list[str]:
            found: list[str] = []
            while row := reader.execute(_NEXT_SCOPE, (found[-1] if found else "",)).fetchone():
                found.append(row[0])
            return found

        return await self._engine.read(job)

    async def sample(self, scope: str, *, limit: int) -> list[bytes]:
        def job(reader: SqlReader) -> list[bytes]:
            rows = reader.execute(
                "SELECT value FROM state WHERE scope = ?1 LIMIT ?2", (scope, limit)
            )
            return [row[0] for row in rows.fetchall()]

        return await self._engine.read(job)

    async def memo(self, key: MemoKey) -> bytes | None:
        def job(reader: SqlReader) -> bytes | None:
            row = reader.execute(
                "SELECT value FROM memo WHERE event_key = ?1 AND account_id = ?2 AND run = ?3 "
                "AND handler = ?4 AND name = ?5 AND n = ?6",
                _columns(key),
            ).fetchone()
            return row[0] if row else None

        return await self._engine.read(job)

    async def keep(self, key: MemoKey, value: bytes, *, fence: Fence) -> None:
        def job(transaction: Transaction) -> None:
            transaction.check(fence)
            transaction.execute(
                "INSERT INTO memo VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
                (*_columns(key), value),
            )

        await self._engine.write(job)


def _columns(key: MemoKey) -> tuple[str, str, int, str, str, int]:
    return (key.event_key, key.account_id, key.run, key.handler, key.name, key.n)
