"""The writer and the reader: group commit, isolation, and what happens when the file fails."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from botkit.errors import Conflict, Corrupt, StoreGone, StoreUnavailable
from botkit.model.records import Fence
from botkit.storage.opening import open_store
from botkit.storage.sql.transaction import Transaction
from botkit.storage.sqlite import connection as connecting
from botkit.storage.sqlite import engine as engines
from botkit.storage.sqlite import wal
from botkit.storage.sqlite.database_file import prepare
from botkit.storage.sqlite.engine import Engine
from tests.storage.conformance.bench import SuiteClock, event, raised


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bot.db"


@pytest.fixture
async def engine(path: Path) -> AsyncIterator[Engine]:
    store_id = await asyncio.to_thread(prepare, path, create=True, now_us=0)
    engine = Engine(path, store_id=store_id)
    yield engine
    await engine.close()


def put(name: str) -> Callable[[Transaction], None]:
    def job(transaction: Transaction) -> None:
        transaction.execute("INSERT INTO meta VALUES (?, 1)", (name,))

    return job


def names(connection: sqlite3.Connection) -> set[str]:
    rows = connection.execute("SELECT name FROM meta WHERE value = 1")
    return {row[0] for row in rows}


class Pause:
    """Holds the writer inside a job, so that others queue behind it."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, transaction: Transaction) -> None:
        self.reached.set()
        assert self.go_on.wait(10)

    async def hold(self, engine: Engine, tasks: asyncio.TaskGroup) -> None:
        tasks.create_task(engine.write(self))
        await asyncio.to_thread(self.reached.wait, 10)


async def test_jobs_of_one_kind_that_queued_behind_each_other_are_run_as_one(
    engine: Engine,
) -> None:
    runs = list[list[str]]()

    def put_all(transaction: Transaction, given: Sequence[str]) -> list[str]:
        runs.append([*given])
        transaction.executemany("INSERT INTO meta VALUES (?, 1)", [(name,) for name in given])
        return [name.upper() for name in given]

    pause = Pause()
    async with asyncio.TaskGroup() as tasks:
        await pause.hold(engine, tasks)
        first = [tasks.create_task(engine.write(put_all, name)) for name in "ab"]
        between = tasks.create_task(engine.write(put("c")))
        last = tasks.create_task(engine.write(put_all, "d"))
        await SuiteClock().sleep(0)
        pause.go_on.set()
    assert runs == [["a", "b"], ["d"]]
    assert [task.result() for task in (*first, last)] == ["A", "B", "D"]
    assert between.result() is None
    assert await engine.read(names) == set("abcd")


async def test_one_that_fails_takes_nothing_from_those_it_was_run_with(engine: Engine) -> None:
    await engine.write(put("b"))

    def put_all(transaction: Transaction, given: Sequence[str]) -> list[str]:
        for name in given:
            if name == "x":
                raise Conflict(name)
            transaction.execute("INSERT INTO meta VALUES (?, 1)", (name,))
        return [*given]

    pause = Pause()
    async with asyncio.TaskGroup() as tasks:
        await pause.hold(engine, tasks)
        good = [tasks.create_task(engine.write(put_all, name)) for name in "ac"]
        bad = tasks.create_task(raised(Conflict, engine.write(put_all, "x")))
        more = tasks.create_task(engine.write(put_all, "d"))
        await SuiteClock().sleep(0)
        pause.go_on.set()
    assert [task.result() for task in (*good, more)] == ["a", "c", "d"]
    assert str(bad.result()) == "x"
    assert await engine.read(names) == set("abcd")


async def test_what_queued_during_a_commit_is_committed_together(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = list[int]()
    commit = engines._Writer._commit

    def counted(self: object, connection: sqlite3.Connection, jobs: list[object]) -> None:
        batches.append(len(jobs))
        commit(self, connection, jobs)

    monkeypatch.setattr(engines._Writer, "_commit", counted)
    pause = Pause()
    async with asyncio.TaskGroup() as tasks:
        await pause.hold(engine, tasks)
        for n in range(100):
            tasks.create_task(engine.write(put(f"n{n}")))
        await SuiteClock().sleep(0)
        pause.go_on.set()
    assert batches == [1, 100]
    assert len(await engine.read(names)) == 100


async def test_a_failing_job_undoes_only_itself(engine: Engine) -> None:
    def half(transaction: Transaction) -> None:
        put("half")(transaction)
        raise Conflict("no")

    def clash(transaction: Transaction) -> None:
        put("clash")(transaction)
        put("a")(transaction)

    pause = Pause()
    async with asyncio.TaskGroup() as tasks:
        await pause.hold(engine, tasks)
        good = tasks.create_task(engine.write(put("a")))
        bad = [
            tasks.create_task(raised(kind, engine.write(job)))
            for kind, job in ((Conflict, half), (sqlite3.IntegrityError, clash))
        ]
        last = tasks.create_task(engine.write(put("b")))
        await SuiteClock().sleep(0)
        pause.go_on.set()
    assert (good.result(), last.result()) == (None, None)
    assert all(task.result() for task in bad)
    assert await engine.read(names) == {"a", "b"}


async def test_a_value_that_cannot_be_stored_is_its_own_jobs_fault(engine: Engine) -> None:
    await raised(UnicodeEncodeError, engine.write(put("\ud800")))
    await engine.write(put("a"))
    assert await engine.read(names) == {"a"}


async def test_a_cancelled_caller_takes_nothing_back(engine: Engine) -> None:
    pause = Pause()
    async with asyncio.TaskGroup() as tasks:
        await pause.hold(engine, tasks)
        waiting = tasks.create_task(engine.write(put("a")))
        await SuiteClock().sleep(0)
        waiting.cancel()
        pause.go_on.set()
    await engine.write(put("b"))
    assert await engine.read(names) == {"a", "b"}


async def test_closing_finishes_what_was_asked_for(path: Path) -> None:
    store_id = await asyncio.to_thread(prepare, path, create=True, now_us=0)
    engine = Engine(path, store_id=store_id)
    pause = Pause()
    async with asyncio.TaskGroup() as tasks:
        await pause.hold(engine, tasks)
        for n in range(10):
            tasks.create_task(engine.write(put(f"n{n}")))
        await SuiteClock().sleep(0)
        tasks.create_task(engine.close())
        await SuiteClock().sleep(0)
        pause.go_on.set()
    with closing(sqlite3.connect(path)) as connection:
        assert len(names(connection)) == 10
    await raised(StoreUnavailable, engine.write(put("late")))
    await raised(StoreUnavailable, engine.read(names))
    await engine.close()


async def test_answers_reach_every_event_loop_and_a_closed_one_harms_nobody(
    engine: Engine,
) -> None:
    def elsewhere() -> None:
        asyncio.run(engine.write(put("other loop")))

    def gone() -> None:
        loop = asyncio.new_event_loop()
        task = loop.create_task(engine.write(put("gone")))
        loop.call_soon(loop.stop)
        loop.run_forever()
        task.cancel()
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop.close()

    pause = Pause()
    async with asyncio.TaskGroup() as tasks:
        await pause.hold(engine, tasks)
        await asyncio.to_thread(gone)
        tasks.create_task(asyncio.to_thread(elsewhere))
        pause.go_on.set()
    await engine.write(put("a"))
    assert await engine.read(names) == {"other loop", "gone", "a"}


HOLD_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


async def test_a_store_locked_by_another_process_says_by_whom_and_recovers(
    engine: Engine, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "BUSY_TIMEOUT_S", 0.1)
    with subprocess.Popen(  # noqa: ASYNC220 - a rival process is what the test is about
        [sys.executable, "-c", HOLD_LOCK, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert await asyncio.to_thread(other.stdout.readline) == "held\n"
        error = await raised(StoreUnavailable, engine.write(put("a")))
        expected = f"process {other.pid}" if sys.platform == "linux" else "another process"
        assert expected in str(error)
        assert await engine.read(names) == set()
        other.communicate()
    await engine.write(put("b"))
    assert await engine.read(names) == {"b"}


class Failing:
    """A connection whose COMMIT fails as a disk does."""

    def __init__(self, connection: sqlite3.Connection, code: int) -> None:
        self._connection = connection
        self._code = code

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)

    def execute(self, statement: str, *values: object) -> sqlite3.Cursor:
        if statement == "COMMIT":
            fault = sqlite3.OperationalError("injected")
            fault.sqlite_errorcode = self._code
            raise fault
        return self._connection.execute(statement, *values)


async def test_a_failed_commit_fails_every_job_of_it_and_the_file_is_opened_anew(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = list[sqlite3.Connection]()
    real = engines.connect

    def failing_once(*args: object, **kwargs: object) -> object:
        connection = real(*args, **kwargs)
        opened.append(connection)
        return Failing(connection, sqlite3.SQLITE_IOERR_FSYNC) if len(opened) == 1 else connection

    monkeypatch.setattr(engines, "connect", failing_once)
    failed = await asyncio.gather(
        *(raised(StoreUnavailable, engine.write(put(f"n{n}"))) for n in range(5))
    )
    assert all("disk reported an error" in str(error) for error in failed)
    await engine.write(put("after"))
    assert await engine.read(names) == {"after", "reopened"}
    assert len(opened) >= 2


async def test_a_file_that_cannot_be_opened_anew_at_once_is_opened_for_the_next_job(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    real = engines.connect

    def failing(*args: object, **kwargs: object) -> object:
        nonlocal asked
        asked += 1
        if asked == 3:  # after the writer's and its guard's
            raise sqlite3.OperationalError("unable to open database file")
        connection = real(*args, **kwargs)
        return Failing(connection, sqlite3.SQLITE_IOERR_FSYNC) if asked == 1 else connection

    monkeypatch.setattr(engines, "connect", failing)
    error = await raised(StoreUnavailable, engine.write(put("a")))
    assert "disk reported an error" in str(error)
    await engine.write(put("after"))
    assert await engine.read(names) == {"after", "reopened"}


async def test_after_the_file_was_opened_anew_others_may_have_changed_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.write(put("a"))
    assert not await engine.changed()
    real = engines._run_together
    monkeypatch.setattr(engines, "_run_together", lambda *_: 1 / 0)
    await raised(StoreUnavailable, engine.write(put("b")))
    monkeypatch.setattr(engines, "_run_together", real)
    assert await engine.changed()
    assert not await engine.changed()


async def test_a_store_replaced_while_in_use_is_not_written_to(engine: Engine, path: Path) -> None:
    await engine.write(put("a"))
    await asyncio.to_thread(prepare, path.with_name("other.db"), create=True, now_us=0)
    await asyncio.to_thread(path.rename, path.with_name("moved.db"))
    for suffix in ("-wal", "-shm"):
        await asyncio.to_thread(
            Path(f"{path}{suffix}").rename, path.with_name(f"moved.db{suffix}")
        )
    await asyncio.to_thread(path.with_name("other.db").rename, path)
    error = await raised(StoreGone, engine.write(put("b")))
    assert f"{path} was replaced" in str(error)


async def test_another_store_in_the_same_file_is_not_written_to(
    engine: Engine, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.write(put("a"))

    def fail(*_: object) -> bool:
        raise OSError(5, "anything")

    with monkeypatch.context() as patched:  # the file is opened anew after that
        patched.setattr(engines, "_run_together", fail)
        await raised(StoreUnavailable, engine.write(put("b")))
    monkeypatch.setattr(engine._writer, "_store_id", "that of another store")
    error = await raised(StoreGone, engine.write(put("b")))
    assert f"{path} was replaced" in str(error)


async def test_reads_do_not_wait_behind_a_commit(engine: Engine) -> None:
    await engine.write(put("a"))
    pause = Pause()
    async with asyncio.TaskGroup() as tasks:
        await pause.hold(engine, tasks)
        assert await engine.read(names) == {"a"}
        pause.go_on.set()


async def test_a_read_cannot_write(engine: Engine) -> None:
    await raised(StoreUnavailable, engine.read(lambda reader: reader.execute("DELETE FROM meta")))
    await engine.write(put("a"))


async def test_the_log_is_copied_into_the_file_when_nothing_is_asked(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle = threading.Event()
    real = engines._Writer._idle

    def noted(self: engines._Writer) -> None:
        real(self)
        idle.set()

    monkeypatch.setattr(engines._Writer, "_idle", noted)
    monkeypatch.setattr(wal, "IDLE_S", 0.01)
    async with open_store(f"sqlite:///{path}", clock=SuiteClock()) as store:
        before = (await asyncio.to_thread(path.stat)).st_size
        await store.events.append([event(f"e{n}", body=bytes(4000)) for n in range(3000)])
        idle.clear()
        await store.events.append([event("one more")])
        assert await asyncio.to_thread(idle.wait, 10)
        assert (await asyncio.to_thread(path.stat)).st_size > before + 8_000_000


async def test_a_log_that_never_rests_is_copied_all_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wal, "BUSY_BYTES", 1_000_000)
    monkeypatch.setattr(wal, "IDLE_S", 60)
    async with open_store(f"sqlite:///{path}", clock=SuiteClock()) as store:
        for turn in range(20):
            rows = [event(f"e{turn}/{n}", body=bytes(4000)) for n in range(50)]
            await store.events.append(rows)
        assert (await asyncio.to_thread(path.stat)).st_size > 3_000_000
        file = await asyncio.to_thread(Path(f"{path}-wal").stat)
        assert file.st_size < 3_000_000


async def test_a_row_that_holds_no_text_is_said_to_be_damaged(path: Path) -> None:
    async with open_store(f"sqlite:///{path}", clock=SuiteClock()) as store:
        await store.events.append([event("a"), event("b", lane="lane")])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE event SET lane = CAST(x'ff' AS TEXT) WHERE key = 'b'")
        connection.commit()
    async with open_store(f"sqlite:///{path}", clock=SuiteClock()) as store:
        outcomes = await asyncio.gather(
            store.events.get("a"), raised(Corrupt, store.events.get("b"))
        )
        assert "damaged" in str(outcomes[1])


@pytest.mark.parametrize("query", ["SELECT no_such FROM meta", "SELECT 1 FROM no_such"])
async def test_a_name_that_is_missing_from_the_tables_is_damage(
    engine: Engine, query: str
) -> None:
    error = await raised(Corrupt, engine.read(lambda reader: reader.execute(query)))
    assert "tables of the store are damaged" in str(error)


async def test_a_fence_that_holds_says_nothing_of_an_older_epoch(engine: Engine) -> None:
    # What a batch has looked up once is kept for the batch, by name, owner and epoch.
    def job(transaction: Transaction) -> list[bool]:
        transaction.execute(
            "INSERT INTO lease (name, owner, epoch, until, ttl, lock) VALUES (?, ?, ?, 0, 0, 0)",
            ("runner", "me", 2),
        )
        fences = [Fence("runner", "me", 2), Fence("runner", "me", 1), Fence("runner", "you", 2)]
        return [transaction.holds(fence) for fence in (*fences, *fences)]

    assert await engine.write(job) == [True, False, False] * 2


@pytest.mark.parametrize("name", ["bot.db", "bot.db-wal"])
@pytest.mark.parametrize("replaced", [True, False])
async def test_a_file_that_lost_its_name_takes_nothing_more(
    engine: Engine, path: Path, name: str, *, replaced: bool
) -> None:
    await engine.write(put("before"))
    file = path.with_name(name)
    held = file.rename(path.with_name("elsewhere"))
    if replaced:
        file.write_bytes(held.read_bytes())
    what = f"lost its log: {file} was" if name.endswith("-wal") else "was"
    what += " replaced by another one" if replaced else " removed"
    said = f"^{re.escape(f'The store {path} {what} while')}"
    for call in (engine.write(put("lost")), engine.changed(), engine.write(put("lost too"))):
        with pytest.raises(StoreGone, match=said):
            await call
    held.rename(file)
    with pytest.raises(StoreGone):  # what was answered meanwhile may be missing in it
        await engine.changed()
    assert isinstance(engine.fault, StoreGone)


async def test_a_fault_stands_until_a_commit_succeeds(
    engine: Engine, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert engine.fault is None

    def full(transaction: Transaction) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(StoreUnavailable):
        await engine.write(full)
    assert engine.fault is not None
    assert "No space left" in engine.fault.message
    await engine.read(names)
    await engine.changed()
    assert engine.fault is not None
    await engine.write(put("after"))
    assert engine.fault is None


async def test_a_volume_without_room_is_a_fault_before_a_commit_fails(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = StoreUnavailable("the disk is full")
    monkeypatch.setattr(engines, "short_of_room", lambda _: full)
    await engine.changed()
    await engine.write(put("small enough"))
    assert engine.fault is full
    monkeypatch.setattr(engines, "short_of_room", lambda _: None)
    await engine.changed()
    assert engine.fault is None
