"""How the store's connections are set: what is committed is on the disk, what is deleted is gone."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from botkit.errors import StoreGone
from botkit.storage.sqlite import connection as connecting
from botkit.storage.sqlite.connection import connect, plain_connect, prepare_writer
from botkit.storage.sqlite.database_file import prepare
from botkit.storage.sqlite.wal import KEPT_BYTES


def _set_to(connection: sqlite3.Connection, *pragmas: str) -> dict[str, object]:
    return {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas}


def test_each_connection_trusts_no_file_keeps_nothing_beside_it_and_leaves_the_log_to_the_writer(
    tmp_path: Path,
) -> None:
    path = tmp_path / "bot.db"
    store_id = prepare(path, create=True, now_us=0)
    expected = {
        "trusted_schema": 0,
        "cell_size_check": 1,
        "temp_store": 2,
        "wal_autocheckpoint": 0,
        "query_only": 0,
    }
    for query_only in (False, True):
        with closing(connect(path, store_id=store_id, query_only=query_only)) as connection:
            assert _set_to(connection, *expected) == {**expected, "query_only": int(query_only)}


def test_what_the_writer_commits_is_synced_and_what_it_deletes_is_overwritten(
    tmp_path: Path,
) -> None:
    path = tmp_path / "bot.db"
    expected = {
        "synchronous": 2,  # FULL
        "fullfsync": 1,
        "checkpoint_fullfsync": 1,
        "secure_delete": 1,
        "journal_size_limit": KEPT_BYTES,
        "foreign_keys": 0,
    }
    store_id = prepare(path, create=True, now_us=0)
    with closing(connect(path, store_id=store_id)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = OFF")  # some builds of SQLite begin with ON
        prepare_writer(connection)
        assert _set_to(connection, *expected) == expected


@pytest.mark.parametrize(
    "left_out", ["DELETE FROM meta WHERE name = 'store_id'", "DROP TABLE meta", ""]
)
def test_a_connection_to_another_store_is_closed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left_out: str
) -> None:
    path = tmp_path / "bot.db"
    prepare(path, create=True, now_us=0)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(left_out)
        connection.commit()
    opened = list[sqlite3.Connection]()

    def noted(path: Path) -> sqlite3.Connection:
        opened.append(plain_connect(path))
        return opened[-1]

    monkeypatch.setattr(connecting, "plain_connect", noted)
    with pytest.raises((StoreGone, sqlite3.OperationalError), match=r"was replaced|no such table"):
        connect(path, store_id="that of another store")
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened[0].execute("SELECT 1")


@pytest.mark.parametrize("name", ["a?mode=memory", "a#b", "a%20b", "ä b"])
def test_a_file_is_opened_under_its_very_name_and_made_only_when_asked(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        plain_connect(path).execute("SELECT 1 FROM sqlite_master")
    with closing(plain_connect(path, mode="rwc")) as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.execute("INSERT INTO t VALUES (1)")
        assert not connection.in_transaction
    assert [each.name for each in tmp_path.iterdir()] == [name]
    with (
        closing(plain_connect(path, mode="ro")) as reader,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        reader.execute("INSERT INTO t VALUES (1)")
