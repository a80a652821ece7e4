"""Opening SQLite's connections the way the store needs them."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING
from urllib.parse import quote

from botkit.storage.sqlite.faults import gone
from botkit.storage.sqlite.wal import KEPT_BYTES

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["BUSY_TIMEOUT_S", "connect", "plain_connect", "prepare_writer"]

BUSY_TIMEOUT_S = 5.0
"""How long a transaction waits for another process before it gives up."""


def plain_connect(path: Path, *, mode: str = "rw") -> sqlite3.Connection:
    """Return a connection in autocommit mode; `ro` reads, `rw` never makes a file, `rwc` may."""
    return sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        cached_statements=256,
    )


def connect(path: Path, *, store_id: str, query_only: bool = False) -> sqlite3.Connection:
    """Return a connection to the store with that id.

    Raises:
        StoreGone: Another store is at the path now.
        sqlite3.Error: The file cannot be opened.
    """
    connection = plain_connect(path)
    try:
        _prepare(connection, query_only=query_only)
        row = connection.execute("SELECT value FROM meta WHERE name = 'store_id'").fetchone()
    except BaseException:
        connection.close()
        raise
    if row is None or row[0] != store_id:
        connection.close()
        raise gone(path, "was replaced by another one")
    return connection


def _prepare(connection: sqlite3.Connection, *, query_only: bool) -> None:
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA wal_autocheckpoint = 0")  # the writer does it, when idle
    if query_only:
        connection.execute("PRAGMA query_only = ON")


def prepare_writer(connection: sqlite3.Connection) -> None:
    """Prepare a connection so that what it commits is on the disk.

    FULL syncs the log at each commit; secure_delete overwrites what is deleted or replaced, so
    that old tokens do not stay in free pages. Foreign keys stay off: rows of one event go and
    come in one transaction anyway, and the record outlives what refers to it.
    Source: SQLite documentation, pragmas `synchronous`, `fullfsync`, `secure_delete`.
    """
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")
    connection.execute("PRAGMA checkpoint_fullfsync = ON")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute(f"PRAGMA journal_size_limit = {KEPT_BYTES}")
    connection.execute("PRAGMA foreign_keys = OFF")
