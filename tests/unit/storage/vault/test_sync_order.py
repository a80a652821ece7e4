"""A secret that is not on the disk yet is not relied on: files and folders are synced in order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from botkit.client.logins.rescue_file import RescueFile
from botkit.client.logins.rollback_guard import FileRollbackGuard, Seen
from botkit.storage.vault.key_files import make_key, retire_previous, rotate_key
from tests.storage.conformance.bench import credential

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's /proc")


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was written, synced and renamed, in order."""
    done: list[str] = []
    fsync, replace, pwrite = os.fsync, Path.replace, os.pwrite

    def synced(descriptor: int) -> None:
        place = Path(f"/proc/self/fd/{descriptor}").readlink()
        held = place.read_bytes() if place.is_file() else b""
        done.append(f"sync {place.name} {(len(held) and 'with its content') or ''}".strip())
        fsync(descriptor)

    def renamed(here: Path, there: Path) -> Path:
        done.append(f"rename to {there.name}")
        return replace(here, there)

    def written(descriptor: int, body: bytes, at: int) -> int:
        done.append("write")
        return pwrite(descriptor, body, at)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    monkeypatch.setattr(os, "pwrite", written)
    return done


def test_a_new_key_is_synced_and_then_its_name(tmp_path: Path, done: list[str]) -> None:
    make_key(tmp_path / "keys" / "a.key")
    assert done == ["sync a.key with its content", "sync keys"]


def test_a_rotated_key_is_synced_before_it_takes_the_place_of_the_old_one(
    tmp_path: Path, done: list[str]
) -> None:
    path = tmp_path / "a.key"
    make_key(path)
    for change in (rotate_key, retire_previous):
        done.clear()
        change(path)
        assert done == [
            "sync a.key.new with its content",
            "rename to a.key",
            f"sync {tmp_path.name}",
        ]


async def test_a_rescued_token_is_synced_after_it_is_written(
    tmp_path: Path, done: list[str]
) -> None:
    place = RescueFile(tmp_path / "b.rescue")
    await place.load()
    done.clear()
    await place.keep([])
    assert done == ["write", "sync b.rescue with its content"]


async def test_the_rollback_guard_is_synced_before_and_after_it_takes_its_name(
    tmp_path: Path, done: list[str]
) -> None:
    guard = FileRollbackGuard(tmp_path / "witness")
    await guard.note(credential(), Seen(gen=1, hash="h"))
    (name,) = [path.name for path in (tmp_path / "witness").iterdir()]
    assert done[0] == "write"
    assert done[1].startswith(f"sync {name}.")
    assert done[1].endswith(" with its content")
    assert done[2:] == [f"rename to {name}", "sync witness"]
