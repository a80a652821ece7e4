"""The write-ahead log: lengthened ahead, copied when it is time, and never a danger to the data."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from botkit.ports import Store
from botkit.storage.opening import open_store
from botkit.storage.sqlite import wal
from botkit.storage.sqlite.wal import WriteAheadLog
from tests.storage.conformance.bench import T0, SuiteClock, event
from tests.syncs import recorded_syncs

AHEAD = 4_096_000


async def _commits(store: Store, count: int, name: str = "e") -> None:
    for n in range(count):
        await store.events.append([event(f"{name}{n}", body=bytes(500))])


async def _length(path: Path) -> int:
    return (await asyncio.to_thread(Path(f"{path}-wal").stat)).st_size


async def test_a_short_command_does_not_lengthen_the_log(tmp_path: Path) -> None:
    path = tmp_path / "bot.db"
    async with open_store(f"sqlite:///{path}", clock=SuiteClock()) as store:
        await _commits(store, 10)
        assert await _length(path) < AHEAD


async def test_a_log_in_use_is_lengthened_once_and_not_for_each_commit(tmp_path: Path) -> None:
    path = tmp_path / "bot.db"
    async with open_store(f"sqlite:///{path}", clock=SuiteClock()) as store:
        await _commits(store, 40)
        lengths = {await _length(path)}
        for turn in range(5):
            await _commits(store, 20, f"more{turn}/")
            lengths.add(await _length(path))
        assert len(lengths) == 1
        assert AHEAD < lengths.pop() < 2 * AHEAD
        assert len((await store.events.due(T0)).items) == 140


@pytest.mark.skipif(sys.platform != "linux", reason="names of open files are Linux's")
async def test_the_added_length_is_on_the_disk_before_a_commit_counts_on_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "bot.db"
    async with open_store(f"sqlite:///{path}", clock=SuiteClock()) as store:
        with recorded_syncs() as steps:
            await _commits(store, 40)
        assert await _length(path) > AHEAD
    assert ("sync", f"{path}-wal") in steps


async def test_large_commits_lengthen_the_log_themselves(tmp_path: Path) -> None:
    path = tmp_path / "bot.db"
    async with open_store(f"sqlite:///{path}", clock=SuiteClock()) as store:
        for turn in range(40):
            rows = [event(f"e{turn}/{n}", body=bytes(3000)) for n in range(24)]
            await store.events.append(rows)
        assert await _length(path) < AHEAD + 40 * 24 * 4096
        await _commits(store, 40)
        length = await _length(path)
        await _commits(store, 40, "more")
        assert await _length(path) == length


async def test_a_lengthened_log_is_read_right_after_a_kill(tmp_path: Path) -> None:
    """What a recovery finds: the last commit, then zeros."""
    path, copy = tmp_path / "bot.db", tmp_path / "copy.db"
    async with open_store(f"sqlite:///{path}", clock=SuiteClock()) as store:
        await _commits(store, 60)
        for suffix in ("", "-wal"):
            content = await asyncio.to_thread(Path(f"{path}{suffix}").read_bytes)
            await asyncio.to_thread(Path(f"{copy}{suffix}").write_bytes, content)
            await asyncio.to_thread(Path(f"{copy}{suffix}").chmod, 0o600)
    async with open_store(f"sqlite:///{copy}", clock=SuiteClock()) as store:
        assert len((await store.events.due(T0)).items) == 60


async def test_a_nearly_full_volume_is_left_its_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bot.db"
    little = SimpleNamespace(f_bavail=10_000, f_frsize=4096)
    monkeypatch.setattr(wal.os, "statvfs", lambda _: little)
    async with open_store(f"sqlite:///{path}", clock=SuiteClock()) as store:
        await _commits(store, 60)
        assert await _length(path) < AHEAD


async def test_a_log_that_cannot_be_looked_after_is_tried_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bot.db"
    failing = threading.Event()
    real = os.stat

    def stat(file: object, *args: object, **kwargs: object) -> os.stat_result:
        if failing.is_set() and str(file).endswith("-wal"):
            raise OSError(5, "Input/output error")
        return real(file, *args, **kwargs)

    async with open_store(f"sqlite:///{path}", clock=SuiteClock()) as store:
        keeper: WriteAheadLog = store._engine._writer._log
        # For what looks after the log alone: the writer looks at its files, too.
        monkeypatch.setattr(wal, "os", SimpleNamespace(**{**vars(os), "stat": stat}))
        failing.set()
        await _commits(store, 3)
        await store.changed()  # asked after the last commit was looked after
        assert keeper.patience_s == wal.RETRY_S
        failing.clear()
        await _commits(store, 3, "more")
        await store.changed()
        assert keeper.patience_s == wal.IDLE_S
        assert len((await store.events.due(T0)).items) == 6


async def test_a_reader_that_stays_does_not_make_every_commit_copy_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wal, "BUSY_BYTES", 400_000)
    copies = list[int]()
    real = WriteAheadLog._copy

    def counted(self: WriteAheadLog, *connections: sqlite3.Connection) -> None:
        copies.append(1)
        real(self, *connections)

    monkeypatch.setattr(WriteAheadLog, "_copy", counted)
    monkeypatch.setattr(wal, "_AHEAD_COMMITS", 1_000_000)
    path = tmp_path / "bot.db"
    async with open_store(f"sqlite:///{path}", clock=SuiteClock()) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM event").fetchall()
            await _commits(store, 120)
        assert await _length(path) > 1_000_000
    assert 1 <= len(copies) <= 30


def _noted(path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[WriteAheadLog, list[str]]:
    """Return what looks after a short log, and what it did."""
    did: list[str] = []
    Path(f"{path}-wal").write_bytes(bytes(1000))
    monkeypatch.setattr(WriteAheadLog, "_lengthen", lambda *_: did.append("lengthened"))
    monkeypatch.setattr(WriteAheadLog, "_copy", lambda *_: did.append("copied"))
    return WriteAheadLog(path), did


@pytest.mark.parametrize(
    ("idle", "commits", "what"), [(False, 32, "lengthened"), (True, 500, "copied")]
)
def test_what_is_due_after_so_many_commits_is_done_after_so_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, idle: bool, commits: int, what: str
) -> None:
    log, did = _noted(tmp_path / "bot.db", monkeypatch)
    with closing(sqlite3.connect(":memory:")) as connection:
        for n in range(1, commits + 1):
            assert what not in did, n
            log.committed(scrub=False)
            log.tend(connection, connection, idle=idle)
    assert did[-1] == what


@pytest.mark.skipif(os.name == "nt", reason="the log is lengthened there by SQLite alone")
def test_what_was_committed_since_the_log_was_measured_is_not_overwritten(tmp_path: Path) -> None:
    log, file = WriteAheadLog(tmp_path / "bot.db"), tmp_path / "bot.db-wal"
    file.write_bytes(b"x" * 5000)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as guard:
        log._lengthen(guard, 1000)
    assert file.read_bytes() == b"x" * 5000 + bytes(AHEAD)


@pytest.mark.skipif(sys.platform != "linux", reason="names of open files are Linux's")
def test_the_log_is_closed_again_after_it_was_lengthened(tmp_path: Path) -> None:
    log, file = WriteAheadLog(tmp_path / "bot.db"), tmp_path / "bot.db-wal"
    file.write_bytes(b"x")
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as guard:
        log._lengthen(guard, 1)
    assert str(file) not in {os.path.realpath(one) for one in Path("/proc/self/fd").iterdir()}


@pytest.mark.skipif(sys.platform != "linux", reason="room is allocated ahead on Linux")
def test_room_is_reserved_until_the_log_is_long_enough_to_have_it(tmp_path: Path) -> None:
    log, file = WriteAheadLog(tmp_path / "bot.db"), tmp_path / "bot.db-wal"
    file.touch()
    for length, grown in ((wal._LONG_BYTES - 1, True), (wal._LONG_BYTES, False)):
        os.truncate(file, length)
        log.reserve(10)
        assert (file.stat().st_size > length) is grown
