"""Invitations: each lets one login in, whatever happens at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botkit.errors import InvitationRefused
from botkit.model.invitations import Invitation, InvitationState
from botkit.storage.sql.event_rows import event_rows
from botkit.storage.sql.logins.accounts import put_account
from botkit.storage.sql.logins.credentials import lock_login, replace_credential
from botkit.storage.sql.values import from_us, from_us_or_none, to_us

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from botkit.model.records import CredentialRow, Fence, NewEvent
    from botkit.model.users import Account
    from botkit.ports import Clock
    from botkit.storage.sql.transaction import SqlCursor, SqlEngine, Transaction

    Execute = Callable[..., SqlCursor]

__all__ = ["SqlInvitations"]

_ROW = """
SELECT id, secret_hash, app, account, created_at, expires_at, held_by, held_until, used_at,
  used_by, revoked_at
FROM invitation
"""
_ADD = """
INSERT INTO invitation (id, secret_hash, app, account, created_at, expires_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
"""


class SqlInvitations:
    """See `botkit.ports.store.Invitations`."""

    def __init__(self, engine: SqlEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def add(self, invitation: Invitation) -> None:
        row = (
            invitation.id,
            invitation.secret_hash,
            invitation.app,
            invitation.account,
            to_us(invitation.created_at),
            to_us(invitation.expires_at),
        )

        def job(transaction: Transaction) -> None:
            transaction.execute(_ADD, row)

        await self._engine.write(job)

    async def get(self, invitation_id: str) -> Invitation | None:
        return await self._engine.read(lambda reader: _get(reader.execute, invitation_id))

    async def listing(self) -> list[Invitation]:
        return await self._engine.read(
            lambda reader: [_invitation(row) for row in reader.execute(f"{_ROW} ORDER BY no DESC")]
        )

    async def hold(
        self, invitation_id: str, holder: str, *, before: str, until: datetime, now: datetime
    ) -> Invitation | None:
        def job(transaction: Transaction) -> Invitation | None:
            transaction.lock(f"invitation/{invitation_id}")
            found = _get(transaction.execute, invitation_id)
            if found is None:
                return None
            state = found.state(now)
            again = state is InvitationState.IN_USE and bool(before) and found.held_by == before
            if state is not InvitationState.OPEN and not again:
                return None
            transaction.execute(
                "UPDATE invitation SET held_by = ?1, held_until = ?2 WHERE id = ?3",
                (holder, to_us(until), invitation_id),
            )
            return _get(transaction.execute, invitation_id)

        return await self._engine.write(job)

    async def free(self, invitation_id: str, holder: str) -> None:
        def job(transaction: Transaction) -> None:
            transaction.execute(
                "UPDATE invitation SET held_by = '', held_until = NULL "
                "WHERE id = ?1 AND held_by = ?2 AND used_at IS NULL",
                (invitation_id, holder),
            )

        await self._engine.write(job)

    async def free_all(self) -> None:
        def job(transaction: Transaction) -> None:
            transaction.execute(
                "UPDATE invitation SET held_by = '', held_until = NULL WHERE held_by != ''"
            )

        await self._engine.write(job)

    async def redeem(
        self,
        invitation_id: str,
        holder: str,
        account: Account,
        row: CredentialRow,
        events: Sequence[NewEvent],
        *,
        now: datetime,
        fence: Fence,
    ) -> CredentialRow:
        rows = event_rows(events, to_us(self._clock.now()))

        def job(transaction: Transaction) -> CredentialRow:
            transaction.lock(f"invitation/{invitation_id}")
            lock_login(transaction, row)
            transaction.check(fence)
            used = transaction.execute(
                "UPDATE invitation SET used_at = ?1, used_by = ?2, held_by = '', "
                "held_until = NULL "
                "WHERE id = ?3 AND held_by = ?4 AND used_at IS NULL AND revoked_at IS NULL",
                (to_us(now), account.id, invitation_id, holder),
            ).rowcount
            if not used:
                raise _over(_get(transaction.execute, invitation_id))
            put_account(transaction, account)
            stored = replace_credential(transaction, row)
            transaction.record_events(rows)
            return stored

        return await self._engine.write(job)

    async def revoke(self, invitation_id: str, *, now: datetime) -> bool:
        def job(transaction: Transaction) -> bool:
            return bool(
                transaction.execute(
                    "UPDATE invitation SET revoked_at = ?1, held_by = '', held_until = NULL "
                    "WHERE id = ?2 AND used_at IS NULL AND revoked_at IS NULL",
                    (to_us(now), invitation_id),
                ).rowcount
            )

        return await self._engine.write(job)


def _over(found: Invitation | None) -> InvitationRefused:
    why = "revoked" if found is not None and found.revoked_at is not None else "used"
    return InvitationRefused(
        "The invitation was revoked or used while the login went on; nothing was stored.",
        why=why,
        hint="Ask for a new one.",
    )


def _get(execute: Execute, invitation_id: str) -> Invitation | None:
    row = execute(f"{_ROW} WHERE id = ?1", (invitation_id,)).fetchone()
    return None if row is None else _invitation(row)


def _invitation(row: tuple[Any, ...]) -> Invitation:
    return Invitation(
        id=row[0],
        secret_hash=row[1],
        app=row[2],
        account=row[3],
        created_at=from_us(row[4]),
        expires_at=from_us(row[5]),
        held_by=row[6],
        held_until=from_us_or_none(row[7]),
        used_at=from_us_or_none(row[8]),
        used_by=row[9],
        revoked_at=from_us_or_none(row[10]),
    )
