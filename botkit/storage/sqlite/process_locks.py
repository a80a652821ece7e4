"""Kernel locks that say whether the holder of a lease still lives.

A lease in the table runs out by time. On one machine that can be known at once: the holder keeps
a lock on one byte of a file beside the store, and the kernel drops it when the holder ends,
however it ends. The file is never removed; the lease row names its inode, so a lock file that was
deleted or replaced says nothing and the time decides.

The locks belong to the open file description, not to the process: closing another descriptor of
the file does not drop them. Source: Linux fcntl_locking(2); docs/explanation/requirements.md, S7.
"""

from __future__ import annotations

import os
import struct
import sys
import threading
import zlib
from typing import TYPE_CHECKING

from botkit.storage.sql.leases import Holder

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ProcessLocks"]

_EPOCHS = 1 << 20
_FLOCK = "hhqqi4x"
"""struct flock of 64-bit Linux: type, whence, start, length, pid (0), padding."""


class ProcessLocks:
    """The locks of one handle on the store."""

    def __init__(self, path: Path) -> None:
        self._path = f"{path}-locks"
        self._descriptor: int | None = None
        self._inode = 0
        self._ours: set[tuple[str, int]] = set()
        self._guard = threading.Lock()

    def take(self, name: str, epoch: int) -> int:
        """Lock for that lease; return the mark for its row, 0 if the kernel cannot help."""
        with self._guard:
            if not self._open() or not self._lock(name, epoch, fcntl.F_WRLCK):
                return 0
            self._ours.add((name, epoch))
            return self._inode

    def drop(self, name: str, epoch: int) -> None:
        """Unlock."""
        with self._guard:
            self._ours.discard((name, epoch))
            if self._descriptor is not None:
                self._lock(name, epoch, fcntl.F_UNLCK)

    def judge(self, name: str, epoch: int, mark: int) -> Holder:
        """Return what the kernel knows of the holder of that lease."""
        with self._guard:
            if (name, epoch) in self._ours:
                return Holder.OURS
            if not mark or not self._open() or mark != self._inode:
                return Holder.UNKNOWN
            return Holder.ALIVE if self._is_locked(name, epoch) else Holder.DEAD

    def close(self) -> None:
        """Drop all locks."""
        with self._guard:
            self._ours.clear()
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def _open(self) -> bool:
        if not sys.platform.startswith("linux") or struct.calcsize("P") != 8:  # noqa: PLR2004
            return False
        if self._descriptor is None:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            try:
                self._descriptor = os.open(self._path, flags, 0o600)
                os.fchmod(self._descriptor, 0o600)  # a umask may have taken rights from us
                self._inode = os.fstat(self._descriptor).st_ino
            except OSError:
                return False
        return True

    def _lock(self, name: str, epoch: int, kind: int) -> bool:
        assert self._descriptor is not None
        try:
            fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLK, _range(name, epoch, kind))
        except OSError:  # someone has it, or the file system knows no such locks
            return False
        return True

    def _is_locked(self, name: str, epoch: int) -> bool:
        assert self._descriptor is not None
        try:
            answer = fcntl.fcntl(
                self._descriptor, fcntl.F_OFD_GETLK, _range(name, epoch, fcntl.F_WRLCK)
            )
        except OSError:
            return True  # not to be known: let the time decide
        return bool(struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK)


def _range(name: str, epoch: int, kind: int) -> bytes:
    """Return the range of one byte that stands for the lease and epoch."""
    start = zlib.crc32(name.encode()) * _EPOCHS + epoch % _EPOCHS
    return struct.pack(_FLOCK, kind, os.SEEK_SET, start, 1, 0)
