"""When a vault key is made, where, and when it is not; and that it can be changed at each place."""

from __future__ import annotations

import keyring
import pytest
from keyring.backend import KeyringBackend

from botkit.bot.compose_client import open_the_vault
from botkit.bot.keys.key_making import KeyWish, provide_key
from botkit.bot.keys.rekey import begin_rekey, finish_rekey
from botkit.errors import ConfigError, VaultKeyError
from botkit.model.tokens import CredentialKind
from botkit.storage.vault.key_places import warning_of_key

MAY = KeyWish(may_make=True)
BESIDE = KeyWish(may_make=True, beside_store=True)


class Ring(KeyringBackend):
    priority = 1  # type: ignore[assignment]

    def __init__(self):
        super().__init__()
        self.entries = {}

    def get_password(self, service, username):
        return self.entries.get((service, username))

    def set_password(self, service, username, password):
        self.entries[service, username] = password

    def delete_password(self, service, username):
        del self.entries[service, username]


@pytest.fixture
def bare(place, monkeypatch, tmp_path):
    """A place without a key in its settings."""
    del place.environ["BOTKIT_STORE__KEY"]
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return place


@pytest.fixture
def ring():
    before = keyring.get_keyring()
    ring = Ring()
    keyring.set_keyring(ring)
    yield ring
    keyring.set_keyring(before)


async def provide(place, wish):
    told = []
    await provide_key(await place.settings(), place.store, wish, tell=told.append)
    return told


async def test_a_missing_key_is_made_once_and_where_is_said(bare, tmp_path):
    (line,) = await provide(bare, MAY)
    assert await provide(bare, MAY) == []

    (key,) = (tmp_path / "config").rglob("*.key")
    assert str(key) in line
    assert warning_of_key(await bare.settings()) == ""


async def test_where_nobody_reads_and_none_was_asked_for_no_key_is_made(bare, tmp_path):
    with pytest.raises(ConfigError, match="no terminal") as caught:
        await provide(bare, KeyWish(may_make=False))

    assert "--make-key" in caught.value.hint
    assert not list(tmp_path.rglob("*.key"))


async def test_where_nobody_reads_a_key_that_is_there_is_enough(bare):
    await provide(bare, MAY)

    assert await provide(bare, KeyWish(may_make=False)) == []


async def test_a_lost_key_is_not_replaced(place, monkeypatch, tmp_path):
    await place.authorize()
    del place.environ["BOTKIT_STORE__KEY"]
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    assert await provide(place, MAY) == []
    with pytest.raises(ConfigError, match="no key to open them"):
        await open_the_vault(await place.settings(), place.store)

    assert not list(tmp_path.rglob("*.key"))


async def test_a_key_of_the_settings_is_enough_and_none_is_made_beside_it(place, tmp_path):
    assert await provide(place, MAY) == []
    with pytest.raises(ConfigError, match="BOTKIT_STORE__KEY"):
        await provide(place, BESIDE)

    assert not list(tmp_path.rglob("*.key"))


async def test_a_key_beside_the_store_is_made_when_it_is_asked_for_and_warned_of(bare, tmp_path):
    line, warning = await provide(bare, BESIDE)

    assert str(tmp_path / "botkit.db.key") in line
    assert "whoever has this folder" in warning
    assert "whoever has this folder" in warning_of_key(await bare.settings())


async def test_a_key_that_is_there_already_is_not_joined_by_one_beside_the_store(bare, tmp_path):
    await provide(bare, MAY)
    (line,) = await provide(bare, BESIDE)

    assert "already" in line
    assert not (tmp_path / "botkit.db.key").exists()


async def test_a_key_is_made_in_the_keyring_and_found_there(bare, ring, tmp_path):
    bare.environ["BOTKIT_STORE__KEY_FROM"] = "keyring"
    (line,) = await provide(bare, MAY)
    await bare.authorize()

    assert "keyring" in line
    assert len(ring.entries) == 1
    assert not list(tmp_path.rglob("*.key"))


@pytest.mark.parametrize("where", ["file", "beside", "keyring"])
async def test_the_key_is_changed_wherever_it_is(bare, ring, where):
    bare.environ["BOTKIT_STORE__KEY_FROM"] = "keyring" if where == "keyring" else "file"
    await provide(bare, BESIDE if where == "beside" else MAY)
    login = await bare.authorize()
    old = await open_the_vault(await bare.settings(), bare.store)

    settings, told = await bare.settings(), []
    vault = await begin_rekey(settings, bare.store, tell=told.append)
    async with bare.open_x() as x:
        assert await finish_rekey(settings, bare.store, vault, x.keeper.lock, tell=told.append)

    row = await bare.store.credentials.get(login.account.id, "default", CredentialKind.OAUTH2)
    new = await open_the_vault(await bare.settings(), bare.store)
    assert new.is_current(row.sealed)
    assert not old.is_current(row.sealed)
    assert told[0].startswith("new key made: ")
    async with bare.open_x() as x:
        assert await x.reader.for_account(login.account.id).user(login.account.id)


@pytest.mark.parametrize("where", ["file", "beside", "keyring"])
async def test_the_wrong_key_changes_nothing_wherever_it_is(bare, ring, where, tmp_path):
    bare.environ["BOTKIT_STORE__KEY_FROM"] = "keyring" if where == "keyring" else "file"
    await provide(bare, BESIDE if where == "beside" else MAY)
    login = await bare.authorize()
    before = await bare.store.credentials.listing()
    if where == "keyring":
        ring.entries = dict.fromkeys(ring.entries, "ab" * 32)
    else:
        (path,) = tmp_path.rglob("*.key")
        path.write_text("ab" * 32)

    with pytest.raises(VaultKeyError, match="not the key of the store") as caught:
        await open_the_vault(await bare.settings(), bare.store)
    with pytest.raises(VaultKeyError, match="not the key of the store"):
        await begin_rekey(await bare.settings(), bare.store, tell=print)

    assert caught.value.exit_code == 5
    assert await bare.store.credentials.listing() == before
    assert login.account.id
