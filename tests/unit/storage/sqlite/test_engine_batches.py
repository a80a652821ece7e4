"""One batch of the writer, run without its thread: who hears what, and what stays behind."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from botkit.errors import Conflict, LeaseLost, StoreUnavailable
from botkit.model.records import Fence
from botkit.storage.sql.transaction import Transaction
from botkit.storage.sqlite import engine as engines
from botkit.storage.sqlite.database_file import prepare
from botkit.storage.sqlite.engine import _Job, _Reader, _Worker, _Writer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bot.db"


@pytest.fixture
def writer(path: Path) -> Iterator[_Writer]:
    writer = _Writer(path, prepare(path, create=True, now_us=0))
    yield writer
    writer._close_all()


class NoLoop:
    """In the place of a caller's event loop: no test here lets the writer answer."""

    def create_future(self) -> None:
        return


def call(job: Callable[..., Any] | None, *items: Any) -> _Job[Any]:
    return _Job(job, NoLoop(), items)  # type: ignore[arg-type]


def put(name: str) -> Callable[[Transaction], None]:
    def job(transaction: Transaction) -> None:
        transaction.execute("INSERT INTO meta VALUES (?, 1)", (name,))

    return job


def refuse(transaction: Transaction) -> None:
    raise Conflict("no")


def full(transaction: Transaction) -> None:
    raise OSError(28, "No space left on device")


def names(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {row[0] for row in connection.execute("SELECT name FROM meta WHERE value = 1")}


def changed(writer: _Writer) -> object:
    ask = call(None)
    writer._handle([ask])
    return ask.result


class Watched:
    """A connection whose COMMIT may fail as a disk does, and that tells when it is closed."""

    def __init__(self, connection: sqlite3.Connection, closed: list[object], *, fails: bool):
        self._connection = connection
        self._closed = closed
        self._fails = fails

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)

    def close(self) -> None:
        self._connection.close()
        self._closed.append(self)

    def execute(self, statement: str, *values: object) -> sqlite3.Cursor:
        if statement == "COMMIT" and self._fails:
            fault = sqlite3.OperationalError("injected")
            fault.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
            raise fault
        return self._connection.execute(statement, *values)


def watch(
    monkeypatch: pytest.MonkeyPatch, *, failing: int = 0
) -> tuple[list[Watched], list[object]]:
    """Return the connections that are opened from now on, and those that were closed."""
    opened, closed = list[Watched](), list[object]()
    real = engines.connect

    def connect(*args: Any, **more: Any) -> Watched:
        fails = len(opened) + 1 == failing
        opened.append(Watched(real(*args, **more), closed, fails=fails))
        return opened[-1]

    monkeypatch.setattr(engines, "connect", connect)
    return opened, closed


# ---- the thread ----------------------------------------------------------------------------------


async def test_once_it_is_closed_a_call_is_refused_at_once(path: Path) -> None:
    writer = _Writer(path, "store-1")
    writer._closed = True
    with pytest.raises(StoreUnavailable, match=r"bot\.db is closed"):
        writer.call(put("late")).send(None)


def test_a_moment_in_which_nothing_is_asked_is_no_batch(
    writer: _Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    did = list[object]()
    takes = iter([[], None])
    monkeypatch.setattr(writer, "_take", lambda: next(takes))
    monkeypatch.setattr(writer, "_idle", lambda: did.append("idle"))
    monkeypatch.setattr(writer, "_handle", did.append)
    writer._run()
    assert did == ["idle"]


@pytest.mark.parametrize("kind", [_Writer, _Reader])
def test_a_file_that_cannot_be_opened_fails_each_job_and_not_the_thread(
    path: Path, kind: type[_Worker]
) -> None:
    batch = [call(put("a")), call(put("b"))]
    kind(path, "store-1")._handle(batch)
    assert [type(each.error) for each in batch] == [StoreUnavailable] * 2


def test_the_log_is_not_looked_after_while_the_file_is_not_open(
    writer: _Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tended = list[object]()
    monkeypatch.setattr(writer._log, "tend", lambda *_, **more: tended.append(more))
    with closing(sqlite3.connect(":memory:")) as guard:
        writer._guard = guard
        writer._idle()
        assert tended == []
        writer._connection = guard
        writer._idle()
        assert tended == [{"idle": True}]


def test_after_a_question_alone_the_log_is_not_looked_after(
    writer: _Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tended = list[bool]()
    monkeypatch.setattr(writer, "_tend", lambda *, idle: tended.append(idle))
    writer._after([call(None)])
    assert tended == []
    writer._after([call(None), call(put("a"))])
    assert tended == [False]


async def test_a_caller_that_has_gone_keeps_no_answer_from_the_next() -> None:
    loop = asyncio.get_running_loop()
    gone, there = _Job[str](put("a"), loop), _Job[str](put("b"), loop)
    gone.future.cancel()
    there.result = "done"
    engines._resolve([gone, there])
    assert await there.future == "done"


# ---- together and apart --------------------------------------------------------------------------


def test_jobs_that_all_succeed_are_run_once_and_without_savepoints(
    writer: _Writer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "_run_apart", lambda *_: pytest.fail("run again"))
    writer._handle([call(put("a")), call(put("b"))])
    assert names(path) == {"a", "b"}


def test_of_jobs_run_as_one_that_fail_before_any_change_each_gets_its_own_answer(
    writer: _Writer,
) -> None:
    runs = list[list[str]]()

    def echo(transaction: Transaction, given: Sequence[str]) -> Sequence[str]:
        runs.append([*given])
        if "x" in given:
            raise Conflict("x")
        return given

    good, bad = call(echo, "a"), call(echo, "x")
    writer._handle([good, bad])
    assert (good.result, good.error) == ("a", None)
    assert isinstance(bad.error, Conflict)
    assert runs == [["a", "x"], ["a"], ["x"]]


def test_one_that_fails_before_it_changed_anything_makes_no_other_run_again(
    writer: _Writer, path: Path
) -> None:
    runs = list[str]()

    def counted(transaction: Transaction) -> None:
        runs.append("run")
        put("a")(transaction)

    bad = call(refuse)
    writer._handle([call(counted), bad])
    assert isinstance(bad.error, Conflict)
    assert (runs, names(path)) == (["run"], {"a"})


def test_two_calls_of_one_job_without_items_are_run_one_by_one(writer: _Writer) -> None:
    runs = list[str]()

    def counted(transaction: Transaction) -> int:
        runs.append("run")
        return len(runs)

    both = [call(counted), call(counted)]
    writer._handle(both)
    assert [each.result for each in both] == [1, 2]


def test_a_lease_that_a_failing_job_took_holds_for_no_other_job_of_the_batch(
    writer: _Writer,
) -> None:
    fence = Fence("runner", "me", 1)

    def take(transaction: Transaction) -> None:
        transaction.execute(
            "INSERT INTO lease (name, owner, epoch, until, ttl, lock) VALUES (?, ?, ?, 0, 0, 0)",
            (fence.name, fence.owner, fence.epoch),
        )
        transaction.check(fence)
        raise Conflict("no")

    last = call(lambda transaction: transaction.check(fence))
    writer._handle([call(take), last])
    assert isinstance(last.error, LeaseLost)


# ---- faults --------------------------------------------------------------------------------------


def test_a_job_that_had_failed_by_itself_is_told_so_when_the_commit_fails_too(
    writer: _Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch(monkeypatch, failing=1)
    bad, good = call(refuse), call(put("a"))
    writer._handle([bad, good])
    assert isinstance(bad.error, Conflict)
    assert isinstance(good.error, StoreUnavailable)
    assert isinstance(good.error.__cause__, sqlite3.OperationalError)
    assert writer.fault is good.error


def test_only_after_a_commit_that_failed_is_the_log_overwritten(
    writer: _Writer, path: Path
) -> None:
    writer._handle([call(put("a"))])
    writer._handle([call(full)])
    writer._handle([call(put("b"))])
    assert names(path) == {"a", "b"}


def test_every_connection_that_was_opened_is_closed_again(
    writer: _Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, closed = watch(monkeypatch, failing=1)
    writer._handle([call(put("a"))])
    writer._handle([call(put("b"))])
    writer._close_all()
    assert len(opened) >= 4
    assert set(closed) == set(opened)


def test_a_connection_without_its_guard_is_closed_again(
    writer: _Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, closed = watch(monkeypatch)
    real = engines.connect  # one that is watched

    def once(*args: Any, **more: Any) -> object:
        if opened:
            raise sqlite3.OperationalError("unable to open database file")
        return real(*args, **more)

    monkeypatch.setattr(engines, "connect", once)
    writer._handle([call(put("a"))])
    assert closed == opened[:1] != []


def test_what_another_process_committed_is_told_once_and_our_own_never(
    writer: _Writer, path: Path
) -> None:
    writer._handle([call(put("ours"))])
    assert changed(writer) is False
    with closing(sqlite3.connect(path)) as other:
        other.execute("INSERT INTO meta VALUES ('theirs', 1)")
        other.commit()
    assert changed(writer) is True
    assert changed(writer) is False
