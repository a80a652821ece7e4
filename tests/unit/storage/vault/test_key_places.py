"""Where the vault key is looked for, in which order, and what each place refuses."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from botkit.errors import ConfigError, VaultKeyError
from botkit.storage.vault.key_files import key_path, make_key, read_keys, rotate_key
from botkit.storage.vault.key_places import (
    find_key,
    find_previous_key,
    key_beside_store,
    key_place,
)

KEY = bytes(range(224, 256))
STORE = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))


def _settings(
    folder: Path,
    key: str | None = None,
    previous: str | None = None,
    key_from: str = "file",
    url: str | None = None,
) -> SimpleNamespace:
    def secret(text: str | None) -> SecretStr | None:
        return None if text is None else SecretStr(text)

    store = SimpleNamespace(key=secret(key), previous_key=secret(previous), key_from=key_from)
    return SimpleNamespace(store=store, store_url=url or f"sqlite:///{folder / 'botkit.db'}")


def test_the_key_of_the_settings_goes_before_the_key_file(tmp_path: Path) -> None:
    make_key(key_path(STORE))
    assert find_key(_settings(tmp_path, KEY.hex()), store_id=STORE) == KEY
    assert find_key(_settings(tmp_path), store_id=STORE) == read_keys(key_path(STORE))[0]
    assert find_key(_settings(tmp_path)) is None


def test_finding_no_key_makes_none(tmp_path: Path) -> None:
    assert find_key(_settings(tmp_path), store_id=STORE) is None
    assert list(tmp_path.iterdir()) == []


def test_the_previous_key_comes_from_the_settings_or_stands_in_the_key_file(
    tmp_path: Path,
) -> None:
    assert find_previous_key(_settings(tmp_path, previous=KEY.hex())) == KEY
    assert find_previous_key(_settings(tmp_path)) is None
    make_key(key_path(STORE))
    old = find_key(_settings(tmp_path), store_id=STORE)
    assert find_previous_key(_settings(tmp_path), store_id=STORE) is None
    assert rotate_key(key_path(STORE))
    assert find_previous_key(_settings(tmp_path), store_id=STORE) == old
    assert find_previous_key(_settings(tmp_path, KEY.hex()), store_id=STORE) is None


def test_a_key_beside_the_store_is_made_on_request_only_and_found_from_then_on(
    tmp_path: Path,
) -> None:
    settings = _settings(tmp_path)
    assert key_beside_store(settings) is None
    place = key_place(settings, store_id=STORE, beside_store=True)
    place.make()
    assert place.name == str(tmp_path / "botkit.db.key")
    assert key_beside_store(settings) == tmp_path / "botkit.db.key"
    assert (tmp_path / "botkit.db.key").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "config").exists()
    assert [find_key(settings, store_id=STORE)] == place.read()


def test_a_key_outside_the_store_goes_before_one_beside_it(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    key_place(settings, store_id=STORE, beside_store=True).make()
    make_key(key_path(STORE))
    assert key_place(settings, store_id=STORE).name == str(key_path(STORE))


def test_a_key_beside_the_store_is_rotated_where_it_lies(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    key_place(settings, store_id=STORE, beside_store=True).make()
    old = find_key(settings, store_id=STORE)
    assert key_place(settings, store_id=STORE).rotate()
    assert find_previous_key(settings, store_id=STORE) == old
    key_place(settings, store_id=STORE).retire_previous()
    assert find_previous_key(settings, store_id=STORE) is None
    assert find_key(settings, store_id=STORE) not in {old, None}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_beside_the_store_that_others_may_touch_is_refused(
    tmp_path: Path, mode: int
) -> None:
    settings = _settings(tmp_path)
    key_place(settings, store_id=STORE, beside_store=True).make()
    (tmp_path / "botkit.db.key").chmod(mode)
    with pytest.raises(VaultKeyError, match="other users"):
        find_key(settings, store_id=STORE)


def test_two_places_at_a_time_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="key_from"):
        key_place(_settings(tmp_path, key_from="keyring"), store_id=STORE, beside_store=True)


def test_a_key_lies_beside_files_only(tmp_path: Path) -> None:
    settings = _settings(tmp_path, url="postgresql://db.example/bot")
    assert key_beside_store(settings) is None
    with pytest.raises(ConfigError, match="a file"):
        key_place(settings, store_id=STORE, beside_store=True)
