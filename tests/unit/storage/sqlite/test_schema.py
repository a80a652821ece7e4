"""Migrations: in order, in one transaction, after a copy; and never back."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from botkit.errors import StateError, StoreUnavailable
from botkit.model.hearing import Checkpoint
from botkit.storage.opening import open_store
from botkit.storage.sqlite import database_file, schema
from botkit.storage.sqlite.database_file import prepare
from botkit.storage.sqlite.schema import MIGRATIONS, migrate, version_of
from tests.storage.conformance.bench import ME, T0, SuiteClock, event

SECOND = "ALTER TABLE account ADD COLUMN mood TEXT NOT NULL DEFAULT 'fine';\nCREATE TABLE more (a)"
BROKEN = "CREATE TABLE more (a);\nINSERT INTO nowhere VALUES (1)"

EVENTS_OF_VERSION_3 = f"""
INSERT INTO event VALUES
  (1, '{ME}', 'a', 'mention', 'l', 's', '', 5, 6, 'done', 'bot.greet', 1, 0),
  (2, '{ME}', 'b', 'mention', 'l', 's', '', 5, 6, 'waiting', '', 0, 0),
  (3, '{ME}', 'c', 'mention', 'l', 's', '', 5, 6, 'dead', 'failed', 3, 0),
  (4, '{ME}', 'd', 'mention', 'l', 's', '', 5, 6, 'dropped', 'no', 0, 4);
INSERT INTO body VALUES (1, x'41'), (2, x'42'), (3, x'43'), (4, x'44');
INSERT INTO inbox (queue, seq, attempts, reason) VALUES (0, 2, 2, 'try again');
INSERT INTO dead VALUES (3, '{ME}', 'c', 'mention', 'failed', '', '', 'h', 3, 7);
INSERT INTO checkpoint VALUES ('mentions', '{ME}', '17');
INSERT INTO gap VALUES (1, 'activity', '{ME}', 5, NULL, 'open', 'down');
PRAGMA user_version = 3
"""


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A store of the present version, with an event in it, closed."""
    async with open_store(f"sqlite:///{tmp_path}/bot.db", clock=SuiteClock()) as store:
        await store.events.append([event()])
    return tmp_path / "bot.db"


def _next(monkeypatch: pytest.MonkeyPatch, *migrations: str) -> None:
    for module in (database_file, schema):
        monkeypatch.setattr(module, "MIGRATIONS", (*MIGRATIONS, *migrations))
    monkeypatch.setattr(
        database_file, "migrate", lambda it: migrate(it, (*MIGRATIONS, *migrations))
    )


def _version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return version_of(connection)


def _open_files() -> list[str]:
    """Return what this process has open, where the system tells it."""
    folder = Path("/proc/self/fd")
    return sorted(each.name for each in folder.iterdir()) if folder.exists() else []


def _copies(path: Path) -> list[Path]:
    return [copy for copy in path.parent.iterdir() if ".version-" in copy.name]


def test_an_older_store_is_brought_up_to_date_after_a_copy(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _next(monkeypatch, SECOND, "CREATE TABLE third (a)")
    open_files = _open_files()
    store_id = prepare(path, create=True, now_us=0)
    assert _open_files() == open_files
    assert _version(path) == len(MIGRATIONS) + 2
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM event").fetchone() == (1,)
        assert connection.execute("SELECT * FROM third").fetchall() == []
    (copy,) = _copies(path)
    assert copy.stat().st_mode & 0o777 == 0o600
    assert _version(copy) == len(MIGRATIONS)
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT count(*) FROM event").fetchone() == (1,)
    assert prepare(path, create=True, now_us=0) == store_id
    assert len(_copies(path)) == 1


def test_a_migration_that_fails_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _next(monkeypatch, SECOND, BROKEN)
    with pytest.raises(StateError):
        prepare(path, create=True, now_us=0)
    assert _version(path) == len(MIGRATIONS)
    with closing(sqlite3.connect(path)) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(account)")]
    assert "mood" not in columns


@pytest.fixture
def third_version(tmp_path: Path) -> Path:
    """A store whose events keep their end in their row, and their body in another."""
    path = tmp_path / "bot.db"
    prepare(path, create=True, now_us=0)
    with closing(sqlite3.connect(path)) as connection:
        for name in (
            "event",
            "ended",
            "inbox",
            "dead",
            "tally",
            "checkpoint",
            "opt_out",
            "credential",
            "gap",
            "billed",
            "own_post",
            "open_read",
            "answer",
        ):
            connection.execute(f"DROP TABLE {name}")
        old = ("event", "body", "inbox", "dead", "checkpoint", "opt_out", "credential", "gap")
        connection.executescript(_tables_of_the_first_version(*old))
        connection.execute("INSERT INTO opt_out VALUES ('1', '7', 0)")
        connection.commit()
        connection.executescript(EVENTS_OF_VERSION_3)
    return path


async def test_opt_outs_of_an_older_store_hold(third_version: Path) -> None:
    async with open_store(f"sqlite:///{third_version}", clock=SuiteClock()) as store:
        (out,) = await store.accounts.opt_outs(limit=9)
        assert (out.account_id, out.user_id, out.username, out.cause) == ("1", "7", "", "")


async def test_events_of_a_store_that_kept_their_end_in_their_row_come_along(
    third_version: Path,
) -> None:
    async with open_store(f"sqlite:///{third_version}", clock=SuiteClock()) as store:
        found = {key: (await store.events.get(key))[0] for key in ("a", "b", "c", "d")}
        assert [str(found[key].state) for key in "abcd"] == ["done", "waiting", "dead", "dropped"]
        assert [found[key].body for key in "abcd"] == [b"A", b"B", b"C", b"D"]
        assert [found[key].note for key in "abcd"] == ["bot.greet", "try again", "failed", "no"]
        assert [found[key].attempts for key in "abcd"] == [1, 2, 3, 0]
        assert [found[key].run for key in "abcd"] == [0, 0, 0, 4]
        counts = await store.events.counts()
        assert counts == {"waiting": 1, "parked": 0, "dead": 1, "done": 1, "dropped": 1, "late": 0}
        assert [item.seq for item in (await store.events.due(T0)).items] == [2]
        assert await store.events.append([event("a"), event("e")]) == [None, 6]
        (gap,) = await store.progress.gaps()
        assert (gap.state, gap.until, gap.cause) == ("closed", gap.since, "disconnected")
        kept = Checkpoint(source="mentions", account_id=ME, cursor="17")
        assert await store.progress.checkpoint("mentions", ME) == kept


def _tables_of_the_first_version(*names: str) -> str:
    tables = [each for each in MIGRATIONS[0].split(";\n") if _subject_of(each) in names]
    return "".join(f"{each};\n" for each in tables)


def _subject_of(statement: str) -> str:
    """The table that a statement makes, or makes an index for."""
    words = statement.partition("CREATE ")[2].replace("UNIQUE ", "").split()
    return words[words.index("ON") + 1] if words and words[0] == "INDEX" else "".join(words[1:2])


def test_no_migration_runs_when_the_copy_cannot_be_made(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _next(monkeypatch, SECOND)

    def fail(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(database_file, "sync_folder", fail)
    with pytest.raises(StoreUnavailable, match="No space left"):
        prepare(path, create=True, now_us=0)
    assert _version(path) == len(MIGRATIONS)
    assert _copies(path) == []


async def test_the_tables_are_those_of_the_plan(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        )
        assert {name for (name,) in rows} == {
            *("account", "credential", "inbox", "event", "ended", "checkpoint", "gap", "dead"),
            *("state", "write", "attempt", "memo", "lease", "budget", "schedule", "mark"),
            *("user", "opt_out", "report", "meta", "invitation", "tally", "billed", "own_post"),
            *("open_read", "answer"),
        }


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (
            (
                "SELECT * FROM inbox i JOIN event e ON e.seq = i.seq WHERE i.queue = 0 AND i.seq > 1 "
                "AND (i.not_before IS NULL OR i.not_before <= 5) ORDER BY i.seq LIMIT 9"
            ),
            "SEARCH i USING PRIMARY KEY (queue=? AND seq>?)",
        ),
        (
            "SELECT min(not_before) FROM inbox WHERE queue = 1 AND not_before > 5",
            "SEARCH inbox USING COVERING INDEX inbox_time (queue=? AND not_before>?)",
        ),
        (
            "SELECT 1 FROM inbox WHERE queue = 1 AND not_before <= 5 LIMIT 1",
            "SEARCH inbox USING COVERING INDEX inbox_time (queue=? AND not_before<?)",
        ),
        (
            "SELECT seq FROM event WHERE key = 'a' AND account_id = 'b'",
            "SEARCH event USING COVERING INDEX event_key (key=? AND account_id=?)",
        ),
        (
            (
                "SELECT e.seq FROM event e JOIN ended d ON d.seq = e.seq WHERE e.recorded_at < 5 "
                "AND d.state IN ('done', 'dropped') ORDER BY e.recorded_at LIMIT 9"
            ),
            "SEARCH e USING COVERING INDEX event_recorded (recorded_at<?)",
        ),
        (
            (
                "SELECT id FROM write WHERE account_id = 'a' AND interaction = '1' "
                "AND interaction != ''"
            ),
            "SEARCH write USING INDEX write_interaction (account_id=? AND interaction=?)",
        ),
    ],
)
def test_what_is_asked_often_never_scans_a_table(path: Path, query: str, index: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")]
    assert index in plan
    assert not any(step.startswith(("SCAN", "USE TEMP")) for step in plan)
