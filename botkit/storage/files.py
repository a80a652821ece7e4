"""Where files of a store and of its keys lie: paths from URLs, folders closed to others, syncs."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from urllib.parse import unquote

from botkit.errors import ConfigError

__all__ = ["NO_LINKS", "file_of", "is_there", "make_folders", "path_of", "sync_folder"]

NO_LINKS = getattr(os, "O_NOFOLLOW", 0)
"""Do not follow a link in the last component; a system without the flag is for authors only."""
_PREFIX = "sqlite:///"
_CURE = (
    "Use sqlite:///botkit.db, or sqlite:////var/lib/mybot/botkit.db with four slashes for an "
    "absolute path."
)


def path_of(url: str) -> Path:
    """Return the file of a `sqlite:///` URL: relative, or absolute with a fourth slash.

    Raises:
        ConfigError: It is another kind of store, or names no file.
    """
    scheme = url.partition(":")[0]
    if scheme.startswith("postgres"):
        raise ConfigError(
            "store.url: this version of botkit keeps its store in SQLite only; PostgreSQL is "
            "not there yet.",
            hint=_CURE,
        )
    if not url.startswith(_PREFIX):
        raise ConfigError(
            f"store.url: {scheme!r} is not a kind of store that botkit knows.",
            hint=_CURE,
        )
    name = unquote(url.removeprefix(_PREFIX))
    if not name or name.endswith("/") or ":memory:" in name or "\0" in name:
        raise ConfigError(
            f"store.url: {url!r} does not name a file.",
            hint="Use sqlite:///botkit.db or another file that outlives the process.",
        )
    return Path(name)


def file_of(url: str) -> Path | None:
    """Return the store's file, absolute; None for a store that is no file. Raise as `path_of`."""
    return path_of(url).absolute() if url.startswith(_PREFIX) else None


def is_there(path: Path) -> bool:
    """Return True if a file or folder exists at the path.

    Raises:
        OSError: The system does not tell, for instance because a folder may not be searched.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def make_folders(folder: Path) -> None:
    """Make a folder and the missing ones above it, each open to this user only."""
    if folder.is_dir():
        return
    make_folders(folder.parent)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        folder.chmod(0o700)  # a umask may have taken rights from ourselves


def sync_folder(folder: Path) -> None:
    """Make a new name in the folder survive a loss of power."""
    if os.name == "nt":  # pragma: no cover - a folder cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
