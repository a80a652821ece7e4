"""The open transaction that a job works with on SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botkit.errors import LeaseLost
from botkit.storage.sqlite.recording import insert_events

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from botkit.model.records import Fence
    from botkit.storage.sql.event_rows import EventRow
    from botkit.storage.sqlite.wal import WriteAheadLog

__all__ = ["SqliteTransaction"]


class SqliteTransaction:
    """The open transaction of a batch of jobs, as `botkit.storage.sql.transaction` says."""

    __slots__ = ("_held", "_log", "execute", "executemany", "scrub")

    def __init__(self, connection: sqlite3.Connection, log: WriteAheadLog) -> None:
        self._log = log
        self.execute: Callable[..., sqlite3.Cursor] = connection.execute
        self.executemany: Callable[..., sqlite3.Cursor] = connection.executemany
        self.scrub: bool = False
        self._held: set[tuple[str, str, int]] = set()

    def lock(self, name: str, /) -> None:
        """Do nothing: SQLite lets one transaction write at a time."""

    def check(self, fence: Fence | None) -> None:
        """Raise `LeaseLost` unless the lease row still has the fence's epoch; None passes."""
        if fence is not None and not self.holds(fence):
            raise LeaseLost(
                f"The lease {fence.name} (epoch {fence.epoch}) is not held any more; "
                "nothing was written."
            )

    def holds(self, fence: Fence | None) -> bool:
        """Return True if the lease row still has the fence's epoch; None passes."""
        if fence is None:
            return True
        held = (fence.name, fence.owner, fence.epoch)
        if held in self._held:
            return True
        row = self.execute("SELECT owner, epoch FROM lease WHERE name = ?", held[:1]).fetchone()
        if row != (fence.owner, fence.epoch):
            return False
        self._held.add(held)
        return True

    def forget_leases(self) -> None:
        """Read the lease row anew at the next check: this transaction changed one."""
        self._held.clear()

    def insert(self, statement: str, parameters: Sequence[Any], /) -> int:
        """Insert one row; return its number."""
        return self.execute(statement, parameters).lastrowid or 0

    def record_events(self, rows: Sequence[EventRow], /) -> list[int | None]:
        """Insert events; return the sequence number of each, None for a duplicate."""
        return insert_events(self, rows)

    def reserve(self, size_bytes: int, /) -> None:
        """Make sure that a later transaction of that size finds room in the log."""
        self._log.reserve(size_bytes)
