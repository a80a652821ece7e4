"""Logins: one row each, changed by compare-and-set on the generation and the intent.

What is overwritten here leaves the log soon.
Source: docs/explanation/requirements.md, "The refresh of a login" and S10.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from botkit.errors import Conflict
from botkit.model.records import CredentialRow, Intent
from botkit.model.tokens import CredentialKind, LoginState
from botkit.storage.sealed_header import sealed_alike
from botkit.storage.sql.event_rows import event_rows
from botkit.storage.sql.logins.accounts import put_account
from botkit.storage.sql.values import from_us, from_us_or_none, marks, to_us, to_us_or_none

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from botkit.model.records import Fence, NewEvent
    from botkit.model.users import Account
    from botkit.ports import Clock
    from botkit.storage.sql.transaction import SqlCursor, SqlEngine, Transaction

    Execute = Callable[..., SqlCursor]

__all__ = ["SqlCredentials", "lock_login", "replace_credential"]

_CONTENT = (
    "gen, sealed, origin, client_id, user_id, username, scopes, level, status, reason, since, "
    "granted_at, access_until, last_success, config_fingerprint"
)
_COLUMNS = (
    f"account_id, app, kind, {_CONTENT}, intent_id, intent_gen, intent_refresh_hash, "
    "intent_owner, intent_boot_id, intent_started, intent_sent"
)
_HERE = "account_id = ?1 AND app = ?2 AND kind = ?3"
_NO_INTENT = (
    "intent_id = '', intent_gen = NULL, intent_refresh_hash = NULL, intent_owner = NULL, "
    "intent_boot_id = NULL, intent_started = NULL, intent_sent = 0, reserve = NULL"
)
_REPLACE = f"""
INSERT INTO credential (account_id, app, kind, {_CONTENT})
VALUES ({marks(1, 18)})
ON CONFLICT (account_id, app, kind) DO UPDATE SET ({_CONTENT}) = (excluded.gen, excluded.sealed,
  excluded.origin, excluded.client_id, excluded.user_id, excluded.username, excluded.scopes,
  excluded.level, excluded.status, excluded.reason, excluded.since, excluded.granted_at,
  excluded.access_until, excluded.last_success, excluded.config_fingerprint),
  spent_hash = '', {_NO_INTENT}
"""
_RESULT = f"""
UPDATE credential SET ({_CONTENT}) = ({marks(4, 18)}),
  spent_hash = coalesce(intent_refresh_hash, spent_hash), {_NO_INTENT}
WHERE {_HERE}
"""
_INTEND = f"""
UPDATE credential SET intent_id = ?4, intent_gen = ?5, intent_refresh_hash = ?6,
  intent_owner = ?7, intent_boot_id = ?8, intent_started = ?9, intent_sent = ?10, reserve = ?11
WHERE {_HERE}
"""
_ROOM_BYTES = 128 * 1024
"""Room for a new login and its events, with some to spare."""


class SqlCredentials:
    """See `botkit.ports.store.Credentials`."""

    def __init__(self, engine: SqlEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def get(self, account_id: str, app: str, kind: CredentialKind) -> CredentialRow | None:
        return await self._engine.read(
            lambda reader: _get(reader.execute, (account_id, app, kind.value))
        )

    async def listing(self, account_id: str | None = None) -> list[CredentialRow]:
        where, values = ("true", ()) if account_id is None else ("account_id = ?1", (account_id,))
        query = f"SELECT {_COLUMNS} FROM credential WHERE {where} ORDER BY account_id, app, kind"
        return await self._engine.read(
            lambda reader: [_row(found) for found in reader.execute(query, values)]
        )

    async def replace(
        self,
        row: CredentialRow,
        *,
        account: Account | None = None,
        events: Sequence[NewEvent] = (),
    ) -> CredentialRow:
        rows = event_rows(events, to_us(self._clock.now()))

        def job(transaction: Transaction) -> CredentialRow:
            lock_login(transaction, row)
            if account is not None:
                put_account(transaction, account)
            stored = replace_credential(transaction, row)
            if rows:
                transaction.record_events(rows)
            return stored

        return await self._engine.write(job)

    async def make_room(self) -> None:
        def job(transaction: Transaction) -> None:
            transaction.reserve(_ROOM_BYTES)
            transaction.execute("UPDATE meta SET value = value WHERE name = 'store_id'")

        await self._engine.write(job)

    async def intend(
        self,
        row: CredentialRow,
        intent: Intent,
        *,
        reserve_bytes: int,
        fence: Fence | None = None,
    ) -> None:
        seen = row.intent.id if row.intent else ""
        values = (
            intent.id,
            intent.gen,
            intent.refresh_hash,
            intent.owner,
            intent.boot_id,
            to_us(intent.started),
            int(intent.sent),
            bytes(reserve_bytes),
        )

        def job(transaction: Transaction) -> None:
            lock_login(transaction, row)
            transaction.check(fence)
            found = _current(transaction, row)
            stored = found.intent.id if found.intent else ""
            sent_since = (
                found.intent is not None
                and found.intent.sent
                and not (row.intent is not None and row.intent.sent)
            )
            if stored not in {seen, intent.id} or sent_since:
                raise Conflict(
                    f"Another refresh of the login {_name(row)} has begun; nothing was written."
                )
            transaction.reserve(reserve_bytes)
            transaction.execute(_INTEND, (*_place(row), *values))

        await self._engine.write(job)

    async def mark_sent(
        self, row: CredentialRow, intent_id: str, *, fence: Fence | None = None
    ) -> None:
        def job(transaction: Transaction) -> None:
            lock_login(transaction, row)
            transaction.check(fence)
            found = _current(transaction, row)
            if found.intent is None or found.intent.id != intent_id:
                raise Conflict(
                    f"The intent to refresh the login {_name(row)} is not there any more; "
                    "nothing was written."
                )
            transaction.execute(
                f"UPDATE credential SET intent_sent = 1 WHERE {_HERE}",
                _place(row),
            )

        await self._engine.write(job)

    async def clear_intent(self, row: CredentialRow, intent_id: str) -> None:
        def job(transaction: Transaction) -> None:
            transaction.execute(
                f"UPDATE credential SET {_NO_INTENT} WHERE {_HERE} AND intent_id = ?4",
                (*_place(row), intent_id),
            )

        await self._engine.write(job)

    async def store_result(
        self, row: CredentialRow, intent_id: str, *, fence: Fence | None = None
    ) -> bool:
        del intent_id  # X's newest answer is kept, even if another intent stands there by now

        def job(transaction: Transaction) -> bool:
            lock_login(transaction, row)
            found = _get(transaction.execute, _place(row))
            if found is None or found.gen != row.gen - 1:
                gen = "gone" if found is None else f"at generation {found.gen}"
                raise Conflict(
                    f"The login {_name(row)} is {gen} by now; generation {row.gen} was not stored."
                )
            transaction.execute(_RESULT, (*_place(row), *_content(row)))
            transaction.scrub = True
            return transaction.holds(fence)

        return await self._engine.write(job)

    async def set_status(
        self,
        row: CredentialRow,
        status: LoginState,
        *,
        reason: str,
        now: datetime,
        config_fingerprint: str = "",
        fence: Fence | None = None,
    ) -> None:
        def job(transaction: Transaction) -> None:
            transaction.check(fence)
            transaction.execute(
                "UPDATE credential SET since = CASE WHEN status = ?5 THEN since ELSE ?7 END, "
                f"status = ?5, reason = ?6, config_fingerprint = ?8 WHERE {_HERE} AND gen = ?4",
                (*_place(row), row.gen, status.value, reason, to_us(now), config_fingerprint),
            )

        await self._engine.write(job)

    async def expire(self, row: CredentialRow, *, now: datetime) -> None:
        def job(transaction: Transaction) -> None:
            transaction.execute(
                f"UPDATE credential SET access_until = ?5 WHERE {_HERE} AND gen = ?4 "
                "AND access_until > ?5",
                (*_place(row), row.gen, to_us(now)),
            )

        await self._engine.write(job)

    async def note_level(self, row: CredentialRow, level: str) -> None:
        def job(transaction: Transaction) -> None:
            transaction.execute(
                f"UPDATE credential SET level = ?5 WHERE {_HERE} AND gen = ?4",
                (*_place(row), row.gen, level),
            )

        await self._engine.write(job)

    async def reseal(self, row: CredentialRow, fresh: CredentialRow) -> bool:
        def job(transaction: Transaction) -> bool:
            transaction.scrub = True
            done = transaction.execute(
                "UPDATE credential SET sealed = ?6, origin = ?7, client_id = ?8 "
                f"WHERE {_HERE} AND gen = ?4 AND sealed = ?5",
                (*_place(row), row.gen, row.sealed, fresh.sealed, fresh.origin, fresh.client_id),
            )
            return bool(done.rowcount)

        return await self._engine.write(job)

    async def remove(self, account_id: str, app: str, kind: CredentialKind) -> bool:
        def job(transaction: Transaction) -> bool:
            transaction.scrub = True
            return bool(
                transaction.execute(
                    f"DELETE FROM credential WHERE {_HERE}",
                    (account_id, app, kind.value),
                ).rowcount
            )

        return await self._engine.write(job)


def lock_login(transaction: Transaction, row: CredentialRow) -> None:
    """Lock the login's row, and the vault check that a new grant is compared with."""
    transaction.lock("vault_check")
    transaction.lock(f"login/{_name(row)}")


def replace_credential(transaction: Transaction, row: CredentialRow) -> CredentialRow:
    """Store a new grant as the next generation, without an intent; `lock_login` came before.

    Raises:
        Conflict: `row.gen` is not the next, or it was sealed with another key than that of now.
    """
    check = transaction.execute("SELECT value FROM meta WHERE name = 'vault_check'").fetchone()
    if check is not None and not sealed_alike(check[0], row.sealed):
        raise Conflict(
            "The vault key was changed meanwhile; nothing was written.", hint="Start again."
        )
    found = _get(transaction.execute, _place(row))
    due = 1 if found is None else found.gen + 1
    if row.gen != due:
        raise Conflict(
            f"The login {_name(row)} is at generation {due - 1} by now; "
            f"{row.gen} is not the next. Nothing was written."
        )
    transaction.execute(_REPLACE, (*_place(row), *_content(row)))
    transaction.scrub = True
    stored = _get(transaction.execute, _place(row))
    assert stored is not None
    return stored


def _place(row: CredentialRow) -> tuple[str, str, str]:
    return (row.account_id, row.app, row.kind.value)


def _name(row: CredentialRow) -> str:
    return f"{row.account_id or 'app-only'}/{row.app}/{row.kind.value}"


def _content(row: CredentialRow) -> tuple[object, ...]:
    return (
        row.gen,
        row.sealed,
        row.origin,
        row.client_id,
        row.user_id,
        row.username,
        " ".join(row.scopes),
        row.level,
        row.status.value,
        row.reason,
        to_us(row.since),
        to_us(row.granted_at),
        to_us_or_none(row.access_until),
        to_us_or_none(row.last_success),
        row.config_fingerprint,
    )


def _current(transaction: Transaction, row: CredentialRow) -> CredentialRow:
    found = _get(transaction.execute, _place(row))
    if found is None or found.gen != row.gen:
        gen = "gone" if found is None else f"at generation {found.gen}"
        raise Conflict(
            f"The login {_name(row)} is {gen} by now, {row.gen} was read; nothing was written."
        )
    return found


def _get(execute: Execute, place: tuple[str, str, str]) -> CredentialRow | None:
    found = execute(f"SELECT {_COLUMNS} FROM credential WHERE {_HERE}", place).fetchone()
    return None if found is None else _row(found)


def _row(row: tuple[Any, ...]) -> CredentialRow:
    return CredentialRow(
        account_id=row[0],
        app=sys.intern(row[1]),
        kind=CredentialKind(row[2]),
        gen=row[3],
        sealed=row[4],
        origin=sys.intern(row[5]),
        client_id=sys.intern(row[6]),
        user_id=row[7],
        username=row[8],
        scopes=_scopes(row[9]),
        level=row[10],
        status=LoginState(row[11]),
        reason=row[12],
        since=from_us(row[13]),
        granted_at=from_us(row[14]),
        access_until=from_us_or_none(row[15]),
        last_success=from_us_or_none(row[16]),
        config_fingerprint=row[17],
        intent=_intent(row[18:]) if row[18] else None,
    )


@lru_cache(maxsize=256)
def _scopes(text: str) -> tuple[str, ...]:
    """Return one tuple for all logins with the same scopes: there may be thousands."""
    return tuple(text.split())


def _intent(row: tuple[Any, ...]) -> Intent:
    return Intent(
        id=row[0],
        gen=row[1],
        refresh_hash=row[2],
        owner=row[3],
        boot_id=row[4],
        started=from_us(row[5]),
        sent=bool(row[6]),
    )
