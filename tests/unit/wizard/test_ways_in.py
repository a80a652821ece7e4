"""OAuth 1.0a, PIN, console token and app-only from the settings to the proof, in a simulated X."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from botkit import Authorized, Bot
from botkit.config import Settings, load_settings
from botkit.errors import AuthError, ConfigError, InvalidClient, InvalidGrant, ServerError
from botkit.model.tokens import CredentialKind, Secret, TokenPair
from botkit.ports import Store
from botkit.sandbox.wire.exchange import Call
from botkit.sandbox.world.world import World
from botkit.sandbox.x.server import XServer
from botkit.sandbox.x.transport import SandboxTransport
from botkit.storage import open_store
from botkit.system import SystemClock, SystemEntropy
from botkit.wizard.app_only import check_app_only, set_up_app_only
from botkit.wizard.setup import SetUp, SetupOptions, check_settings, set_up, set_up_from_pair

CLOCK = SystemClock()
CALLBACK = "https://bot.example/callback"


class Desk:
    """An operator with an app, a person at the browser, and what was said."""

    def __init__(self, server: XServer, store: Store, folder: Path) -> None:
        self.server = server
        self.world = server.world
        self.store = store
        self.folder = folder
        self.user = self.world.add_user("greeter")
        self.app = self.world.grants.add_app("Greeter", redirect_uris=[CALLBACK])
        self.app.owner_id = self.user.id
        self.transport = SandboxTransport(server, CLOCK)
        self.said: list[str] = []
        self.shown: list[str] = []
        self.bot = Bot("greeter")
        self.authorized: list[Authorized] = []

        @self.bot.on(Authorized)
        async def welcome(event: Authorized) -> str:
            self.authorized.append(event)
            return "welcome"

    async def settings(self, **more: str) -> Settings:
        environ = {
            "BOTKIT_APP__API_KEY": self.app.api_key,
            "BOTKIT_APP__API_SECRET": self.app.api_secret,
            "BOTKIT_APP__REDIRECT_URI": CALLBACK,
            "BOTKIT_STORE__URL": f"sqlite:///{self.folder}/botkit.db",
            "BOTKIT_STORE__KEY": base64.urlsafe_b64encode(b"k" * 32).decode(),
        }
        return await asyncio.to_thread(load_settings, environ=environ | more, folder=self.folder)

    async def show(self, text: str) -> None:
        self.shown.append(text)

    async def agree(self) -> str:
        """What the person does on X's page: gives where it ends, or the page's PIN."""
        page = Call.of("GET", next(url for url in self.shown if url.startswith("https://api")))
        fields = {"as": "greeter", "decision": "authorize"}
        answer = await self.server.handle(
            Call(method="POST", path=page.path, query=(*page.query, *fields.items()))
        )
        found = re.search(rb">(\d{7})<", answer.body)
        return found[1].decode() if found else answer.headers["location"]

    async def log_in(self, settings: Settings, **asked: Any) -> SetUp:
        return await set_up(
            settings,
            self.store,
            self.bot,
            SetupOptions(**asked),
            show=self.show,
            tell=self.said.append,
            transport=self.transport,
        )

    async def take_over(self, pair: TokenPair, settings: Settings | None = None) -> SetUp:
        return await set_up_from_pair(
            settings or await self.settings(),
            self.store,
            self.bot,
            SetupOptions(),
            pair,
            tell=self.said.append,
            transport=self.transport,
        )

    async def app_only(self, settings: Settings, *, bot: Bot | None = None) -> Any:
        return await set_up_app_only(
            settings,
            self.store,
            bot,
            app="default",
            tell=self.said.append,
            transport=self.transport,
        )


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    server = await asyncio.to_thread(XServer, World(CLOCK, SystemEntropy()))
    async with open_store(f"sqlite:///{tmp_path}/botkit.db", clock=CLOCK) as store:
        yield Desk(server, store, tmp_path)


async def test_a_pasted_redirect_ends_an_oauth_1_login(desk: Desk) -> None:
    async def paste(prompt: str) -> str:
        return await desk.agree()

    settings = await desk.settings()
    done = await desk.log_in(settings, way="oauth1", paste=paste)
    assert done.complete
    assert (done.login.row.kind, done.login.row.level) == (CredentialKind.OAUTH1, "read-write")
    (event,) = desk.authorized
    assert (event.username, event.credential) == ("greeter", "UserToken")
    assert any("welcome" in line for line in desk.said)
    assert any("only polls" in line for line in desk.said)
    assert [proof.what for proof in done.proofs] == ["access"]


async def test_a_pasted_text_that_is_no_redirect_of_this_login_is_asked_for_again(
    desk: Desk,
) -> None:
    pasted = iter(["0012345", f"{CALLBACK}?oauth_token=x&oauth_verifier=y"])

    async def paste(prompt: str) -> str:
        return next(pasted, "") or await desk.agree()

    done = await desk.log_in(await desk.settings(), way="oauth1", paste=paste)
    assert done.complete
    assert len(desk.shown) == 3


async def test_a_typed_pin_ends_a_login_and_stands_in_no_line(desk: Desk) -> None:
    pins: list[str] = []

    async def type_in(prompt: str) -> str:
        pins.append("what?" if not pins else await desk.agree())
        return pins[-1]

    done = await desk.log_in(await desk.settings(), way="pin", ask_pin=type_in)
    assert done.login.account.username == "greeter"
    assert len(pins) == 2
    assert pins[1] not in " ".join([*desk.said, *desk.shown])
    assert desk.authorized[0].credential == "UserToken"


async def test_a_person_who_types_no_pin_at_all_is_asked_five_times(desk: Desk) -> None:
    async def type_in(prompt: str) -> str:
        return "no"

    with pytest.raises(AuthError, match="No PIN was typed"):
        await desk.log_in(await desk.settings(), way="pin", ask_pin=type_in)
    assert len(desk.shown) == 6


async def test_a_level_that_is_too_low_for_the_bot_is_told_with_its_cure(desk: Desk) -> None:
    desk.app.level = "read"

    async def type_in(prompt: str) -> str:
        return await desk.agree()

    done = await desk.log_in(await desk.settings(), way="pin", ask_pin=type_in)
    assert not done.complete
    assert "Read and write" in done.proofs[0].cure


async def test_console_tokens_are_taken_over_and_the_handlers_run(desk: Desk) -> None:
    pair = desk.world.oauth1_tokens.issue(desk.app, desk.user.id)
    given = TokenPair(token=Secret(pair.token), token_secret=Secret(pair.secret))
    done = await desk.take_over(given)
    assert done.complete
    assert desk.authorized[0].gen == 1
    desk.world.oauth1_tokens.end(pair)
    with pytest.raises(InvalidGrant):
        await desk.take_over(given)
    (row,) = await desk.store.credentials.listing()
    assert row.gen == 1


async def test_a_store_of_another_x_takes_no_console_token_and_no_bearer(desk: Desk) -> None:
    elsewhere = await desk.settings(BOTKIT_X__API_URL="http://127.0.0.1:8123")
    await desk.app_only(await desk.settings())
    with pytest.raises(ConfigError, match=r"The login of app 'default' in this store") as refused:
        await desk.app_only(elsewhere)
    assert refused.value.hint.endswith("botkit setup --app-only")
    pair = desk.world.oauth1_tokens.issue(desk.app, desk.user.id)
    given = TokenPair(token=Secret(pair.token), token_secret=Secret(pair.secret))
    await desk.take_over(given)
    rows = await desk.store.credentials.listing()
    for way in (desk.take_over(given, elsewhere), desk.app_only(elsewhere)):
        with pytest.raises(ConfigError, match=r"The login of @greeter in this store") as refused:
            await way
        assert refused.value.hint.endswith("botkit setup --account greeter")
    assert await desk.store.credentials.listing() == rows


async def test_the_apps_bearer_is_fetched_proven_and_kept_sealed(desk: Desk) -> None:
    done = await desk.app_only(await desk.settings(), bot=desk.bot)
    (row,) = await desk.store.credentials.listing()
    assert done.row == row
    assert (row.kind, row.account_id) == (CredentialKind.APP_ONLY, "")
    assert desk.app.bearer.encode() not in row.sealed
    assert desk.app.bearer not in " ".join(desk.said)
    (event,) = desk.authorized
    assert (event.account_id, event.username, event.credential) == ("", "", "BearerToken")

    desk.world.grants.renew_bearer(desk.app)  # invalidated: the kept one is dead
    again = await desk.app_only(await desk.settings())
    assert again.row.gen == 2


async def test_a_bearer_of_the_settings_is_proven_and_not_stored(desk: Desk) -> None:
    given = await desk.settings(BOTKIT_APP__BEARER_TOKEN=desk.app.bearer)
    assert (await desk.app_only(given)).row is None
    assert await desk.store.credentials.listing() == []
    dead = await desk.settings(BOTKIT_APP__BEARER_TOKEN="AAAAdead")
    with pytest.raises(InvalidClient, match="does not take the bearer") as refused:
        await desk.app_only(dead)
    assert "bearer_token" in refused.value.hint


async def test_a_wrong_key_or_an_x_that_is_down_stores_nothing(desk: Desk) -> None:
    wrong = await desk.settings(BOTKIT_APP__API_SECRET="another")
    with pytest.raises(InvalidClient):
        await desk.app_only(wrong)
    desk.server.faults.unavailable("GET /2/usage/tweets", times=None)
    with pytest.raises(ServerError):
        await desk.app_only(await desk.settings())
    assert desk.authorized == []


async def test_what_is_missing_is_named_before_any_network(desk: Desk) -> None:
    bare = await asyncio.to_thread(load_settings, environ={}, folder=desk.folder)
    with pytest.raises(ConfigError, match="api_key and api_secret"):
        check_app_only(bare, "default")
    with pytest.raises(ConfigError) as missing:
        check_settings(bare, SetupOptions(way="pin"))
    assert len(missing.value.problems) == 2
    assert "BOTKIT_APP__API_SECRET_FILE" in str(missing.value)
    localhost = await desk.settings(BOTKIT_APP__REDIRECT_URI="http://localhost:1/callback")
    with pytest.raises(ConfigError, match="loopback-literal"):
        check_settings(localhost, SetupOptions(way="oauth1"))
    assert check_settings(localhost, SetupOptions(way="pin")) == []
    with pytest.raises(ConfigError, match="--headless"):
        check_settings(await desk.settings(), SetupOptions(way="oauth1"))


async def test_a_callback_that_is_not_registered_names_the_rule(desk: Desk) -> None:
    async def paste(prompt: str) -> str:
        raise AssertionError("nothing is asked for")

    settings = await desk.settings(BOTKIT_APP__REDIRECT_URI=f"{CALLBACK}/")
    with pytest.raises(ConfigError, match="exact-match"):
        await desk.log_in(settings, way="oauth1", paste=paste)
    assert desk.shown == []
