"""The accounts the bot acts for, what is known of users, and the operator's checklist."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from botkit.errors import Conflict
from botkit.model.records import Mark, StoredOptOut, StoredUser
from botkit.model.users import Account
from botkit.storage.sql.values import from_us, marks, to_us

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from botkit.storage.sql.transaction import SqlEngine, SqlReader, Transaction

__all__ = ["SqlAccounts", "put_account"]

_ACCOUNT = "SELECT id, username, name, app, alias FROM account"
_BY_NAME = f"""
{_ACCOUNT} WHERE id = ?1 OR lower(username) = lower(?1) OR lower(alias) = lower(?1) AND alias != ''
ORDER BY id = ?1 DESC, lower(alias) = lower(?1) DESC, no DESC LIMIT 1
"""
_CALLED = """
SELECT username FROM account WHERE id != ?1 AND ?2 != ''
  AND (id = ?2 OR lower(username) = lower(?2) OR lower(alias) = lower(?2))
"""
_PUT = """
INSERT INTO account (id, username, name, app) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (id) DO UPDATE SET username = excluded.username, name = excluded.name,
  app = excluded.app
"""
_CACHE = """
INSERT INTO "user" (id, username, body, fetched_at) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (id) DO UPDATE SET username = excluded.username, body = excluded.body,
  fetched_at = excluded.fetched_at WHERE excluded.fetched_at >= "user".fetched_at
"""
_OPT_OUT = "SELECT account_id, user_id, username, at, cause FROM opt_out"
_IDS_AT_ONCE = 500


class SqlAccounts:
    """See `botkit.ports.store.Accounts`."""

    def __init__(self, engine: SqlEngine) -> None:
        self._engine = engine

    async def put(self, account: Account) -> None:
        await self._engine.write(lambda transaction: put_account(transaction, account))

    async def get(self, account: str) -> Account | None:
        name = account.removeprefix("@")

        def job(reader: SqlReader) -> Account | None:
            row = reader.execute(_BY_NAME, (name,)).fetchone()
            return _account(row) if row else None

        return await self._engine.read(job)

    async def rename(self, account_id: str, alias: str) -> None:
        def job(transaction: Transaction) -> None:
            transaction.lock("aliases")
            taken = transaction.execute(_CALLED, (account_id, alias)).fetchone()
            if taken:
                raise Conflict(f"Another account, @{taken[0]}, is called {alias!r} already.")
            transaction.execute("UPDATE account SET alias = ?1 WHERE id = ?2", (alias, account_id))

        await self._engine.write(job)

    async def listing(self) -> list[Account]:
        return await self._engine.read(
            lambda reader: [_account(row) for row in reader.execute(f"{_ACCOUNT} ORDER BY no")]
        )

    async def remove(self, account_id: str) -> bool:
        def job(transaction: Transaction) -> bool:
            transaction.scrub = True
            transaction.execute("DELETE FROM credential WHERE account_id = ?1", (account_id,))
            return bool(
                transaction.execute("DELETE FROM account WHERE id = ?1", (account_id,)).rowcount
            )

        return await self._engine.write(job)

    async def cached_users(self, ids: Sequence[str], *, since: datetime) -> list[StoredUser]:
        since_us = to_us(since)

        def job(reader: SqlReader) -> list[StoredUser]:
            found: list[StoredUser] = []
            for start in range(0, len(ids), _IDS_AT_ONCE):
                part = ids[start : start + _IDS_AT_ONCE]
                rows = reader.execute(
                    'SELECT id, username, body, fetched_at FROM "user" WHERE fetched_at >= ?1 '
                    f"AND id IN ({marks(2, len(part) + 1)})",
                    (since_us, *part),
                )
                found.extend(_user(row) for row in rows)
            return found

        return await self._engine.read(job)

    async def cache_users(self, users: Sequence[StoredUser]) -> None:
        rows = [(user.id, user.username, user.body, to_us(user.fetched_at)) for user in users]

        def job(transaction: Transaction) -> None:
            transaction.executemany(_CACHE, rows)

        await self._engine.write(job)

    async def cached_user(self, username: str) -> StoredUser | None:
        def job(reader: SqlReader) -> StoredUser | None:
            row = reader.execute(
                'SELECT id, username, body, fetched_at FROM "user" '
                "WHERE lower(username) = lower(?1) ORDER BY fetched_at DESC LIMIT 1",
                (username,),
            ).fetchone()
            return _user(row) if row else None

        return await self._engine.read(job)

    async def opted_out(self, account_id: str, user_id: str) -> StoredOptOut | None:
        return await self._engine.read(lambda reader: _opt_out(reader, account_id, user_id))

    async def opt_outs(self, *, account_id: str = "", limit: int) -> list[StoredOptOut]:
        def job(reader: SqlReader) -> list[StoredOptOut]:
            rows = reader.execute(
                f"{_OPT_OUT} WHERE ?1 = '' OR account_id = ?1 "
                "ORDER BY at DESC, account_id, user_id LIMIT ?2",
                (account_id, limit),
            )
            return [_opted(row) for row in rows]

        return await self._engine.read(job)

    async def opt_out(self, row: StoredOptOut) -> StoredOptOut:
        def job(transaction: Transaction) -> StoredOptOut:
            transaction.execute(
                "INSERT INTO opt_out (account_id, user_id, username, at, cause) "
                "VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
                (row.account_id, row.user_id, row.username, to_us(row.at), row.cause),
            )
            return _opt_out(transaction, row.account_id, row.user_id) or row

        return await self._engine.write(job)

    async def opt_in(self, account_id: str, user_id: str) -> bool:
        def job(transaction: Transaction) -> bool:
            return bool(
                transaction.execute(
                    "DELETE FROM opt_out WHERE account_id = ?1 AND user_id = ?2",
                    (account_id, user_id),
                ).rowcount
            )

        return await self._engine.write(job)

    async def marks(self, account_id: str) -> list[Mark]:
        def job(reader: SqlReader) -> list[Mark]:
            rows = reader.execute(
                "SELECT account_id, step, at FROM mark WHERE account_id = ?1 ORDER BY at, step",
                (account_id,),
            )
            return [Mark(account_id=row[0], step=row[1], at=from_us(row[2])) for row in rows]

        return await self._engine.read(job)

    async def set_mark(self, mark: Mark) -> None:
        row = (mark.account_id, mark.step, to_us(mark.at))

        def job(transaction: Transaction) -> None:
            transaction.execute(
                "INSERT INTO mark VALUES (?1, ?2, ?3) "
                "ON CONFLICT (account_id, step) DO UPDATE SET at = excluded.at",
                row,
            )

        await self._engine.write(job)

    async def clear_mark(self, account_id: str, step: str) -> bool:
        def job(transaction: Transaction) -> bool:
            return bool(
                transaction.execute(
                    "DELETE FROM mark WHERE account_id = ?1 AND step = ?2", (account_id, step)
                ).rowcount
            )

        return await self._engine.write(job)


def put_account(transaction: Transaction, account: Account) -> None:
    """Add or update an account; its alias stays as it is."""
    transaction.execute(_PUT, (account.id, account.username, account.name, account.app))


def _account(row: tuple[Any, ...]) -> Account:
    return Account(id=row[0], username=row[1], name=row[2], app=sys.intern(row[3]), alias=row[4])


def _opt_out(reader: SqlReader, account_id: str, user_id: str) -> StoredOptOut | None:
    query = f"{_OPT_OUT} WHERE account_id = ?1 AND user_id = ?2"
    row = reader.execute(query, (account_id, user_id)).fetchone()
    return _opted(row) if row else None


def _opted(row: tuple[Any, ...]) -> StoredOptOut:
    return StoredOptOut(
        account_id=row[0], user_id=row[1], username=row[2], at=from_us(row[3]), cause=row[4]
    )


def _user(row: tuple[Any, ...]) -> StoredUser:
    return StoredUser(id=row[0], username=row[1], body=row[2], fetched_at=from_us(row[3]))
