"""The thread that writes and the thread that reads one SQLite file.

Group commit without a timer: the writer takes whatever queued while the last commit ran, runs
each job of it in one transaction, commits (one sync) and only then answers. A job that fails
undoes only itself. Jobs of one kind that queued behind each other may be run as one. Reads have a
connection and a thread of their own, so that they never wait behind a commit; each read starts a
new snapshot, so it sees every write that was answered.

Source: SQLite documentation, "Write-Ahead Logging"; rows D1 and D2 of `make bench`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
from itertools import groupby
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from botkit.errors import StateError, StoreUnavailable
from botkit.storage.sqlite.connection import connect, prepare_writer
from botkit.storage.sqlite.faults import (
    explain,
    explain_os,
    gone,
    is_store_fault,
    of_row,
    short_of_room,
)
from botkit.storage.sqlite.transaction import SqliteTransaction
from botkit.storage.sqlite.wal import WriteAheadLog

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from pathlib import Path

__all__ = ["Engine"]

T = TypeVar("T")
Item = TypeVar("Item")

_MAX_BATCH = 2048
_OVERWRITE = """
INSERT INTO meta VALUES ('reopened', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1
"""


class _Job(Generic[T]):
    """One job in the queue, and the future for its answer.

    With `items` the job takes those of several calls at once, and returns a result for each.
    """

    __slots__ = ("error", "future", "items", "job", "loop", "result")

    def __init__(
        self,
        job: Callable[..., Any] | None,
        loop: asyncio.AbstractEventLoop,
        items: tuple[Any, ...] = (),
    ) -> None:
        self.job = job
        self.items = items
        self.loop = loop
        self.future: asyncio.Future[T] = loop.create_future()
        self.result: T | None = None
        self.error: BaseException | None = None


_Calls = list["_Job[Any]"]


class Engine:
    """Runs jobs on one SQLite file. Made and closed by the store; used from event loops."""

    def __init__(self, path: Path, *, store_id: str) -> None:
        self._path = path
        self._writer = _Writer(path, store_id)
        self._reader = _Reader(path, store_id)
        self._writer.start()
        self._reader.start()

    @overload
    async def write(self, job: Callable[[SqliteTransaction], T], /) -> T: ...

    @overload
    async def write(
        self, job: Callable[[SqliteTransaction, Sequence[Item]], Sequence[T]], item: Item, /
    ) -> T: ...

    async def write(self, job: Callable[..., Any], /, *items: Any) -> Any:
        """Run the job in a transaction; return when it is committed and synced.

        With an item, the job takes the items of all calls that asked for it at the same time, and
        returns a result for each, in order; if it fails for several, it is run again for each.

        The job may be run again from the start when another job of its batch failed: it must
        change nothing but the store. Cancelling the caller does not take the job back.

        Raises:
            StoreUnavailable: It could not be committed; nothing of it was written.
            Corrupt: The file is damaged.
        """
        return await self._writer.call(job, *items)

    async def read(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run the job on a snapshot that holds every write that was answered before."""
        result: T = await self._reader.call(job)
        return result

    async def changed(self) -> bool:
        """Return True if another process committed since the last call."""
        changed: bool = await self._writer.call(None)
        return changed

    @property
    def fault(self) -> StateError | None:
        """See `botkit.ports.store.Store.fault`."""
        return self._writer.fault or self._writer.no_room

    async def close(self) -> None:
        """Finish what is queued, then end both threads and close the file."""
        await self._reader.finish()
        await self._writer.finish()


class _Worker:
    """A thread with a queue of calls."""

    name = "botkit-store"

    def __init__(self, path: Path, store_id: str) -> None:
        self._path = path
        self._store_id = store_id
        self._queue: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._connection: sqlite3.Connection | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    async def call(self, job: Callable[..., Any] | None, *items: Any) -> Any:
        if self._closed:
            raise StoreUnavailable(f"The store {self._path} is closed.")
        call: _Job[Any] = _Job(job, asyncio.get_running_loop(), items)
        self._queue.put(call)
        return await call.future

    async def finish(self) -> None:
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while (batch := self._take()) is not None:
            if not batch:
                self._idle()
                continue
            self._handle(batch)
            _answer(batch)
            self._after(batch)
        self._close_all()

    def _take(self) -> _Calls | None:
        """Return the queued jobs; none after a while without any, None at the end."""
        try:
            first = self._queue.get(timeout=self._patience())
        except queue.Empty:
            return []
        if first is None:
            return None
        batch = [first]
        while len(batch) < _MAX_BATCH:
            try:
                more = self._queue.get_nowait()
            except queue.Empty:
                break
            if more is None:
                self._queue.put(None)  # ends the thread after this batch
                break
            batch.append(more)
        return batch

    def _patience(self) -> float | None:
        return None

    def _idle(self) -> None:
        return

    def _after(self, batch: _Calls) -> None:
        del batch

    def _handle(self, batch: _Calls) -> None:
        raise NotImplementedError

    def _open(self) -> sqlite3.Connection:
        raise NotImplementedError

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._open()
        return self._connection

    def _fail(self, batch: Iterable[_Job[Any]], fault: Exception) -> StateError:
        """Fail all jobs, because the store is at fault; the next batch opens the file anew.

        Return the error that the callers get.

        Source: PostgreSQL's note on fsync, 2018: after a failed sync the kernel may have dropped
        the data, and a second sync on the same handle would succeed without having written it.
        """
        self._close()
        error = self._explained(fault)
        for call in batch:
            if call.error is None:
                call.error = error
        return error

    def _explained(self, fault: Exception) -> StateError:
        if isinstance(fault, sqlite3.Error):
            error: StateError = explain(fault, self._path)
        elif isinstance(fault, OSError):
            error = explain_os(fault, self._path)
        elif isinstance(fault, StateError):
            return fault
        else:
            error = StoreUnavailable(f"The store {self._path} cannot be used now: {fault!r}.")
        error.__cause__ = fault
        return error

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        _end(connection)

    def _close_all(self) -> None:
        self._close()


class _Reader(_Worker):
    """Runs what only reads, all that queued in one snapshot."""

    name = "botkit-store-reader"

    def _open(self) -> sqlite3.Connection:
        return connect(self._path, store_id=self._store_id, query_only=True)

    def _handle(self, batch: _Calls) -> None:
        try:
            connection = self._opened()
            connection.execute("BEGIN")
            for call in batch:
                _attempt([call], connection)
            connection.execute("COMMIT")
        except Exception as fault:  # noqa: BLE001 - whatever it is, the callers must hear of it
            self._fail(batch, fault)


class _Writer(_Worker):
    """Runs what writes, all that queued in one transaction, and keeps the log short."""

    name = "botkit-store-writer"

    def __init__(self, path: Path, store_id: str) -> None:
        super().__init__(path, store_id)
        self._log = WriteAheadLog(path)
        self._guard: sqlite3.Connection | None = None
        self._version: int | None = None
        self._foreign_change = False
        self._committing = False
        self._doubtful = False
        self._inodes: dict[str, int] = {}
        self._gone = ""
        self.fault: StateError | None = None
        """The error of the last commit, None if it succeeded."""
        self.no_room: StateError | None = None
        """The error to expect from the next commit, None if the volume has room."""

    def _open(self) -> sqlite3.Connection:
        connection = connect(self._path, store_id=self._store_id)
        try:
            prepare_writer(connection)
            if self._doubtful:
                connection.execute(_OVERWRITE)
                self._doubtful = False
            version = _data_version(connection)
            guard = connect(self._path, store_id=self._store_id)
            self._inodes = {**_inodes(self._path), **self._inodes}
        except BaseException:
            connection.close()
            raise
        _end(self._guard)
        self._guard = guard
        if self._version is not None:
            self._foreign_change = (
                True  # it was opened anew: another process may have committed meanwhile
            )
        self._version = version
        return connection

    def _fail(self, batch: Iterable[_Job[Any]], fault: Exception) -> StateError:
        """Fail all jobs, and overwrite what a failed commit left in the log.

        When the sync fails, the transaction may stand whole in the log, though it was not done
        and its callers were told so. As long as one connection is open (the guard is), no process
        takes it for committed; the next transaction stands in its place, so one is made now.
        """
        self.fault = super()._fail(batch, fault)
        if self._committing:
            self._committing, self._doubtful = False, True
            with contextlib.suppress(sqlite3.Error, OSError, StateError):
                self._opened()
        return self.fault

    def _close_all(self) -> None:
        super()._close_all()
        guard, self._guard = self._guard, None
        _end(guard)

    def _handle(self, batch: _Calls) -> None:
        asks = [call for call in batch if call.job is None]
        jobs = [call for call in batch if call.job is not None]
        try:
            self._check_files()
            connection = self._opened()
            for call in asks:
                call.result = self._look(connection)
            if jobs:
                self._commit(connection, jobs)
        except Exception as fault:  # noqa: BLE001 - whatever it is, the callers must hear of it
            self._fail(batch, fault)

    def _commit(self, connection: sqlite3.Connection, jobs: _Calls) -> None:
        connection.execute("BEGIN IMMEDIATE")
        transaction = SqliteTransaction(connection, self._log)
        if not _run_together(connection, transaction, jobs):
            connection.execute("ROLLBACK")
            connection.execute("BEGIN IMMEDIATE")
            transaction = SqliteTransaction(connection, self._log)
            _run_apart(connection, transaction, jobs)
        self._committing = True
        connection.execute("COMMIT")
        self._committing = False
        self.fault = None
        self._log.committed(scrub=transaction.scrub)

    def _check_files(self) -> None:
        """Check that the open files still have their names.

        A commit to a file without a name would succeed, and be lost with the process.

        Raises:
            StoreGone: They do not; every later call raises it, too.
        """
        if not self._gone:
            there = _inodes(self._path, self._inodes)
            for name, inode in self._inodes.items():
                if there.get(name) != inode:
                    what = "was removed" if name not in there else "was replaced by another one"
                    if name.endswith("-wal"):
                        what = f"lost its log: {name} {what}"
                    self._gone = what
                    break
        if self._gone:
            raise gone(self._path, self._gone)

    def _look(self, connection: sqlite3.Connection) -> bool:
        version = _data_version(connection)
        changed = version != self._version or self._foreign_change
        self._version, self._foreign_change = version, False
        self.no_room = short_of_room(self._path)
        return changed

    def _patience(self) -> float | None:
        return self._log.patience_s

    def _after(self, batch: _Calls) -> None:
        if any(call.job is not None for call in batch):
            self._tend(idle=False)

    def _idle(self) -> None:
        self._tend(idle=True)

    def _tend(self, *, idle: bool) -> None:
        if self._connection is not None and self._guard is not None:
            self._log.tend(self._connection, self._guard, idle=idle)


def _inodes(path: Path, wanted: Collection[str] = ()) -> dict[str, int]:
    """Return the inodes of the store's file and its log, by name; leave out missing files.

    With `wanted`, look at these names only.
    """
    found: dict[str, int] = {}
    for name in wanted or (str(path), f"{path}-wal"):
        with contextlib.suppress(FileNotFoundError):
            found[name] = os.stat(name).st_ino  # noqa: PTH116 - before every commit
    return found


def _end(connection: sqlite3.Connection | None) -> None:
    if connection is not None:
        with contextlib.suppress(sqlite3.Error):
            connection.close()


def _run_together(
    connection: sqlite3.Connection, transaction: SqliteTransaction, jobs: _Calls
) -> bool:
    """Run all without savepoints; False when one failed after it had changed something."""
    for calls in _alike(jobs):
        before = connection.total_changes
        if not _attempt(calls, transaction) and (
            len(calls) > 1 or connection.total_changes != before
        ):
            return False
    return True


def _alike(jobs: _Calls) -> Iterator[_Calls]:
    """Yield the jobs in order, neighbours that can be run as one together."""
    for _, calls in groupby(jobs, key=lambda call: call.job if call.items else call):
        yield list(calls)


def _run_apart(
    connection: sqlite3.Connection, transaction: SqliteTransaction, jobs: _Calls
) -> None:
    """Run all again, each in a savepoint, so that a failing one undoes only itself."""
    for call in jobs:
        connection.execute("SAVEPOINT job")
        if not _attempt([call], transaction):
            connection.execute("ROLLBACK TO job")
            transaction.forget_leases()
        connection.execute("RELEASE job")


def _attempt(calls: _Calls, argument: object) -> bool:
    """Run one job and keep what came of it; only a fault of the store itself comes out."""
    job = calls[0].job
    assert job is not None
    try:
        if calls[0].items:
            results = job(argument, [item for call in calls for item in call.items])
        else:
            results = (job(argument),)
    except Exception as error:
        if is_store_fault(error):
            raise
        calls[0].error = of_row(error)
        return False
    for call, result in zip(calls, results, strict=True):
        call.result, call.error = result, None
    return True


def _answer(batch: _Calls) -> None:
    """Resolve the futures, one wake-up for each loop."""
    loops: dict[asyncio.AbstractEventLoop, _Calls] = {}
    for call in batch:
        loops.setdefault(call.loop, []).append(call)
    for loop, calls in loops.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed, and its callers with it
            loop.call_soon_threadsafe(_resolve, calls)


def _resolve(calls: _Calls) -> None:
    for call in calls:
        if call.future.done():
            continue
        if call.error is None:
            call.future.set_result(call.result)
        else:
            call.future.set_exception(call.error)


def _data_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA data_version").fetchone()[0])
