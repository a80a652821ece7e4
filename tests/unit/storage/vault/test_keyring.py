"""The vault key in a keyring: made once, rotated so that a kill loses none, each fault one sentence."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring
from keyring.backends.null import Keyring as Forgetful
from keyring.errors import KeyringLocked, PasswordDeleteError

from botkit.errors import ConfigError, VaultKeyError
from botkit.storage.vault.keyring import KeyringPlace

STORE = "0123456789abcdef0123456789abcdef"


class FakeKeyring(KeyringBackend):
    """A keyring in memory that replaces an entry by removing it first, as some do."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[tuple[str, str], str] = {}
        self.locked = False
        self.dies_at = 0
        """At which change the process is killed: after the entry is removed, before it is set."""
        self.changes = 0

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise KeyringLocked("locked")
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.changes += 1
        self.entries.pop((service, username), None)
        if self.changes == self.dies_at:
            raise KeyboardInterrupt
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.entries.pop((service, username), None) is None:
            raise PasswordDeleteError("not found")


@pytest.fixture
def ring() -> Iterator[FakeKeyring]:
    before = keyring.get_keyring()
    ring = FakeKeyring()
    keyring.set_keyring(ring)
    yield ring
    keyring.set_keyring(before)


def _place(folder: Path) -> KeyringPlace:
    return KeyringPlace(STORE, turn=folder / "keys" / f"{STORE}.key")


def test_a_key_is_made_once_and_named_by_where_it_is(ring: FakeKeyring, tmp_path: Path) -> None:
    place = _place(tmp_path)
    assert place.read() == []
    place.make()
    (key,) = place.read()
    assert len(key) == 32
    assert set(ring.entries) == {("botkit", STORE)}
    assert f"botkit/{STORE}" in place.name
    assert "FakeKeyring" in place.name
    with pytest.raises(VaultKeyError, match="already"):
        place.make()
    assert place.read() == [key]


def test_a_rotation_keeps_the_key_before_until_it_is_retired(
    ring: FakeKeyring, tmp_path: Path
) -> None:
    place = _place(tmp_path)
    place.make()
    (old,) = place.read()
    assert place.rotate()
    new, before = place.read()
    assert before == old != new
    assert not place.rotate()
    place.retire_previous()
    place.retire_previous()
    assert place.read() == [new]


@pytest.mark.parametrize("at", [2, 3])
def test_a_rotation_that_is_killed_anywhere_loses_no_key_and_goes_on(
    ring: FakeKeyring, tmp_path: Path, at: int
) -> None:
    place = _place(tmp_path)
    place.make()
    (old,) = place.read()
    ring.dies_at = at
    with pytest.raises(KeyboardInterrupt):
        place.rotate()
    assert place.read() == [old]
    assert place.rotate()
    assert place.read()[1] == old


def test_there_must_be_a_key_to_rotate(ring: FakeKeyring, tmp_path: Path) -> None:
    with pytest.raises(VaultKeyError, match="no key in the keyring"):
        _place(tmp_path).rotate()
    assert ring.changes == 0


def test_two_rotations_at_a_time_are_one(ring: FakeKeyring, tmp_path: Path) -> None:
    place = _place(tmp_path)
    place.make()
    (tmp_path / "keys" / f"{STORE}.key.new").touch()
    with pytest.raises(VaultKeyError, match="under way") as caught:
        place.rotate()
    assert "remove" in caught.value.hint
    assert len(place.read()) == 1


def test_a_folder_that_cannot_be_made_is_said(ring: FakeKeyring, tmp_path: Path) -> None:
    (tmp_path / "keys").touch()
    with pytest.raises(VaultKeyError, match="cannot be written"):
        _place(tmp_path).make()
    assert ring.changes == 0


def test_a_locked_keyring_is_one_sentence_with_the_cure(ring: FakeKeyring, tmp_path: Path) -> None:
    ring.locked = True
    with pytest.raises(VaultKeyError, match="is locked") as caught:
        _place(tmp_path).read()
    assert "Unlock it" in caught.value.hint


def test_a_system_without_a_keyring_is_said(ring: FakeKeyring, tmp_path: Path) -> None:
    keyring.set_keyring(NoKeyring())
    with pytest.raises(VaultKeyError, match="no keyring on this system") as caught:
        _place(tmp_path).read()
    assert "BOTKIT_STORE__KEY_FILE" in caught.value.hint


def test_a_keyring_that_keeps_nothing_is_found_out(ring: FakeKeyring, tmp_path: Path) -> None:
    keyring.set_keyring(Forgetful())
    with pytest.raises(VaultKeyError, match="did not keep"):
        _place(tmp_path).make()


def test_any_other_fault_of_a_keyring_is_said_in_one_sentence(
    ring: FakeKeyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(service: str, username: str) -> None:
        raise ConnectionError("no bus")

    monkeypatch.setattr(ring, "get_password", fail)
    with pytest.raises(VaultKeyError, match=r"ConnectionError: no bus\."):
        _place(tmp_path).read()


def test_what_is_no_key_in_the_keyring_is_not_shown(ring: FakeKeyring, tmp_path: Path) -> None:
    ring.entries["botkit", STORE] = "rosebud"
    with pytest.raises(VaultKeyError, match="The keyring does not hold a vault key") as caught:
        _place(tmp_path).read()
    assert "rosebud" not in str(caught.value)


def test_the_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigError, match="not installed") as caught:
        _place(tmp_path)
    assert "botkit[keyring]" in caught.value.hint
