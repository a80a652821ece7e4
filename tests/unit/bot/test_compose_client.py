"""From settings to what speaks to X."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from botkit.bot.compose_client import (
    apps_of,
    endpoints_of,
    keys_of,
    limits_of,
    open_the_vault,
    open_x,
)
from botkit.config import load_settings
from botkit.errors import ConfigError, VaultKeyError
from botkit.sandbox import open_server
from botkit.storage.vault.key_files import key_path, make_key, rotate_key


def settings_of(folder: Path, **environ: str):
    return load_settings(
        environ={f"BOTKIT_{name}": value for name, value in environ.items()}, folder=folder
    )


def test_no_limit_is_written_as_0(tmp_path):
    limits = limits_of(settings_of(tmp_path, BUDGET__HOUR_USD="0", BUDGET__DAY_USD="2.5"))

    assert limits.hour_usd is None
    assert limits.day_usd == Decimal("2.5")


def test_one_address_points_everything_at_another_server(tmp_path):
    endpoints = endpoints_of(
        settings_of(
            tmp_path,
            X__API_URL="http://127.0.0.1:9/",
            X__CONSENT_URL="http://127.0.0.1:9/i/oauth2/authorize",
        )
    )

    assert endpoints.token_url == "http://127.0.0.1:9/2/oauth2/token"
    assert endpoints.revoke_url == "http://127.0.0.1:9/2/oauth2/revoke"
    assert endpoints.consent_url == "http://127.0.0.1:9/i/oauth2/authorize"


def test_each_endpoint_can_be_set_by_itself(tmp_path):
    endpoints = endpoints_of(
        settings_of(
            tmp_path,
            X__TOKEN_URL="https://login.example/token",
            X__ISSUER="https://login.example",
        )
    )

    assert endpoints.token_url == "https://login.example/token"
    assert endpoints.issuer == "https://login.example"
    assert endpoints.revoke_url == "https://api.x.com/2/oauth2/revoke"


def test_all_apps_are_known_by_name_and_app_is_short_for_the_default_one(tmp_path):
    apps = apps_of(
        settings_of(
            tmp_path,
            APP__CLIENT_ID="one",
            APPS__OTHER__CLIENT_ID="two",
            APPS__OTHER__API_KEY="key",
        )
    )

    assert set(apps) == {"default", "other"}
    assert apps["default"].client_id == "one"
    assert (apps["other"].client_id, apps["other"].api_key) == ("two", "key")


def test_keys_do_not_show_themselves(tmp_path):
    settings = settings_of(tmp_path, APP__CLIENT_SECRET="hush-hush", APP__API_SECRET="murmur")

    shown = repr(keys_of(settings.app_named())) + repr(settings)

    assert "hush" not in shown
    assert "murmur" not in shown


async def test_a_store_without_its_key_is_said_with_the_cure_and_no_key_is_made(
    place, monkeypatch, tmp_path
):
    await place.authorize()
    del place.environ["BOTKIT_STORE__KEY"]
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    with pytest.raises(ConfigError, match="no key to open them") as caught:
        await open_the_vault(await place.settings(), place.store)

    assert "BOTKIT_STORE__KEY_FILE" in caught.value.hint
    assert not (tmp_path / "config").exists()


async def test_the_wrong_key_is_refused(place):
    await place.authorize()
    place.environ["BOTKIT_STORE__KEY"] = "ab" * 32

    with pytest.raises(VaultKeyError, match="not the key of the store"):
        await open_the_vault(await place.settings(), place.store)


async def test_a_process_goes_on_with_a_key_that_was_changed_beside_it(
    place, monkeypatch, tmp_path
):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    key = place.environ.pop("BOTKIT_STORE__KEY")
    file = key_path(place.store.store_id)
    await asyncio.to_thread(make_key, file)
    async with place.open_x() as x:
        before = x.keeper.context.vault.seal({}, account_id="", app="", kind="k", gen=0)
        await asyncio.to_thread(rotate_key, file)
        await open_the_vault(await place.settings(), place.store)
        await x.keeper.context.renew_key()
        assert not x.keeper.context.vault.is_current(before)

    # One that was given its key cannot learn another, and says so before it spends anything.
    place.environ["BOTKIT_STORE__KEY"] = (await asyncio.to_thread(file.read_text)).splitlines()[0]
    async with place.open_x() as x:
        place.environ["BOTKIT_STORE__PREVIOUS_KEY"] = place.environ["BOTKIT_STORE__KEY"]
        place.environ["BOTKIT_STORE__KEY"] = key
        await open_the_vault(await place.settings(), place.store)
        with pytest.raises(VaultKeyError, match="changed while this ran"):
            await x.keeper.context.renew_key()


async def test_without_ports_it_speaks_to_x_over_the_network(place):
    async with open_server(place.world) as opened:
        place.environ["BOTKIT_X__API_URL"] = opened.url
        await place.authorize()
        settings = await place.settings()
        vault = await open_the_vault(settings, place.store)
        async with open_x(settings, place.store, vault) as x:
            user = await x.reader.for_account(place.user.id).user(place.user.id)

    assert user.username == "greeter"
    entries = await place.store.ledger.spent(
        place.user.id, since=place.clock.now().replace(hour=0, minute=0)
    )
    assert sum(entry.reads_usd for entry in entries) > 0


async def test_what_was_spent_is_stored_at_the_end_whatever_ends_it(place):
    async def fail() -> None:
        async with place.open_x() as x:
            await x.reader.for_account(place.user.id).user(place.user.id)
            raise ZeroDivisionError

    await place.authorize()
    with pytest.raises(ZeroDivisionError):
        await fail()

    entries = await place.store.ledger.spent(
        place.user.id, since=place.clock.now().replace(hour=0, minute=0)
    )
    assert len(entries) == 1


async def _end_the_access_token(place) -> None:
    """End it an hour after it was granted: for a minute no login is renewed again."""
    (row,) = await place.store.credentials.listing(place.user.id)
    await place.store.credentials.expire(row, now=place.clock.now())
    with closing(sqlite3.connect(place.folder / "botkit.db")) as connection, connection:
        connection.execute("UPDATE credential SET last_success = since - 3600000000")


async def test_a_command_has_the_keepers_role_for_one_refresh(place):
    await place.authorize()
    await _end_the_access_token(place)
    async with place.open_x() as x:
        await x.keeper.access_token(place.user.id)
        assert await place.store.leases.holder("keeper") is None

    (row,) = await place.store.credentials.listing(place.user.id)
    assert (row.gen, row.intent) == (2, None)
    assert await place.store.leases.holder(f"refresh:{place.user.id}/default") is None


async def test_a_process_that_is_never_the_keeper_leaves_the_refresh_to_others(place):
    await place.authorize()
    place.environ["BOTKIT_RUN__KEEPER"] = "never"
    async with place.open_x() as x:
        await x.keeper.access_token(place.user.id)
        status = await x.keeper.settled(place.user.id)

    assert status.gen == 1
    place.environ["BOTKIT_RUN__KEEPER"] = "always"
    with pytest.raises(ConfigError, match="auto"):
        await place.settings()
