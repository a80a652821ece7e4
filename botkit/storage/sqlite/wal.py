"""The write-ahead log: short, with room that is allocated before it is needed, and cleaned.

Copying the log into the file (a checkpoint) costs syncs of its own, so it is done when nothing
is asked, and otherwise only when the log has grown long. A commit that makes the log longer has
to sync its length too, which costs a quarter more: so the log is lengthened ahead, in one go.
Source: SQLite documentation, "Write-Ahead Logging"; row D2 of `make bench`.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from botkit.storage.sqlite.schema import PAGE_BYTES

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

__all__ = ["WriteAheadLog"]

IDLE_S = 0.25
"""How long nothing must be asked before the log is looked after."""
RETRY_S = 5.0
"""How long after that failed it is tried again, when nothing is asked meanwhile."""
BUSY_BYTES = 16_000 * PAGE_BYTES
"""A log of this size is copied even when there is always something to do (64 MiB)."""
KEPT_BYTES = 1_000 * PAGE_BYTES
"""The log's length after it starts anew (the pragma journal_size_limit)."""
_IDLE_COMMITS = 500
_AHEAD_BYTES = 1_000 * PAGE_BYTES
_AHEAD_COMMITS = 32
"""It is lengthened after so many commits: not by a short command."""
_SMALL_BYTES = 16 * PAGE_BYTES
"""And only when a commit is not larger: beside what a large one writes, its length is nothing."""
_PLENTY_BYTES = 16 * _AHEAD_BYTES
"""And only where that much is free."""
_ROOM_BYTES = 128 * 1024
"""Spare length that `reserve` makes sure of: some thirty pages."""
_LONG_BYTES = 64 * 1024 * 1024
"""A log of this size has room already."""


class WriteAheadLog:
    """Looks after the log of one file. Used in the writer's thread only."""

    def __init__(self, path: Path) -> None:
        self._path = f"{path}-wal"
        self._scrub = False
        self._pending = False
        self._rest_s = IDLE_S
        self._allocated = 0
        self._copy_at = BUSY_BYTES
        self._commits = 0
        self._commits_since_ahead = 0
        self._seen_bytes = 0

    def committed(self, *, scrub: bool) -> None:
        """Note a committed transaction; `scrub` says that it replaced or deleted a secret."""
        self._pending = True
        self._scrub = self._scrub or scrub
        self._commits += 1
        self._commits_since_ahead += 1

    def reserve(self, size_bytes: int) -> None:
        """Make sure of room on the disk for a later transaction; the writer's lock is held.

        That transaction is appended to the log. The log is made that much longer now; SQLite
        ignores what follows the last commit and writes over it.
        """
        if not hasattr(os, "posix_fallocate"):
            return  # macOS: the padded row alone
        descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        try:
            length = os.fstat(descriptor).st_size
            if length < _LONG_BYTES:
                os.posix_fallocate(descriptor, length, _ROOM_BYTES + 2 * size_bytes)
        finally:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    @property
    def patience_s(self) -> float | None:
        """How long to wait for something to do before `tend(idle=True)`; None for ever."""
        return self._rest_s if self._pending else None

    def tend(
        self, connection: sqlite3.Connection, guard: sqlite3.Connection, *, idle: bool
    ) -> None:
        """Do what is due. A failure costs nothing: the log still holds everything.

        `guard` is a second connection, which holds the writer's lock meanwhile: a commit of
        another process that restarts the log at that instant can corrupt the file in SQLite
        before 3.51.3. Source: sqlite.org/wal.html, "the WAL-reset bug".
        """
        self._pending = self._pending and not idle
        try:
            self._tend(connection, guard, idle=idle)
            self._rest_s = IDLE_S
        except Exception:  # noqa: BLE001 - whatever it is, the writer's thread must live
            self._pending = True
            self._rest_s = RETRY_S

    def _tend(
        self, connection: sqlite3.Connection, guard: sqlite3.Connection, *, idle: bool
    ) -> None:
        size = os.stat(self._path).st_size  # noqa: PTH116 - after every commit
        self._allocated = min(self._allocated, size)
        if size < BUSY_BYTES:
            self._copy_at = BUSY_BYTES
        self._seen_bytes = min(self._seen_bytes, size)
        if size >= self._copy_at or (idle and self._is_due(size)):
            self._copy(connection, guard)
            self._copy_at = size + BUSY_BYTES // 4  # a reader may hold a part of it back
            if idle and self._scrub and not _is_promised(connection):
                busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
                self._scrub = self._pending = bool(busy)
        elif self._commits_since_ahead >= _AHEAD_COMMITS and size > self._allocated:
            grown = size - self._seen_bytes
            if grown <= self._commits_since_ahead * _SMALL_BYTES:
                self._lengthen(guard, size)
            self._commits_since_ahead = 0
            self._seen_bytes = size

    def _is_due(self, size: int) -> bool:
        long = size > max(self._allocated, KEPT_BYTES)
        return self._scrub or long or self._commits >= _IDLE_COMMITS

    def _copy(self, connection: sqlite3.Connection, guard: sqlite3.Connection) -> None:
        guard.execute("BEGIN IMMEDIATE")
        try:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        finally:
            guard.execute("ROLLBACK")
        self._commits = 0

    def _lengthen(self, guard: sqlite3.Connection, size: int) -> None:
        """Write zeros behind the last commit, where SQLite takes them for no commit at all."""
        if os.name == "nt" or _free_bytes(self._path) < _PLENTY_BYTES:
            return
        guard.execute("BEGIN IMMEDIATE")
        try:
            descriptor = os.open(self._path, os.O_RDWR)
            try:
                size = max(size, os.fstat(descriptor).st_size)
                os.pwrite(descriptor, bytes(_AHEAD_BYTES), size)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        finally:
            guard.execute("ROLLBACK")
        self._allocated = size + _AHEAD_BYTES


def _free_bytes(path: str) -> int:
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def _is_promised(connection: sqlite3.Connection) -> bool:
    """Return True if the log's length is room that was promised to the result of a refresh."""
    found = connection.execute("SELECT 1 FROM credential WHERE intent_id != ''").fetchone()
    return found is not None
