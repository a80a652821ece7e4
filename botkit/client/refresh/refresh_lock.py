"""One refresh of a login at a time, whatever processes of this machine share the store.

A kernel lock (flock) on a file that is never removed: it goes with the process that holds it,
however that ends, and is never assumed after a wait. Somebody else may remove the file all the
same, so whoever has to make it waits until nobody holds any: each holder also shares a lock on
the store's folder, and making takes that one alone.
Source: docs/explanation/requirements.md, F9, F12 and S7.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import zlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol

from botkit.errors import LeaseLost, StoreUnavailable

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from botkit.model.records import CredentialRow, Fence
    from botkit.ports import Clock, Entropy

__all__ = ["FileRefreshLock", "Held", "RefreshLock", "in_process"]

_FILES = 64
"""Logins share files by their name: that many refreshes at a time are enough for thousands."""
_WAIT_S = 90.0
"""Longer than a holder needs that waits for X's answer to the last second."""
_LOOK_S = (0.02, 0.08)
_STALE_S = 30.0
"""Half of the lease that replicas take. Source: docs/explanation/requirements.md, F12."""


class Held(Protocol):
    """A lock that was taken."""

    @property
    def fence(self) -> Fence | None:
        """What each write under it carries; None where the lock is not one of the store."""
        ...

    async def check(self) -> None:
        """Raise `LeaseLost` when it may be another's by now. For right before the bytes leave."""
        ...

    def check_age(self) -> None:
        """Raise `LeaseLost` when it was taken too long ago: this process stood still."""
        ...


class RefreshLock(Protocol):
    """Takes the lock of one login across processes."""

    def __call__(
        self, row: CredentialRow, /, *, wait: bool = True
    ) -> AbstractAsyncContextManager[Held]:
        """The lock of that login.

        Raises:
            StoreUnavailable: Another holds it: at once without `wait`, else after a long time.
        """
        ...


class _Always:
    fence = None

    async def check(self) -> None:
        """Nobody else is there."""

    def check_age(self) -> None:
        """Nobody else is there."""


@asynccontextmanager
async def in_process(row: CredentialRow, /, *, wait: bool = True) -> AsyncGenerator[Held]:
    """The lock where one process runs: its single flight is lock enough."""
    del row, wait
    yield _Always()


class FileRefreshLock:
    """Locks beside a store, for all processes of this machine that use it."""

    def __init__(self, folder: Path, *, clock: Clock, entropy: Entropy) -> None:
        """The files lie in `folder`, whose parent is there already."""
        self._folder = folder
        self._clock = clock
        self._entropy = entropy

    @asynccontextmanager
    async def __call__(self, row: CredentialRow, /, *, wait: bool = True) -> AsyncGenerator[Held]:
        """See `RefreshLock`."""
        place = f"{row.account_id}\x00{row.app}\x00{row.kind.value}"
        path = self._folder / f"{zlib.crc32(place.encode()) % _FILES:02x}.lock"
        taken = await self._take(path, wait=wait)
        try:
            yield _FileHeld(path, taken, self._clock)
        finally:
            _let_go(taken)

    async def _take(self, path: Path, *, wait: bool) -> _Taken:
        ends_s = self._clock.monotonic() + (_WAIT_S if wait else 0.0)
        while (taken := await self._try(path)) is None:
            if self._clock.monotonic() >= ends_s:
                holder = await asyncio.to_thread(_holder, path)
                raise StoreUnavailable(
                    f"Another process{holder} refreshes logins of this store and holds the lock "
                    f"{path}; nothing was sent.",
                    hint="If it hangs, end it: the lock goes with it.",
                )
            await self._clock.sleep(self._entropy.uniform(*_LOOK_S))
        return taken

    async def _try(self, path: Path) -> _Taken | None:
        trying = asyncio.get_running_loop().run_in_executor(None, _try_to_take, path)
        try:
            return await asyncio.shield(trying)
        except asyncio.CancelledError:
            # The thread goes on, and what it takes would stay taken.
            trying.add_done_callback(_let_go_of_result)
            raise
        except OSError as fault:
            raise StoreUnavailable(
                f"The lock {path} cannot be taken ({fault.strerror}); nothing was sent.",
                hint="The store's folder must be writable for this user.",
            ) from fault


class _Taken(NamedTuple):
    """Descriptors: the store's folder, shared; the lock file, alone."""

    shared: int
    alone: int


class _FileHeld:
    fence = None

    def __init__(self, path: Path, taken: _Taken, clock: Clock) -> None:
        self._path = path
        self._taken = taken
        self._clock = clock
        self._since_s = clock.monotonic()

    async def check(self) -> None:
        """See `Held`."""
        self.check_age()
        if not await asyncio.to_thread(_is_named, self._path, self._taken.alone):
            raise LeaseLost(
                f"The lock file {self._path} was removed or replaced; nothing was sent.",
                hint="Leave the files beside the store alone while a bot runs.",
            )

    def check_age(self) -> None:
        """See `Held`."""
        age_s = self._clock.monotonic() - self._since_s
        if age_s > _STALE_S:
            raise LeaseLost(
                f"{age_s:.0f} s went by between the lock and the sending; nothing was sent."
            )


def _try_to_take(path: Path) -> _Taken | None:
    shared = os.open(path.parent.parent, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        alone = _open_locked(path, shared)
    except BaseException:
        os.close(shared)
        raise
    if alone is None:
        os.close(shared)
        return None
    return _Taken(shared, alone)


def _open_locked(path: Path, shared: int) -> int | None:
    if not _lock(shared, fcntl.LOCK_SH):
        return None  # somebody makes the files
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        if not _lock(shared, fcntl.LOCK_EX):
            return None  # somebody holds a lock whose file was removed, or makes the files
        _make(path.parent)
        return _open_locked(path, shared)
    if _lock(descriptor, fcntl.LOCK_EX) and _is_named(path, descriptor):
        with contextlib.suppress(OSError):  # for the words of whoever waits too long
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        return descriptor
    os.close(descriptor)
    return None


def _make(folder: Path) -> None:
    """Make all that are missing; readable by this user only, whatever the umask."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        folder.chmod(0o700)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    for number in range(_FILES):
        descriptor = os.open(folder / f"{number:02x}.lock", flags, 0o600)
        os.fchmod(descriptor, 0o600)
        os.close(descriptor)


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_named(path: Path, descriptor: int) -> bool:
    """Whether the name still stands for the file that was opened."""
    try:
        named = os.lstat(path)
    except FileNotFoundError:
        return False
    return os.path.samestat(named, os.fstat(descriptor))


def _let_go(taken: _Taken) -> None:
    for descriptor in (taken.alone, taken.shared):
        # Said, not left to the closing: a child that was forked meanwhile has it open too.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _let_go_of_result(tried: asyncio.Future[_Taken | None]) -> None:
    if tried.cancelled() or tried.exception() is not None:
        return
    taken = tried.result()
    if taken is not None:
        _let_go(taken)


def _holder(path: Path) -> str:
    with contextlib.suppress(OSError, ValueError):
        return f" (pid {int(path.read_bytes()[:20])})"
    return ""
