"""A bot on a copy of a store that runs on this machine is refused before it does anything."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from botkit.errors import StateError
from botkit.storage.copies import held_against_copies

ID = "store-1"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A store and a copy of it."""
    found = tmp_path / "bot.db", tmp_path / "copy.db"
    for file in found:
        file.write_text("the same")
    return found


def test_a_copy_is_refused_while_the_original_runs(files: tuple[Path, Path]) -> None:
    original, copy = files
    with held_against_copies(ID, original):
        with (
            pytest.raises(StateError, match=f"{os.getpid()} runs a bot on a copy .*{original}"),
            held_against_copies(ID, copy),
        ):
            raise AssertionError("it started")
        with held_against_copies("store-2", copy):
            pass
    with held_against_copies(ID, copy):
        pass


def test_the_same_file_is_left_to_its_lease(files: tuple[Path, Path]) -> None:
    with held_against_copies(ID, files[0]), held_against_copies(ID, files[0]):
        pass


def test_nothing_is_left_behind(files: tuple[Path, Path], place: Path) -> None:
    for _ in range(2):
        with held_against_copies(ID, files[0]):
            assert [lock.name for lock in place.glob("*/*")] == [ID]
    assert list(place.glob("*/*")) == []


def test_a_lock_of_a_process_that_was_killed_does_not_hold(
    files: tuple[Path, Path], place: Path
) -> None:
    folder = place / f"botkit-{os.getuid()}"
    folder.mkdir(mode=0o700)
    (folder / ID).write_text("1:1\n99\n/elsewhere\n")
    with held_against_copies(ID, files[0]):
        assert str(files[0]) in (folder / ID).read_text()


@pytest.mark.parametrize("look", [1, 2])
def test_a_lock_whose_holder_has_just_removed_it_is_taken_anew(
    files: tuple[Path, Path], place: Path, monkeypatch: pytest.MonkeyPatch, look: int
) -> None:
    looks = 0
    stat = Path.stat

    def gone_once(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        nonlocal looks
        if path.name == ID:
            looks += 1
            if looks == look:
                path.unlink()
        return stat(path, follow_symlinks=follow_symlinks)

    with monkeypatch.context() as during:
        during.setattr(Path, "stat", gone_once)
        lock = held_against_copies(ID, files[0])
        lock.__enter__()
    assert [each.name for each in place.glob("*/*")] == [ID]
    with (
        pytest.raises(StateError, match="a copy of this store"),
        held_against_copies(ID, files[1]),
    ):
        raise AssertionError("it started")
    lock.__exit__(None, None, None)


@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_a_folder_that_is_not_this_users_own_is_not_used(
    files: tuple[Path, Path], place: Path, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / f"botkit-{os.getuid()}").mkdir(mode=mode)
    if mode == 0o700:
        (place / f"botkit-{os.getuid()}").rmdir()
        (place / f"botkit-{os.getuid()}").symlink_to(place)
    original, copy = files
    with held_against_copies(ID, original), held_against_copies(ID, copy):
        assert list(place.glob(f"*/{ID}")) == []


def test_a_store_that_is_no_file_needs_no_lock(place: Path, tmp_path: Path) -> None:
    with held_against_copies(ID, None), held_against_copies(ID, tmp_path / "missing"):
        assert list(place.glob("*/*")) == []
