"""The vault key as text and in its file, and what is refused."""

from __future__ import annotations

import base64
import os
import sys
from pathlib import Path

import pytest

from botkit.errors import VaultKeyError
from botkit.storage.vault.key_files import (
    key_path,
    make_key,
    parse_key,
    read_keys,
    retire_previous,
    rotate_key,
)
from tests.syncs import recorded_syncs

KEY = bytes(range(224, 256))
STORE = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def config_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    "text",
    [
        KEY.hex(),
        KEY.hex().upper(),
        base64.b64encode(KEY).decode(),
        base64.urlsafe_b64encode(KEY).decode(),
        base64.urlsafe_b64encode(KEY).decode().rstrip("="),
        f"\ufeff{KEY.hex()}\r\n",
        f'"{base64.b64encode(KEY).decode()}"\n',
        f"  {KEY.hex()}\t",
    ],
    ids=["hex", "HEX", "base64", "base64url", "no padding", "BOM and CRLF", "quotes", "spaces"],
)
def test_a_key_is_read_however_it_was_written(text: str) -> None:
    assert parse_key(text, origin="x") == KEY


@pytest.mark.parametrize(
    "text", ["", "short", KEY.hex()[:-2], base64.b64encode(KEY + b"x").decode(), "é" * 64, "=" * 9]
)
def test_what_is_no_key_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(VaultKeyError, match="BOTKIT_STORE__KEY") as caught:
        parse_key(text, origin="BOTKIT_STORE__KEY")
    assert "openssl rand" in caught.value.hint
    assert not text or text not in str(caught.value)


def test_a_rotation_puts_the_new_key_first_and_happens_once_until_the_old_one_goes(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a"
    make_key(path)
    (old,) = read_keys(path)
    assert rotate_key(path)
    new, before = read_keys(path)
    assert before == old != new
    assert not rotate_key(path)
    assert read_keys(path) == [new, old]
    retire_previous(path)
    retire_previous(path)
    assert path.read_text().count("\n") == 1
    assert read_keys(path) == [new]
    assert path.stat().st_mode & 0o777 == 0o600
    assert rotate_key(path)


@pytest.mark.skipif(sys.platform != "linux", reason="names of open files are Linux's")
def test_a_key_is_on_the_disk_before_anything_is_sealed_with_it(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with recorded_syncs() as steps:
        make_key(path)
    assert steps == [("sync", str(path)), ("sync", str(tmp_path))]
    with recorded_syncs() as steps:
        assert rotate_key(path)
    rotated = [("sync", "~"), ("rename", str(path)), ("sync", str(tmp_path))]
    assert steps == rotated
    with recorded_syncs() as steps:
        retire_previous(path)
    assert steps == rotated


def test_there_must_be_a_key_to_rotate(tmp_path: Path) -> None:
    with pytest.raises(VaultKeyError, match="no key"):
        rotate_key(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_rotation_that_cannot_be_written_leaves_the_key_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    make_key(path)
    before = read_keys(path)

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(VaultKeyError, match="No space left"):
        rotate_key(path)
    assert read_keys(path) == before
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


def test_the_key_file_stands_under_the_users_configuration(config_home: Path) -> None:
    assert key_path(STORE) == config_home / "botkit" / "keys" / f"{STORE}.key"
    with pytest.raises(VaultKeyError):
        key_path("../../etc/passwd")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277, 0o777])
def test_a_new_key_is_closed_to_others_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "botkit" / "keys" / "a.key"
    before = os.umask(umask)
    try:
        make_key(path)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.parent.parent.stat().st_mode & 0o777 == 0o700
    (key,) = read_keys(path)
    assert len(key) == 32


def test_two_new_keys_differ(tmp_path: Path) -> None:
    make_key(tmp_path / "a")
    make_key(tmp_path / "b")
    assert read_keys(tmp_path / "a") != read_keys(tmp_path / "b")


def test_a_key_is_never_written_over_another(tmp_path: Path) -> None:
    make_key(tmp_path / "a")
    before = read_keys(tmp_path / "a")
    with pytest.raises(VaultKeyError, match="already"):
        make_key(tmp_path / "a")
    assert read_keys(tmp_path / "a") == before


def test_a_key_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(VaultKeyError, match="cannot be written"):
        make_key(tmp_path / "file" / "keys" / "a")


def test_half_a_key_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(VaultKeyError, match="No space left"):
        make_key(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_key_file_that_others_may_touch_is_refused_with_the_cure(
    tmp_path: Path, mode: int
) -> None:
    path = tmp_path / "a"
    make_key(path)
    path.chmod(mode)
    with pytest.raises(VaultKeyError, match="other users") as caught:
        read_keys(path)
    assert f"chmod 600 {path}" in caught.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_file_of_another_user_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a"
    make_key(path)
    os.chown(path, 12345, -1)
    with pytest.raises(VaultKeyError, match="uid 12345"):
        read_keys(path)


def test_an_empty_key_file_holds_no_key_and_no_file_is_no_key(tmp_path: Path) -> None:
    assert read_keys(tmp_path / "a") == []
    (tmp_path / "a").touch(0o600)
    with pytest.raises(VaultKeyError, match="does not hold a vault key"):
        read_keys(tmp_path / "a")


def test_a_link_a_folder_or_a_pipe_is_no_key_file(tmp_path: Path) -> None:
    make_key(tmp_path / "a")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("link", ".", "pipe"):
        with pytest.raises(VaultKeyError):
            read_keys(tmp_path / name)
