"""The store on one SQLite file: the groups of the port over one engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botkit.storage.sqlite.accounts import SqliteAccounts
from botkit.storage.sqlite.credentials import SqliteCredentials
from botkit.storage.sqlite.engine import Engine
from botkit.storage.sqlite.events import SqliteEvents
from botkit.storage.sqlite.invitations import SqliteInvitations
from botkit.storage.sqlite.leases import SqliteLeases
from botkit.storage.sqlite.ledger import SqliteLedger
from botkit.storage.sqlite.process_locks import ProcessLocks
from botkit.storage.sqlite.progress import SqliteProgress
from botkit.storage.sqlite.states import SqliteStates
from botkit.storage.sqlite.writes import SqliteWrites

if TYPE_CHECKING:
    import sqlite3
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
    from botkit.storage.sqlite.engine import Transaction

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
        self.states: States = SqliteStates(self._engine)
        self.writes: Writes = SqliteWrites(self._engine)
        self.credentials: Credentials = SqliteCredentials(self._engine, clock, path)
        self.accounts: Accounts = SqliteAccounts(self._engine)
        self.invitations: Invitations = SqliteInvitations(self._engine, clock)
        self.leases: Leases = SqliteLeases(self._engine, self._locks, clock)
        self.progress: Progress = SqliteProgress(self._engine, clock)
        self.ledger: Ledger = SqliteLedger(self._engine)

    async def vault_check(self) -> bytes | None:
        """The value sealed with the vault key, None while there is no key yet."""

        def job(reader: sqlite3.Connection) -> bytes | None:
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
