"""The one-time authorization, with a person who consents, declines, or is somebody else."""

from __future__ import annotations

import asyncio
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from botkit import Actions, Authorized, Bot, Mention
from botkit.errors import (
    AuthorizationDenied,
    ConfigError,
    StoreUnavailable,
    VaultKeyError,
    WrongAccount,
)
from botkit.leases.lease import Lease
from botkit.model.records import EventState
from botkit.model.tokens import CredentialKind
from botkit.system import SystemClock
from botkit.wizard.setup import SetUp, SetupOptions, check_settings, set_up


@pytest.fixture
def bot() -> Bot:
    bot = Bot("greeter")

    @bot.on(Mention)
    async def greet(mention: Mention, act: Actions) -> None:
        await act.reply(mention, "Hello")

    return bot


async def authorize(desk: Any, bot: Bot | None, **asked: Any) -> SetUp:
    settings = await asyncio.to_thread(desk.settings)
    done = await set_up(
        settings,
        desk.store,
        bot,
        SetupOptions(**asked),
        show=desk.read if "paste" in asked else desk.show,
        tell=desk.told.append,
        transport=desk.transport,
    )
    await asyncio.gather(*desk.visits)  # the browser has read the last page
    return done


def told(desk: Any, words: str) -> str:
    """The one line that holds these words."""
    (line,) = [line for line in desk.told if words in line]
    return str(line)


async def test_the_account_is_stored_sealed_and_everything_is_proven(desk, bot):
    done = await authorize(desk, bot)

    assert done.complete
    assert [proof.what for proof in done.proofs] == ["access", "stream"]
    assert all(proof.fine for proof in done.proofs)
    assert done.login.account.username == "greeter"
    (row,) = await desk.store.credentials.listing()
    grant = desk.world.grants.of_user(done.login.account.id)[0]
    assert desk.world.grants.newest_access(grant).encode() not in row.sealed
    assert told(desk, "listening on").startswith(f"listening on {desk.callback}, asking for")
    line = told(desk, "authorized,")
    assert "refresh token kept sealed, access token good for 2 h 00 m" in line
    assert "The account is authorized" in desk.pages[0]
    assert "@greeter" in desk.pages[0]
    assert len(desk.shown) == 1


async def test_a_store_of_another_x_is_refused_before_an_address_is_shown(desk, bot):
    await authorize(desk, bot)
    before = await desk.store.credentials.listing()
    desk.shown.clear()
    desk.environ["BOTKIT_X__API_URL"] = "http://127.0.0.1:8123"

    with pytest.raises(ConfigError, match=r"it came from https://api\.x\.com") as refused:
        await authorize(desk, bot)
    assert "a store of its own" in refused.value.hint
    with pytest.raises(ConfigError, match=r"it came from https://api\.x\.com"):
        await authorize(desk, bot, account="greeter", confirmed=True)

    assert desk.shown == []
    assert await desk.store.credentials.listing() == before


async def test_only_what_the_bot_needs_is_asked_for(desk, bot):
    await authorize(desk, bot)

    (grant,) = desk.world.grants.of_user(desk.world.user("greeter").id)
    assert set(grant.scopes) == {"tweet.read", "tweet.write", "users.read", "offline.access"}


async def test_without_a_bot_the_scopes_of_a_plain_one_are_asked_for_and_that_is_said(desk):
    done = await authorize(desk, None)

    assert done.complete
    assert "no bot is named" in desk.told[0]


async def test_what_authorized_handlers_return_or_raise_is_shown_in_terminal_and_browser(desk):
    bot = Bot("greeter")
    seen: list[Authorized] = []

    @bot.on(Authorized)
    async def welcome(event: Authorized, act: Actions) -> str:
        seen.append(event)
        post = await act.post("I am here.")
        return f"said so in {post.id}"

    await authorize(desk, bot)

    (event,) = seen
    (post,) = desk.world.posts_by(event.account_id)
    assert (event.username, event.credential, event.gen) == (
        "greeter",
        "OAuth2UserToken",
        1,
    )
    assert told(desk, "welcome").endswith(f"welcome: said so in {post.id}")
    assert f"said so in {post.id}" in desk.pages[0]
    (stored,) = await desk.store.events.listing()
    assert stored.state is EventState.DONE


async def test_an_authorized_handler_that_raises_does_not_undo_the_login(desk):
    bot = Bot("greeter")

    @bot.on(Authorized)
    async def welcome(event: Authorized) -> None:
        raise ValueError("the <b>model</b> is asleep")

    done = await authorize(desk, bot)

    assert done.complete
    assert told(desk, "welcome").endswith("ValueError: the <b>model</b> is asleep")
    assert "&lt;b&gt;model" in desk.pages[0]
    (stored,) = await desk.store.events.listing()
    assert stored.state is EventState.WAITING  # the running bot tries again


async def test_handlers_that_the_store_keeps_from_running_do_not_undo_the_login(desk, monkeypatch):
    bot = Bot("greeter")

    @bot.on(Authorized)
    async def welcome(event: Authorized) -> None: ...

    async def refused(*context: Any, **options: Any) -> None:
        raise StoreUnavailable("The disk is full.")

    monkeypatch.setattr("botkit.wizard.setup.run_authorized", refused)
    done = await authorize(desk, bot)

    assert done.complete
    assert "The disk is full." in told(desk, "not run to their end")
    assert "The account is authorized" in desk.pages[0]


async def test_an_authorized_handler_that_returns_nothing_is_done(desk):
    bot = Bot("greeter")

    @bot.on(Authorized)
    async def welcome(event: Authorized) -> None:
        return

    await authorize(desk, bot)

    assert told(desk, "welcome").endswith("welcome: done")


async def test_a_person_who_declines_changes_nothing(desk, bot):
    desk.decision = "cancel"

    with pytest.raises(AuthorizationDenied):
        await authorize(desk, bot)

    assert await desk.store.accounts.listing() == []
    assert await desk.store.credentials.listing() == []
    await asyncio.gather(*desk.visits)
    assert "declined" in desk.pages[0]


async def test_somebody_else_than_the_wished_account_is_refused_and_nothing_is_stored(desk, bot):
    desk.world.add_user("ada")
    desk.who = "ada"

    with pytest.raises(WrongAccount, match="ada"):
        await authorize(desk, bot, account="@greeter")

    assert await desk.store.credentials.listing() == []


async def test_the_login_of_another_known_account_is_kept_and_the_page_says_so(desk, bot):
    first = await authorize(desk, bot)
    desk.world.add_user("ada")

    with pytest.raises(WrongAccount, match="@ada was wanted; the new login of @greeter was kept"):
        await authorize(desk, bot, account="ada")
    await asyncio.gather(*desk.visits)

    assert "its new one was kept for it" in desk.pages[-1]
    assert "@greeter" in desk.pages[-1]
    assert "Nothing was stored" not in desk.pages[-1]
    (row,) = await desk.store.credentials.listing()
    assert (row.account_id, row.gen) == (first.login.account.id, 2)


async def test_a_browser_that_is_somebody_else_adds_no_account_unasked(desk, bot):
    await authorize(desk, bot)
    desk.world.add_user("ada")
    desk.who = "ada"

    with pytest.raises(WrongAccount, match=r"@ada .* this store acts for @greeter; nothing"):
        await authorize(desk, bot, adds=False)
    assert len(await desk.store.accounts.listing()) == 1
    await authorize(desk, bot, adds=True)
    assert len(await desk.store.accounts.listing()) == 2


@pytest.mark.parametrize("name", ["Greeter", "@greeter", "shop"])
async def test_a_second_setup_says_what_it_ends_and_gives_the_next_generation(desk, bot, name):
    first = await authorize(desk, bot)
    await desk.store.accounts.rename(first.login.account.id, "shop")
    desk.told.clear()

    done = await authorize(desk, bot, account=name)

    assert done.login.row.gen == 2
    assert "X ends the old login" in told(desk, "has a login through this app")


async def test_another_account_is_no_reason_to_warn(desk, bot):
    await authorize(desk, bot)
    desk.told.clear()
    desk.world.add_user("other")
    desk.who = "other"

    await authorize(desk, bot, account="other", confirmed=True)

    assert [line for line in desk.told if "has a login" in line] == []
    assert len(await desk.store.accounts.listing()) == 2


async def test_an_account_without_a_login_is_no_reason_to_warn(desk, bot):
    done = await authorize(desk, bot)
    account = done.login.account
    await desk.store.credentials.remove(account.id, account.app, CredentialKind.OAUTH2)
    desk.told.clear()

    await authorize(desk, bot)

    assert [line for line in desk.told if "has a login" in line] == []


async def test_without_the_streams_credentials_it_says_what_they_would_bring(desk, bot):
    del desk.environ["BOTKIT_APP__BEARER_TOKEN"]

    done = await authorize(desk, bot)

    assert done.complete
    assert [proof.what for proof in done.proofs] == ["access"]
    assert "hears at once" in told(desk, "polls its mentions every 15 s")


async def test_a_bearer_that_is_asked_for_is_kept_and_proven(desk, bot):
    del desk.environ["BOTKIT_APP__BEARER_TOKEN"]

    async def ask(prompt: str) -> str:
        assert "Enter to go on without" in prompt
        return f" {desk.app.bearer}\n"

    done = await authorize(desk, bot, ask_bearer=ask)
    again = await authorize(desk, bot, ask_bearer=_never)

    assert [proof.state for proof in done.proofs] == ["fine", "fine"]
    assert [proof.state for proof in again.proofs] == ["fine", "fine"]
    assert told(desk, "bearer token kept sealed")


async def test_a_bearer_of_another_app_is_said_and_forgotten(desk, bot):
    del desk.environ["BOTKIT_APP__BEARER_TOKEN"]
    other = desk.world.grants.add_app("Other")
    answers = [other.bearer, ""]

    async def ask(prompt: str) -> str:
        return answers.pop(0)

    done = await authorize(desk, bot, ask_bearer=ask)
    again = await authorize(desk, bot, ask_bearer=ask)

    assert done.proofs[1].state == "wrong"
    assert "another app" in done.proofs[1].detail
    assert [proof.what for proof in again.proofs] == ["access"]
    assert answers == []


async def test_a_bearer_that_is_set_is_not_asked_for(desk, bot):
    done = await authorize(desk, bot, ask_bearer=_never)

    assert done.proofs[1].fine


async def _never(prompt: str) -> str:
    raise AssertionError(prompt)


async def test_scopes_that_x_did_not_grant_are_said_and_it_is_not_complete(desk, bot):
    redirect = desk.redirect

    async def less(url: str) -> str:
        return str(await redirect(url.replace("tweet.write+", "").replace("tweet.write%20", "")))

    desk.redirect = less

    done = await authorize(desk, bot)

    assert not done.complete
    assert done.login.missing == ("tweet.write",)
    assert told(desk, "did not grant tweet.write")
    assert done.proofs[0].state == "wrong"
    assert "Not granted" in desk.pages[0]


async def test_by_paste_no_port_is_opened(desk, bot):
    async def paste(prompt: str) -> str:
        place = urlsplit(desk.callback)
        with socket.socket() as probe:
            assert probe.connect_ex((place.hostname, place.port)) != 0
        return str(await desk.redirect(desk.shown[0]))

    done = await authorize(desk, bot, paste=paste)

    assert done.complete
    assert "open the address in any browser" in told(desk, "asking for")


async def test_a_port_that_is_taken_is_said_before_an_address_is_shown(desk, bot):
    place = urlsplit(desk.callback)
    with socket.socket() as taken:
        taken.bind((place.hostname, place.port))
        taken.listen()
        with pytest.raises(ConfigError, match=r"is taken by .* \(process \d+\)"):
            await authorize(desk, bot)
    assert not any("listening" in line for line in desk.told)

    assert desk.shown == []


async def test_with_the_wrong_vault_key_nothing_is_shown(desk, bot):
    await authorize(desk, bot)
    desk.shown.clear()
    desk.environ["BOTKIT_STORE__KEY"] = "ab" * 32

    with pytest.raises(VaultKeyError):
        await authorize(desk, bot)

    assert desk.shown == []


async def test_without_a_key_nothing_is_shown_and_none_is_made(desk, bot, monkeypatch):
    del desk.environ["BOTKIT_STORE__KEY"]
    monkeypatch.setenv("XDG_CONFIG_HOME", str(desk.folder / "config"))

    with pytest.raises(ConfigError, match="no vault key"):
        await authorize(desk, bot)

    assert not list(desk.folder.rglob("*.key"))
    assert desk.shown == []


def test_what_is_missing_is_said_before_a_store_or_a_network(desk):
    del desk.environ["BOTKIT_APP__CLIENT_SECRET"]

    with pytest.raises(ConfigError, match="client_secret is missing"):
        check_settings(desk.settings(), SetupOptions())


def test_settings_that_will_do_pass(desk):
    assert check_settings(desk.settings(), SetupOptions()) == []


async def test_a_login_without_a_refresh_token_is_said(desk):
    bot = Bot("greeter")
    redirect = desk.redirect

    async def less(url: str) -> str:
        plain = url.replace("+offline.access", "").replace("%20offline.access", "")
        return str(await redirect(plain))

    desk.redirect = less

    await authorize(desk, bot)

    assert "NO refresh token" in told(desk, "authorized,")


async def test_a_login_after_one_that_was_removed_is_told_of_too(desk):
    bot = Bot("greeter")
    seen: list[Authorized] = []

    @bot.on(Authorized)
    async def welcome(event: Authorized) -> None:
        seen.append(event)

    done = await authorize(desk, bot)
    assert await desk.store.accounts.remove(done.login.account.id)
    await authorize(desk, bot)

    assert [event.gen for event in seen] == [1, 1]
    assert [event.state for event in await desk.store.events.listing()] == [EventState.DONE] * 2


async def test_without_a_bot_the_event_waits_for_the_one_that_runs(desk):
    await authorize(desk, None)

    (event,) = (await desk.store.events.due(SystemClock().now())).items
    assert event.key.startswith("authorized/OAuth2UserToken/1/")


async def test_a_bot_that_does_not_ask_for_the_event_gets_none(desk, bot):
    await authorize(desk, bot)

    assert await desk.store.events.listing() == []


async def test_handlers_that_another_process_runs_are_left_to_it_and_the_login_stands(desk):
    bot = Bot("greeter")

    @bot.on(Authorized)
    async def welcome(event: Authorized) -> None: ...

    async def lives(name: str) -> bool:
        return True

    account = desk.world.user("greeter").id
    other = Lease(desk.store, SystemClock(), owner="other", name=f"setup:{account}")
    assert await other.try_acquire()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botkit.bot.accounts.authorized.lives", lives)
        done = await authorize(desk, bot)

    assert done.complete
    assert told(desk, "left to botkit run").startswith("Authorized handlers: ")
    (event,) = await desk.store.events.listing()
    assert event.state is EventState.WAITING
