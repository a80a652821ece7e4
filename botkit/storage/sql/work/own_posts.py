"""Store the posts of an account that X shows and that no recorded write made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botkit.model.records import OwnPost
from botkit.storage.sql.values import from_us, to_us
from botkit.storage.sql.work.writes import confirm_as_found

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from botkit.model.records import Fence, NewWrite, StoredWrite
    from botkit.storage.sql.transaction import SqlEngine, SqlReader, Transaction

__all__ = ["SqlOwnPosts"]

_NEWEST = """
SELECT max(id) FROM (
  SELECT max(CAST(result_id AS INTEGER)) AS id FROM write
  WHERE account_id = ?1 AND result_id != '' AND operation = 'createPosts'
  UNION ALL SELECT max(CAST(post_id AS INTEGER)) FROM own_post
  WHERE account_id = ?1 AND target NOT LIKE 'dm/%')
"""
_ANSWERS = """
SELECT result_id FROM write WHERE account_id = ?1 AND operation = 'createPosts'
  AND target = ?2 AND state = 'CONFIRMED' ORDER BY no
"""


class SqlOwnPosts:
    """See `botkit.ports.journal.OwnPosts`."""

    def __init__(self, engine: SqlEngine) -> None:
        self._engine = engine

    async def newest(self, account_id: str) -> str:
        def job(reader: SqlReader) -> str:
            (found,) = reader.execute(_NEWEST, (account_id,)).fetchone()
            return "" if found is None else str(found)

        return await self._engine.read(job)

    async def keep(self, posts: Sequence[OwnPost], *, fence: Fence) -> None:
        rows = [
            (post.account_id, post.post_id, post.target, post.body, to_us(post.at))
            for post in posts
        ]

        def job(transaction: Transaction) -> None:
            transaction.check(fence)
            transaction.executemany(
                "INSERT INTO own_post VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING", rows
            )

        await self._engine.write(job)

    async def count(self, account_id: str) -> int:
        def job(reader: SqlReader) -> int:
            (found,) = reader.execute(
                "SELECT count(*) FROM own_post WHERE account_id = ?1", (account_id,)
            ).fetchone()
            return int(found)

        return await self._engine.read(job)

    async def to(self, account_id: str, target: str) -> list[OwnPost]:
        def job(reader: SqlReader) -> list[OwnPost]:
            rows = reader.execute(
                "SELECT account_id, post_id, target, body, at FROM own_post "
                "WHERE account_id = ?1 AND target = ?2 ORDER BY at, post_id",
                (account_id, target),
            )
            return [
                OwnPost(
                    account_id=row[0],
                    post_id=row[1],
                    target=row[2],
                    body=row[3],
                    at=from_us(row[4]),
                )
                for row in rows.fetchall()
            ]

        return await self._engine.read(job)

    async def answers(self, account_id: str, target: str) -> list[str]:
        def job(reader: SqlReader) -> list[str]:
            rows = reader.execute(_ANSWERS, (account_id, target))
            return [row[0] for row in rows.fetchall()]

        return await self._engine.read(job)

    async def adopt(
        self, write: NewWrite, post: OwnPost, *, now: datetime, fence: Fence
    ) -> StoredWrite:
        def job(transaction: Transaction) -> StoredWrite:
            transaction.lock(f"write/{write.id}")
            transaction.check(fence)
            transaction.execute(
                "DELETE FROM own_post WHERE account_id = ?1 AND post_id = ?2",
                (post.account_id, post.post_id),
            )
            return confirm_as_found(transaction, write, post, to_us(now))

        return await self._engine.write(job)
