"""Migrations: in order, in one transaction, after a copy; and never back."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from botkit.errors import StateError, StoreUnavailable
from botkit.storage.conformance.bench import SuiteClock, event
from botkit.storage.opening import open_store
from botkit.storage.sqlite import files, schema
from botkit.storage.sqlite.files import prepare
from botkit.storage.sqlite.schema import MIGRATIONS, migrate, version_of

SECOND = "ALTER TABLE account ADD COLUMN mood TEXT NOT NULL DEFAULT 'fine';\nCREATE TABLE more (a)"
BROKEN = "CREATE TABLE more (a);\nINSERT INTO nowhere VALUES (1)"


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A store of the present version, with an event in it, closed."""
    async with open_store(f"sqlite:///{tmp_path}/bot.db", clock=SuiteClock()) as store:
        await store.events.append([event()])
    return tmp_path / "bot.db"


def _next(monkeypatch: pytest.MonkeyPatch, *migrations: str) -> None:
    for module in (files, schema):
        monkeypatch.setattr(module, "MIGRATIONS", (*MIGRATIONS, *migrations))
    monkeypatch.setattr(files, "migrate", lambda it: migrate(it, (*MIGRATIONS, *migrations)))


def _version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return version_of(connection)


def _copies(path: Path) -> list[Path]:
    return [copy for copy in path.parent.iterdir() if ".version-" in copy.name]


def test_an_older_store_is_brought_up_to_date_after_a_copy(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _next(monkeypatch, SECOND, "CREATE TABLE third (a)")
    store_id = prepare(path, create=True, now_us=0)
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


def test_no_migration_runs_when_the_copy_cannot_be_made(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _next(monkeypatch, SECOND)

    def fail(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "sync_folder", fail)
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
            *("account", "credential", "inbox", "event", "body", "checkpoint", "gap", "dead"),
            *("state", "write", "attempt", "memo", "lease", "budget", "schedule", "mark"),
            *("user", "opt_out", "report", "meta"),
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
                "SELECT seq, key FROM event WHERE state IN ('done', 'dropped') AND recorded_at < 5 "
                "ORDER BY recorded_at LIMIT 9"
            ),
            "SEARCH event USING INDEX event_finished (recorded_at<?)",
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
