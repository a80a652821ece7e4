"""A file that held a lot gives its room back, and one of an older botkit learns to."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from botkit.model.records import KeepFor
from botkit.storage.opening import open_store
from botkit.storage.sqlite import database_file, free_pages
from botkit.storage.sqlite.schema import MIGRATIONS
from tests.storage.conformance.bench import T0, SuiteClock, done, event, lease

if TYPE_CHECKING:
    from pathlib import Path

    from botkit.ports import Store

_DAY = timedelta(days=1)
_ONE_DAY = KeepFor(
    events=_DAY,
    deliverable=_DAY,
    dead=_DAY,
    writes=_DAY,
    invitations=_DAY,
    users=_DAY,
    gaps=_DAY,
    ledger=_DAY,
)


def _pages(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA page_count").fetchone()[0])


async def _fill_and_prune(store: Store) -> None:
    fence = await lease(store)
    for start in range(0, 2000, 500):
        keys = [f"e{n}" for n in range(start, start + 500)]
        seqs = await store.events.append([event(key, body=bytes(2000)) for key in keys])
        await store.events.settle([done(seq or 0) for seq in seqs], fence=fence)
    await store.prune(_ONE_DAY, now=T0 + 3 * _DAY)


async def test_a_prune_shortens_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_pages, "_SPARE", 20)
    monkeypatch.setattr(free_pages, "_AT_ONCE", 300)
    async with open_store(f"sqlite:///{tmp_path}/bot.db", clock=SuiteClock()) as store:
        await _fill_and_prune(store)
        assert await asyncio.to_thread(_pages, tmp_path / "bot.db") < 150
        assert [one.key for one in await store.events.listing()] == ["e1999"]


async def test_a_little_room_is_kept_for_what_comes(tmp_path: Path) -> None:
    async with open_store(f"sqlite:///{tmp_path}/bot.db", clock=SuiteClock()) as store:
        await _fill_and_prune(store)
        assert await asyncio.to_thread(_pages, tmp_path / "bot.db") > 1000


async def test_a_file_of_an_older_botkit_learns_to_give_room_back_at_its_upgrade(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bot.db"
    await asyncio.to_thread(_older, path, monkeypatch)
    async with open_store(f"sqlite:///{path}", clock=SuiteClock()) as store:
        await store.events.append([event()])
    assert await asyncio.to_thread(_mode, path) == 2


def test_an_upgrade_stands_though_another_process_keeps_the_file_from_being_rewritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bot.db"
    _older(path, monkeypatch)
    real = database_file._make_shrinkable

    def overtaken(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA busy_timeout = 0")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            real(connection)

    monkeypatch.setattr(database_file, "_make_shrinkable", overtaken)
    database_file.prepare(path, create=False, now_us=0)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
    assert _mode(path) == 0


def _older(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a store of the version before, whose file cannot shrink."""
    with monkeypatch.context() as older:
        older.setattr(database_file, "MIGRATIONS", MIGRATIONS[:-1])
        older.setattr(database_file.migrate, "__defaults__", (MIGRATIONS[:-1],))
        database_file.prepare(path, create=True, now_us=0)
    _forget_how(path)


def _forget_how(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA auto_vacuum = NONE")
        connection.execute("VACUUM")
    assert _mode(path) == 0


def _mode(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA auto_vacuum").fetchone()[0])
