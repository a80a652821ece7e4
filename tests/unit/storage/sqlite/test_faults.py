"""What SQLite's and the system's errors are to the caller."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pytest

from botkit.errors import Conflict, Corrupt, StoreUnavailable
from botkit.storage.sqlite.faults import (
    explain,
    explain_os,
    is_store_fault,
    lock_holders,
    short_of_room,
)

PATH = Path("/data/bot.db")


def _fault(code: int, name: str = "SQLITE_X") -> sqlite3.OperationalError:
    fault = sqlite3.OperationalError("words")
    fault.sqlite_errorcode, fault.sqlite_errorname = code, name
    return fault


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (sqlite3.SQLITE_FULL, "the disk is full"),
        (sqlite3.SQLITE_READONLY, "read-only"),
        (sqlite3.SQLITE_READONLY_DBMOVED, "read-only"),
        (sqlite3.SQLITE_IOERR_FSYNC, "the disk reported an error"),
        (sqlite3.SQLITE_CANTOPEN, "cannot be opened"),
        (sqlite3.SQLITE_NOMEM, "no memory"),
        (sqlite3.SQLITE_BUSY, "is locked by"),
        (sqlite3.SQLITE_LOCKED_SHAREDCACHE, "is locked by"),
        (sqlite3.SQLITE_PROTOCOL, "is locked by"),
    ],
)
def test_a_store_that_cannot_be_used_now_is_named_with_cause_and_cure(
    code: int, words: str
) -> None:
    fault = _fault(code)
    error = explain(fault, PATH)
    assert isinstance(error, StoreUnavailable)
    assert str(PATH) in error.message
    assert words in error.message
    assert error.hint
    assert is_store_fault(fault)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB])
def test_damage_is_corrupt(code: int) -> None:
    error = explain(_fault(code), PATH)
    assert isinstance(error, Corrupt)
    assert "backup" in error.hint


def test_an_unknown_error_is_said_in_sqlites_words() -> None:
    assert "words" in explain(_fault(sqlite3.SQLITE_ERROR), PATH).message


def test_a_jobs_own_mistake_is_not_the_stores() -> None:
    assert not is_store_fault(sqlite3.IntegrityError("UNIQUE"))
    assert not is_store_fault(_fault(sqlite3.SQLITE_ERROR))
    assert not is_store_fault(Conflict("moved"))
    assert not is_store_fault(ValueError())
    assert is_store_fault(OSError(28, "No space left on device"))
    assert is_store_fault(MemoryError())


@pytest.mark.parametrize(
    ("number", "words"), [(28, "Free some"), (30, "read-only"), (13, "writable"), (5, "permis")]
)
def test_the_systems_errors_have_a_cure(number: int, words: str) -> None:
    error = explain_os(OSError(number, "words"), PATH)
    assert "words" in error.message
    assert words in error.hint


def test_the_holders_of_a_lock_are_read_from_the_kernels_table() -> None:
    lines = [
        "1: POSIX  ADVISORY  WRITE 655 fd:00:528890 120 120",
        "1: -> POSIX  ADVISORY  WRITE 700 fd:00:528890 120 120",
        "2: POSIX  ADVISORY  READ 656 fd:00:528890 124 124",
        "3: OFDLCK ADVISORY  WRITE -1 fd:00:528890 9 9",
        "4: POSIX  ADVISORY  WRITE 657 fd:00:111 120 120",
        "5: POSIX  ADVISORY  WRITE 42 fd:00:528890 121 121",
        "6: POSIX  ADVISORY  WRITE 0 fd:00:528890 121 121",
        "bad",
    ]
    assert lock_holders(lines, [528890, 3], own_pid=42) == [655]


def test_the_holders_of_a_lock_are_told_in_the_order_of_their_ids() -> None:
    lines = [f"1: POSIX  ADVISORY  WRITE {pid} fd:00:3 120 120" for pid in (16, 9)]
    assert lock_holders(lines, [3], own_pid=42) == [9, 16]


@pytest.mark.parametrize(("blocks", "is_short"), [(15, True), (16, False)])
def test_a_volume_is_full_with_less_than_64_kib(
    monkeypatch: pytest.MonkeyPatch, blocks: int, *, is_short: bool
) -> None:
    room = SimpleNamespace(f_bavail=blocks, f_frsize=4096)
    monkeypatch.setattr(os, "statvfs", lambda _: room)
    error = short_of_room(PATH)
    assert (error is not None) == is_short
    if error is not None:
        assert "the disk is full" in error.message
        assert error.hint


def test_an_error_of_the_disk_on_a_full_volume_is_a_full_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=0, f_frsize=4096))
    assert "the disk is full" in explain(_fault(sqlite3.SQLITE_IOERR), PATH).message


def test_a_volume_whose_room_is_not_known_counts_as_one_with_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(os, "statvfs")
    assert short_of_room(PATH) is None
