"""What SQLite's errors mean for the caller: which `StateError`, in which words, which cure."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from botkit.errors import Corrupt, StateError, StoreGone, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "damaged",
    "explain",
    "explain_os",
    "gone",
    "is_store_fault",
    "lock_holders",
    "of_row",
    "short_of_room",
]

_RESTORE = (
    "Nothing was changed. Restore the file from a backup, or move it away (keep it) and run "
    "botkit setup for a new store."
)
_LITTLE_BYTES = 64 * 1024
_LOCKED = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_CURES = {
    sqlite3.SQLITE_FULL: ("the disk is full", "Free some space; botkit goes on by itself."),
    sqlite3.SQLITE_READONLY: (
        "the file or its volume is read-only",
        "Make it writable again; botkit goes on by itself.",
    ),
    sqlite3.SQLITE_IOERR: (
        "the disk reported an error",
        "Look at the system's log and the free space; botkit goes on by itself when it works.",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "the file cannot be opened",
        "Look at its folder's permissions, the free space and the limit of open files.",
    ),
    sqlite3.SQLITE_PERM: ("access is denied", "Look at the permissions of the file and folder."),
    sqlite3.SQLITE_AUTH: ("access is denied", "Look at the permissions of the file and folder."),
    sqlite3.SQLITE_NOMEM: ("there is no memory left", "Give the process more memory."),
    sqlite3.SQLITE_SCHEMA: (
        "its tables were changed by another process",
        "Start botkit again; all processes on one store must be of one version.",
    ),
}


def damaged(path: Path, what: str, *, hint: str = _RESTORE) -> Corrupt:
    """Return the refusal of a store that cannot be used, with the ways out."""
    return Corrupt(f"The store {path} {what}.", hint=hint)


def gone(path: Path, what: str) -> StoreGone:
    """Return the error for a store whose file is no longer the one that was opened."""
    return StoreGone(
        f"The store {path} {what} while it was in use.",
        hint="Put the file back, with the -wal file beside it if there is one, or restore a "
        "backup; then start botkit again.",
    )


def short_of_room(path: Path) -> StoreUnavailable | None:
    """Return the error for a full volume; None if it has room, or its room is unknown."""
    if not _is_full(path):
        return None
    what, cure = _CURES[sqlite3.SQLITE_FULL]
    return StoreUnavailable(f"The store {path} cannot be used now: {what}.", hint=cure)


def is_store_fault(fault: BaseException) -> bool:
    """Return True if the store as a whole is at fault, not one job's statement or value."""
    if isinstance(fault, StateError):
        return False
    if not isinstance(fault, sqlite3.Error):
        return isinstance(fault, (OSError, MemoryError))
    code = _primary(fault)
    return code in _LOCKED or code in _DAMAGED or code in _CURES


def of_row(error: Exception) -> Exception:
    """Return the error for the caller of one job: `Corrupt` if it shows damage."""
    said = str(error) if isinstance(error, sqlite3.OperationalError) else ""
    if said.startswith(("no such column", "no such table")):
        what = f"The tables of the store are damaged ({said})."
    elif "decode to UTF-8" in said or isinstance(error, UnicodeDecodeError):
        what = "A row of the store is damaged: it holds no text."
    else:
        return error
    corrupt = Corrupt(what, hint=_RESTORE)
    corrupt.__cause__ = error
    return corrupt


def explain(fault: sqlite3.Error, path: Path) -> StateError:
    """Return the error that callers get for a fault of SQLite."""
    code = _primary(fault)
    if code in _LOCKED:
        return StoreUnavailable(
            f"The store {path} is locked by {_who(path)}.",
            hint="Wait until it is done, or end it; botkit goes on by itself.",
        )
    if code in _DAMAGED:
        return damaged(path, f"is damaged ({fault})")
    if code == sqlite3.SQLITE_IOERR and _is_full(path):
        code = sqlite3.SQLITE_FULL
    what, cure = _CURES.get(code, (f"SQLite says: {fault}", "See the log for the cause."))
    name = getattr(fault, "sqlite_errorname", "")
    return StoreUnavailable(
        f"The store {path} cannot be used now: {what}{f' ({name})' if name else ''}.", hint=cure
    )


def explain_os(fault: OSError, path: Path) -> StoreUnavailable:
    """Return the error for a failed call of the operating system around the store's files."""
    cures = {
        errno.ENOSPC: "Free some space.",
        errno.EROFS: "The volume is read-only: make it writable or choose another place "
        "by store.url.",
        errno.EACCES: "Make the folder writable for this user, or choose another place "
        "by store.url.",
        errno.ENOENT: "Make the folder, or choose another place by store.url.",
        errno.ENAMETOOLONG: "Choose a shorter name by store.url.",
        errno.ENOTDIR: "Choose a place in a folder by store.url.",
    }
    whose = _owner_of_folder(path) if fault.errno == errno.EACCES else ""
    return StoreUnavailable(
        f"The store {path} cannot be used now: {fault.strerror or fault}{whose}.",
        hint=cures.get(fault.errno or 0, "Look at the permissions of the file and its folder."),
    )


def _owner_of_folder(path: Path) -> str:
    """Return the owner of the nearest visible folder, if that is not this user."""
    if os.name == "nt":  # pragma: no cover - no such owners there, and authors only
        return ""
    for folder in path.parents:
        try:
            found = folder.stat()
        except OSError:
            continue
        if found.st_uid == os.geteuid():
            return f" ({folder} has mode {found.st_mode & 0o7777:04o})"
        return f" ({folder} belongs to uid {found.st_uid}, and this is uid {os.geteuid()})"
    return ""


def lock_holders(locks: Iterable[str], inodes: Iterable[int], *, own_pid: int) -> list[int]:
    """Processes that hold a lock on one of these files, from the lines of /proc/locks.

    Source: Linux proc_locks(5): `1: POSIX ADVISORY WRITE 655 fd:00:528890 120 127`.
    """
    wanted = {str(inode) for inode in inodes}
    pids = set[int]()
    for line in locks:
        fields = line.split()
        if len(fields) < 8 or "->" in fields or fields[3] != "WRITE":  # noqa: PLR2004 - columns
            continue
        pid, inode = fields[4], fields[5].rpartition(":")[2]
        if inode in wanted and pid.isdigit() and int(pid) not in {0, own_pid}:
            pids.add(int(pid))
    return sorted(pids)


def _primary(fault: sqlite3.Error) -> int:
    return int(getattr(fault, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF


def _is_full(path: Path) -> bool:
    """Return True if the volume has no room; some of SQLite's errors do not say so."""
    try:
        found = os.statvfs(path.parent)
    except (OSError, AttributeError):
        return False
    return found.f_bavail * found.f_frsize < _LITTLE_BYTES


def _who(path: Path) -> str:
    try:
        inodes = [
            Path(f"{path}{suffix}").lstat().st_ino
            for suffix in ("", "-shm", "-wal")
            if Path(f"{path}{suffix}").exists()
        ]
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
        own = int(Path("/proc/self").readlink().name)
    except (OSError, ValueError):
        return "another process"
    pids = lock_holders(lines, inodes, own_pid=own)
    return ", ".join(f"process {pid}{_command(pid)}" for pid in pids) or "another process"


def _command(pid: int) -> str:
    try:
        name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
    return f" ({name if name.isprintable() else '?'})"
