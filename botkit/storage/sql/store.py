"""The store's groups over one engine, and what belongs to none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botkit.storage.sql.leases import SqlLeases
from botkit.storage.sql.ledger import SqlLedger
from botkit.storage.sql.logins.accounts import SqlAccounts
from botkit.storage.sql.logins.credentials import SqlCredentials
from botkit.storage.sql.logins.invitations import SqlInvitations
from botkit.storage.sql.progress import SqlProgress
from botkit.storage.sql.prune import prune
from botkit.storage.sql.work.handler_names import take_over_handlers
from botkit.storage.sql.work.own_posts import SqlOwnPosts
from botkit.storage.sql.work.states import SqlStates
from botkit.storage.sql.work.writes import SqlWrites

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from botkit.model.records import Fence, GoneHandler, KeepFor
    from botkit.ports import Clock
    from botkit.ports.store import (
        Accounts,
        Credentials,
        Invitations,
        Leases,
        Ledger,
        OwnPosts,
        Progress,
        States,
        Writes,
    )
    from botkit.storage.sql.leases import HolderLocks
    from botkit.storage.sql.transaction import SqlEngine, SqlReader, Transaction

__all__ = ["SqlStore"]

_VAULT_CHECK = "vault_check"
_PROOF = "SELECT value FROM meta WHERE name = ?1"
_SET_PROOF = """
INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""


class SqlStore:
    """See `botkit.ports.store.Store`. A driver adds `url`, `events`, `changed` and `close`."""

    def __init__(
        self, engine: SqlEngine, *, store_id: str, clock: Clock, locks: HolderLocks
    ) -> None:
        self._engine = engine
        self.store_id = store_id
        self.states: States = SqlStates(engine)
        self.writes: Writes = SqlWrites(engine)
        self.own_posts: OwnPosts = SqlOwnPosts(engine)
        self.credentials: Credentials = SqlCredentials(engine, clock)
        self.accounts: Accounts = SqlAccounts(engine)
        self.invitations: Invitations = SqlInvitations(engine, clock)
        self.leases: Leases = SqlLeases(engine, locks, clock)
        self.progress: Progress = SqlProgress(engine, clock)
        self.ledger: Ledger = SqlLedger(engine)

    async def vault_check(self) -> bytes | None:
        return await self._engine.read(_proof)

    async def set_vault_check(self, value: bytes, *, expected: bytes | None) -> bytes:
        def job(transaction: Transaction) -> bytes:
            transaction.lock(_VAULT_CHECK)
            found = _proof(transaction)
            if found is not None and found != expected:
                return found
            transaction.execute(_SET_PROOF, (_VAULT_CHECK, value))
            return value

        return await self._engine.write(job)

    async def take_over_handlers(
        self, names: Collection[str], renamed: Mapping[str, str], *, fence: Fence
    ) -> list[GoneHandler]:
        return await self._engine.write(
            lambda transaction: take_over_handlers(transaction, names, renamed, fence)
        )

    async def prune(self, keep_for: KeepFor, *, now: datetime) -> Mapping[str, int]:
        return await prune(self._engine, keep_for, now=now)


def _proof(reader: SqlReader) -> bytes | None:
    row = reader.execute(_PROOF, (_VAULT_CHECK,)).fetchone()
    return row[0] if row else None
