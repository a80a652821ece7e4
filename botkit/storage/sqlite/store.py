"""The store on one SQLite file: the groups of the port over one engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botkit.storage.sql.accounts import SqlAccounts
from botkit.storage.sql.credentials import SqlCredentials
from botkit.storage.sql.invitations import SqlInvitations
from botkit.storage.sql.leases import SqlLeases
from botkit.storage.sql.ledger import SqlLedger
from botkit.storage.sql.progress import SqlProgress
from botkit.storage.sql.states import SqlStates
from botkit.storage.sql.writes import SqlWrites
from botkit.storage.sqlite.engine import Engine
from botkit.storage.sqlite.events import SqliteEvents
from botkit.storage.sqlite.process_locks import ProcessLocks

if TYPE_CHECKING:
    from pathlib import Path

    from botkit.ports import Clock
    from botkit.ports.store import (
        Accounts,
        Credentials,
        Events,
        Invitations,
        Leases,
        Ledger,
        Progress,
        States,
        Writes,
    )
    from botkit.storage.sql.transaction import SqlReader, Transaction

__all__ = ["SqliteStore"]

_VAULT_CHECK = "vault_check"


class SqliteStore:
    """See `botkit.ports.store.Store`."""

    def __init__(self, path: Path, *, store_id: str, clock: Clock) -> None:
        self._engine = Engine(path, store_id=store_id)
        self._locks = ProcessLocks(path)
        self.url = f"sqlite:///{path}"
        self.store_id = store_id
        self.events: Events = SqliteEvents(self._engine, clock)
        self.states: States = SqlStates(self._engine)
        self.writes: Writes = SqlWrites(self._engine)
        self.credentials: Credentials = SqlCredentials(self._engine, clock)
        self.accounts: Accounts = SqlAccounts(self._engine)
        self.invitations: Invitations = SqlInvitations(self._engine, clock)
        self.leases: Leases = SqlLeases(self._engine, self._locks, clock)
        self.progress: Progress = SqlProgress(self._engine, clock)
        self.ledger: Ledger = SqlLedger(self._engine)

    async def vault_check(self) -> bytes | None:
        """The value sealed with the vault key, None while there is no key yet."""

        def job(reader: SqlReader) -> bytes | None:
            row = reader.execute(
                "SELECT value FROM meta WHERE name = ?", (_VAULT_CHECK,)
            ).fetchone()
            return row[0] if row else None

        return await self._engine.read(job)

    async def set_vault_check(self, value: bytes, *, expected: bytes | None) -> bytes:
        """Store it unless another value than `expected` is there; gives what is there now."""

        def job(transaction: Transaction) -> bytes:
            row = transaction.execute(
                "SELECT value FROM meta WHERE name = ?", (_VAULT_CHECK,)
            ).fetchone()
            found: bytes | None = row[0] if row else None
            if found != expected and found is not None:
                return found
            transaction.execute(
                "INSERT INTO meta VALUES (?, ?) "
                "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (_VAULT_CHECK, value),
            )
            return value

        return await self._engine.write(job)

    async def changed(self) -> bool:
        """Whether another process changed the store since the last call."""
        return await self._engine.changed()

    async def close(self) -> None:
        """Finish what was asked for and close."""
        await self._engine.close()
        self._locks.close()
