"""The database file: made whole or not at all, and checked before it is opened.

Nothing here opens the database file itself with a descriptor of its own: closing one would drop
every lock that this process holds on it. Source: SQLite documentation, "How To Corrupt", 2.2.1.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import stat
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from botkit.errors import StateError, StoreUnavailable
from botkit.storage.files import is_there, make_folders, sync_folder
from botkit.storage.sqlite.connection import plain_connect
from botkit.storage.sqlite.faults import damaged, explain, explain_os
from botkit.storage.sqlite.schema import (
    APPLICATION_ID,
    MIGRATIONS,
    PAGE_BYTES,
    migrate,
    version_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "check_place",
    "network_file_system",
    "prepare",
]

_SUFFIXES = ("", "-wal", "-shm")
_OTHERS = 0o077
_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "afs", "ncpfs", "glusterfs"}
)
_CHECKED_BYTES = 256 * 1024 * 1024
"""Up to this size a start reads the whole file to find damage (about a second)."""


def check_place(path: Path) -> None:
    """Check that a store could be made at the path, without making one. Raises as `prepare`."""
    try:
        _refuse_network(path)
        nearest = next(folder for folder in path.parents if os.path.lexists(folder))
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as fault:
        raise explain_os(fault, path) from fault


def prepare(path: Path, *, create: bool, now_us: int, check: bool = True) -> str:
    """Make the store if it is not there, prove that it is whole, and return its id.

    Raises:
        StoreUnavailable: It is not there and `create` is False, others may read it, or the
            system does not let us.
        Corrupt: What lies there is not a store, is damaged, or of a newer version. Untouched.
    """
    try:
        _refuse_network(path)
        if not is_there(path):
            if not create:
                raise StoreUnavailable(
                    f"There is no store at {path}.",
                    hint="Run botkit setup first, or name the right file by store.url.",
                )
            _make(path, now_us)
        _refuse_files(path)
        store_id, version = _inspect(path, check=check)
        if version < len(MIGRATIONS):
            _upgrade(path, version)
    except OSError as fault:
        raise explain_os(fault, path) from fault
    except sqlite3.Error as fault:
        raise explain(fault, path) from fault
    except UnicodeDecodeError as fault:  # SQLite's message quotes what is damaged
        raise damaged(path, "is damaged (it holds no text where text belongs)") from fault
    return store_id


def network_file_system(path: Path, mounts: Iterable[str]) -> str | None:
    """Return the kind of network file system that the path is on, None for a local one.

    SQLite's locks do not hold there. Source: SQLite documentation, "How To Corrupt", 2.1.
    """
    target = Path(os.path.abspath(path))  # noqa: PTH100 - must not follow links
    found, kind = Path("/"), ""
    for line in mounts:
        fields = line.split(" ")
        if len(fields) < 3:  # noqa: PLR2004 - device, place, kind
            continue
        place = Path(fields[1].encode().decode("unicode_escape"))
        if (place == target or place in target.parents) and len(place.parts) >= len(found.parts):
            found, kind = place, fields[2]
    return kind if kind in _NETWORK or kind.startswith("fuse.sshfs") else None


def _refuse_network(path: Path) -> None:
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    kind = network_file_system(path, mounts)
    if kind:
        raise StoreUnavailable(
            f"The store {path} is on a network file system ({kind}), where file locks do not "
            "hold: two processes could damage it.",
            hint="Choose a place on a local disk by store.url.",
        )


def _refuse_files(path: Path) -> None:
    for suffix in _SUFFIXES:
        file = Path(f"{path}{suffix}")
        try:
            found = file.lstat()
        except FileNotFoundError:
            continue
        _refuse_kind(file, found)
        _refuse_rights(path, file, found)


def _refuse_kind(file: Path, found: os.stat_result) -> None:
    if stat.S_ISREG(found.st_mode):
        return
    if stat.S_ISLNK(found.st_mode):
        raise damaged(
            file, "is a symbolic link", hint="Name the file itself by store.url; nothing was read."
        )
    kind = "a folder" if stat.S_ISDIR(found.st_mode) else "not a regular file"
    raise damaged(file, f"is {kind}", hint="Name a file by store.url; nothing was changed.")


def _refuse_rights(path: Path, file: Path, found: os.stat_result) -> None:
    if os.name == "nt":  # pragma: no cover - access lists there, and authors only
        return
    if found.st_uid != os.geteuid():
        raise StoreUnavailable(
            f"The store {file} belongs to another user (uid {found.st_uid}).",
            hint=f"Run botkit as that user, or: chown {os.geteuid()} {path}*",
        )
    if stat.S_IMODE(found.st_mode) & _OTHERS:
        raise StoreUnavailable(
            f"The store {file} can be read by other users "
            f"(mode {stat.S_IMODE(found.st_mode):04o}).",
            hint=f"Close it: chmod 600 {path}*",
        )


def _make(path: Path, now_us: int) -> None:
    """Build the store under another name, then give it its own: whole, or not there at all."""
    make_folders(path.parent)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.", suffix=".new")
    os.close(descriptor)
    building = Path(name)
    try:
        building.chmod(0o600)  # a umask may have taken rights from ourselves
        _fill(building, now_us)
        with contextlib.suppress(FileExistsError):  # another process was first: take its store
            _rename_new(building, path)
        sync_folder(path.parent)
    finally:
        for suffix in (*_SUFFIXES, "-journal"):
            Path(f"{building}{suffix}").unlink(missing_ok=True)


def _fill(building: Path, now_us: int) -> None:
    connection = plain_connect(building)
    try:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # only an empty file can change it
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("BEGIN IMMEDIATE")
        migrate(connection)
        connection.executemany(
            "INSERT INTO meta (name, value) VALUES (?, ?)",
            [("store_id", secrets.token_hex(16)), ("created_at", now_us)],
        )
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
    finally:
        connection.close()


def _rename_new(building: Path, path: Path) -> None:
    """Give the file its name; never replaces what is there."""
    try:
        os.link(building, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            raise FileExistsError from None
        building.rename(path)


def _inspect(path: Path, *, check: bool) -> tuple[str, int]:
    """Read-only: the id and the version of a sound store."""
    size = path.lstat().st_size
    log = Path(f"{path}-wal")
    has_log = log.exists() and log.stat().st_size > 0
    if size == 0:
        raise damaged(path, "is empty: it is not a store that botkit made")
    if not has_log:
        # This way of opening leaves no trace, not even an empty log beside the file.
        with closing(plain_connect(path, mode="ro&immutable=1")) as connection:
            _refuse_strangers(connection, path)
        if size % PAGE_BYTES:
            raise damaged(path, "is cut within its last page")
    connection = plain_connect(path, mode="ro")
    connection.text_factory = _legible
    try:
        version = _refuse_strangers(connection, path)
        if check and size <= _CHECKED_BYTES:
            _check_whole(connection, path)
        row = connection.execute("SELECT value FROM meta WHERE name = 'store_id'").fetchone()
    finally:
        connection.close()
    if row is None or not isinstance(row[0], str):
        raise damaged(path, "has lost its id")
    return row[0], version


def _refuse_strangers(connection: sqlite3.Connection, path: Path) -> int:
    """Refuse what is not a store, or of a newer version; return its version."""
    application_id = connection.execute("PRAGMA application_id").fetchone()[0]
    version = version_of(connection)
    if application_id != APPLICATION_ID or version < 1:
        raise damaged(path, "is not a store that botkit made")
    if version > len(MIGRATIONS):
        raise damaged(
            path,
            f"was made by a newer botkit (its tables have version {version}, this botkit knows "
            f"{len(MIGRATIONS)})",
            hint="Install that botkit again, or use a backup from before. Nothing was changed.",
        )
    return version


def _legible(text: bytes) -> str:
    """Text that may quote what is damaged."""
    return text.decode(errors="replace")


def _check_whole(connection: sqlite3.Connection, path: Path) -> None:
    """Find damage in pages, indexes and values. Source: SQLite, `PRAGMA integrity_check`."""
    problems: Sequence[tuple[str]] = connection.execute("PRAGMA integrity_check(3)").fetchall()
    if problems != [("ok",)]:
        raise damaged(path, f"is damaged ({'; '.join(row[0] for row in problems)})")


def _upgrade(path: Path, version: int) -> None:
    """Copy the file, then bring its tables up to date in one transaction."""
    connection = plain_connect(path)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        _copy(connection, path, version)
        connection.execute("BEGIN IMMEDIATE")
        if version_of(connection) == version:  # else another process did it meanwhile
            migrate(connection)
        connection.execute("COMMIT")
        _make_shrinkable(connection)
    finally:
        connection.close()


def _make_shrinkable(connection: sqlite3.Connection) -> None:
    """Rewrite a file of an older botkit so that it can shrink; leave it as it is if that fails.

    It fails while another process writes to the file, or if the disk has no room for a second.
    """
    if connection.execute("PRAGMA auto_vacuum").fetchone()[0]:
        return
    with contextlib.suppress(sqlite3.Error):
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("VACUUM")


def _copy(connection: sqlite3.Connection, path: Path, version: int) -> None:
    descriptor, name = tempfile.mkstemp(
        dir=path.parent, prefix=f"{path.name}.", suffix=f".version-{version}"
    )
    os.close(descriptor)
    try:
        target = sqlite3.connect(name, isolation_level=None)
        try:
            connection.backup(target)
        finally:
            target.close()
        copy = os.open(name, os.O_RDWR)
        try:
            os.fsync(copy)
        finally:
            os.close(copy)
        sync_folder(path.parent)
    except (OSError, sqlite3.Error, StateError):
        Path(name).unlink(missing_ok=True)
        raise
