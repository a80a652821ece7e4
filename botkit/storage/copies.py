"""Notice a copy of a store that runs a bot on this machine already.

The bot that runs on a store holds a lock named after the store's id, in a folder of this user for
temporary files. A copy of the store has the same id and is another file. A copy that is used on
another machine, or by another user, is not noticed.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from botkit.errors import StateError

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["held_against_copies"]

_TRIES = 5
_MOST_BYTES = 4096
_OTHERS = 0o077


@contextmanager
def held_against_copies(store_id: str, file: Path | None) -> Generator[None]:
    """Hold the lock of the store's id until the block ends, if the system supports that.

    Raises:
        StateError: A bot runs on a copy of this store.
    """
    descriptor = None if file is None else _take(store_id, file)
    try:
        yield
    finally:
        if descriptor is not None:
            with contextlib.suppress(OSError):
                (_folder() / store_id).unlink()
            os.close(descriptor)


def _take(store_id: str, file: Path) -> int | None:
    """Return the descriptor that holds the lock, None if the lock cannot be made."""
    if sys.platform == "win32":
        return None
    with contextlib.suppress(OSError):
        found = file.stat()
        ours = f"{found.st_dev}:{found.st_ino}"
        path = _folder() / store_id
        for _ in range(_TRIES):
            descriptor = os.open(
                path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held = os.pread(descriptor, _MOST_BYTES, 0).decode(errors="replace")
                os.close(descriptor)
                _check_same(held, ours)
                return None  # held for this same file: the store's lease decides
            if _leads_to(path, descriptor):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{ours}\n{os.getpid()}\n{file}\n".encode(), 0)
                return descriptor
            os.close(descriptor)  # the holder has just removed the file
    return None


def _leads_to(path: Path, descriptor: int) -> bool:
    """Return True if the path is still a name of the open file."""
    try:
        return path.stat().st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False


def _check_same(held: str, ours: str) -> None:
    identity, _, rest = held.partition("\n")
    if identity and identity != ours:
        pid, _, place = rest.strip().partition("\n")
        raise StateError(
            f"Process {pid} runs a bot on a copy of this store, {place}.",
            hint="Run one of them only: each would answer, and end the other's login.",
        )


def _folder() -> Path:
    """Return this user's folder for the locks; made at the first use.

    Raises:
        OSError: No such folder is writable by this user only.
    """
    folder = Path(tempfile.gettempdir()) / f"botkit-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & _OTHERS:
        raise OSError(f"{folder} is not this user's own")
    return folder
