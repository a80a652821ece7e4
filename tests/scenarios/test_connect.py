"""Accounts log in by invitation at a running bot: through real sockets, and whatever goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from msgspec.structs import replace

from botkit import Account, Actions, Authorized, Bot, Mention
from botkit.bot.compose import open_runtime
from botkit.errors import ConfigError, StoreUnavailable
from botkit.sandbox.world.grants import App, Grant
from botkit.sandbox.x.listener import open_server
from botkit.storage import open_store
from botkit.system import SystemClock
from tests.scenarios.connecting import Browser, Stage

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_server() as opened:
        for name in ("greeter", "helper", "ada"):
            opened.world.add_user(name)
        yield Stage(opened, tmp_path)


@pytest.fixture
async def browser(stage: Stage) -> AsyncIterator[Browser]:
    async with stage.browser() as opened:
        yield opened


class Seen:
    """What the bot's handlers were told."""

    def __init__(self) -> None:
        self.authorized: asyncio.Queue[Authorized] = asyncio.Queue()
        self.mentions: asyncio.Queue[str] = asyncio.Queue()


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def bot(seen: Seen) -> Bot:
    bot = Bot("shop")

    @bot.on(Mention)
    async def greet(mention: Mention, act: Actions) -> None:
        await act.reply(mention, f"Hello @{mention.author.username}!")
        seen.mentions.put_nowait(mention.account_id)

    @bot.on(Authorized)
    async def note(event: Authorized) -> None:
        seen.authorized.put_nowait(event)

    return bot


async def test_a_bot_without_accounts_takes_two_on_and_answers_for_both(
    stage: Stage, bot: Bot, seen: Seen, browser: Browser
) -> None:
    async with stage.running(bot) as running:
        for name in ("greeter", "helper"):
            made = await stage.invite(name)
            assert made.callback_url == stage.app.redirect_uris[0]
            page = await browser.log_in(made.link, name)
            assert (page.status, page.title) == (200, "The account is authorized")
            assert f"@{name}" in page.body
            assert "acts for it from now on" in page.body
            event = await seen.authorized.get()
            assert (event.username, event.source, event.gen) == (name, "connect", 1)
            assert await stage.state(made.invitation.id) == "used"
        assert [account.username for account in running.accounts] == ["greeter", "helper"]
        ada = stage.world.user("ada")
        for name in ("greeter", "helper"):
            while running.reports.current.get(f"mentions/{name}") is None:
                await SystemClock().sleep(0.01)
            stage.world.add_post(ada.id, f"@{name} hello")
            for source in running.account_joins.listening.beside["default"]:
                source.poke()
            assert await seen.mentions.get() == stage.world.user(name).id
    assert stage.exchanges() == ["taken", "taken"]


async def test_a_new_login_of_a_known_account_is_used_at_once(
    stage: Stage, bot: Bot, seen: Seen, browser: Browser
) -> None:
    async with stage.running(bot) as running:
        await browser.log_in((await stage.invite()).link, "greeter")
        account = stage.world.user("greeter").id
        before = await running.x.keeper.access_token(account)
        await running.x.keeper.mark_dead(account, "revoked on X")
        assert running.http is not None
        made = await stage.invite("greeter")
        page = await browser.get(made.link)
        assert "@greeter has a login here already" in page.body
        await browser.log_in(made.link, "greeter")
        assert await running.x.keeper.access_token(account) != before
        assert (await seen.authorized.get()).gen == 1
        assert (await seen.authorized.get()).gen == 2
        assert len(running.accounts) == 1


async def test_opening_the_link_in_any_way_costs_nothing(
    stage: Stage, bot: Bot, browser: Browser
) -> None:
    async with stage.running(bot):
        made = await stage.invite()
        for _ in range(3):
            page = await browser.get(made.link + "&utm_source=chat")
            assert page.status == 200
            assert "Set-Cookie" not in page.headers
        async with browser.http.head(made.link) as answer:
            assert (answer.status, await answer.read()) == (200, b"")
        assert await stage.state(made.invitation.id) == "open"
        assert stage.exchanges() == []


async def test_two_equal_callbacks_at_once_are_one_exchange(
    stage: Stage, bot: Bot, browser: Browser
) -> None:
    async with stage.running(bot):
        back = await browser.decide(await browser.begin((await stage.invite()).link), "greeter")
        pages = await asyncio.gather(*(browser.get(back) for _ in range(5)))
        assert min(page.status for page in pages) == 200
        assert [page.status for page in pages].count(200) == 1
        assert (await browser.get(back)).status == 400
        assert stage.exchanges() == ["taken"]


async def test_of_two_tabs_the_later_one_wins(stage: Stage, bot: Bot, browser: Browser) -> None:
    async with stage.running(bot):
        made = await stage.invite()
        first, second = await browser.begin(made.link), await browser.begin(made.link)
        early = await browser.get(await browser.decide(first, "greeter"))
        assert (early.status, early.title) == (400, "No login is waiting for this")
        late = await browser.get(await browser.decide(second, "greeter"))
        assert late.status == 200
        assert stage.exchanges() == ["taken"]


async def test_another_browser_neither_begins_in_between_nor_ends_it(
    stage: Stage, bot: Bot, browser: Browser
) -> None:
    async with stage.running(bot), stage.browser() as other:
        made = await stage.invite()
        back = await browser.decide(await browser.begin(made.link), "greeter")
        refused = await other.press(await other.get(made.link))
        assert (refused.status, refused.title) == (
            409,
            "A login with this invitation is under way",
        )
        foreign = await other.get(back)
        assert foreign.title == "This login was begun in another browser"
        assert stage.exchanges() == []
        assert (await browser.get(back)).status == 200


async def test_a_killed_bot_says_to_open_the_link_again_and_it_is_still_good(
    stage: Stage, bot: Bot, browser: Browser
) -> None:
    made = await stage.invite()
    async with stage.running(bot) as running:
        back = await browser.decide(await browser.begin(made.link), "greeter")
        running.crash()
    async with stage.running(bot):
        gone = await browser.get(back)
        assert (gone.status, gone.title) == (400, "No login is waiting for this")
        assert "still good" in gone.body
        assert stage.exchanges() == []
        async with stage.browser() as other:
            assert (await other.log_in(made.link, "greeter")).status == 200
        assert await stage.state(made.invitation.id) == "used"


async def test_who_declines_may_open_the_link_again(
    stage: Stage, bot: Bot, browser: Browser
) -> None:
    async with stage.running(bot):
        made = await stage.invite()
        back = await browser.decide(await browser.begin(made.link), "greeter", "cancel")
        assert (await browser.get(back)).title == "Authorization was declined"
        assert await stage.state(made.invitation.id) == "open"
        assert (await browser.log_in(made.link, "greeter")).status == 200


async def test_another_account_than_the_invited_one_is_not_stored(
    stage: Stage, bot: Bot, browser: Browser
) -> None:
    async with stage.running(bot) as running:
        made = await stage.invite("helper")
        wrong = await browser.log_in(made.link, "greeter")
        assert (wrong.status, wrong.title) == (409, "That is another account")
        assert await stage.state(made.invitation.id) == "open"
        assert running.accounts == ()
        assert (await browser.log_in(made.link, "helper")).status == 200


async def test_an_invitation_that_was_taken_back_ends_a_login_before_it_is_stored(
    stage: Stage, bot: Bot, browser: Browser
) -> None:
    async with stage.running(bot) as running:
        made = await stage.invite()
        back = await browser.decide(await browser.begin(made.link), "greeter")
        assert await stage.revoke(made.invitation.id)
        for page in (await browser.get(back), await browser.get(made.link)):
            assert (page.status, page.title) == (410, "This invitation was taken back")
        assert running.accounts == ()
        assert stage.exchanges() == []


async def test_x_that_does_not_take_the_code_leaves_the_invitation_good(
    stage: Stage, bot: Bot, browser: Browser
) -> None:
    async with stage.running(bot):
        made = await stage.invite()
        stage.x.server.faults.lose_answer("POST /2/oauth2/token")
        lost = await browser.log_in(made.link, "greeter")
        assert (lost.status, lost.title) == (502, "The login could not be finished")
        assert await stage.state(made.invitation.id) == "open"
        assert (await browser.log_in(made.link, "greeter")).status == 200


async def test_an_account_that_is_set_up_beside_the_bot_joins_too(
    stage: Stage, bot: Bot, browser: Browser
) -> None:
    async with stage.running(bot) as running:
        await browser.log_in((await stage.invite()).link, "greeter")
        settings, helper = await stage.settings(), stage.world.user("helper").id
        async with open_store(settings.store_url, clock=SystemClock()) as store:
            (row,) = await store.credentials.listing()
            rows = running.x.keeper.context.rows
            theirs = replace(row, account_id=helper, user_id=helper, username="helper")
            await store.accounts.put(Account(id=helper, username="helper"))
            await store.credentials.replace(rows.sealed(theirs, rows.open(row)))
        while len(running.accounts) < 2:
            await SystemClock().sleep(0.01)
        assert running.accounts[1].username == "helper"


async def test_with_an_account_in_the_settings_only_that_one_may_log_in(
    stage: Stage, bot: Bot, browser: Browser
) -> None:
    stage.environ["BOTKIT_BOT__ACCOUNT"] = "greeter"
    async with stage.running(bot) as running:
        made = await stage.invite()
        assert "@greeter" in (await browser.get(made.link)).body
        assert (await browser.log_in(made.link, "helper")).status == 409
        assert (await browser.log_in(made.link, "greeter")).status == 200
        assert [account.username for account in running.accounts] == ["greeter"]


async def test_readyz_says_how_it_is_without_a_name(
    stage: Stage, bot: Bot, browser: Browser
) -> None:
    async with stage.running(bot) as running:
        assert (await browser.get(f"{stage.url}/healthz")).body == '{"status":"alive"}\n'
        assert (await browser.get(f"{stage.url}/readyz")).status == 200
        await browser.log_in((await stage.invite()).link, "greeter")
        account = stage.world.user("greeter").id
        while (page := await browser.get(f"{stage.url}/readyz")).status == 503:
            await SystemClock().sleep(0.01)
        assert '"OK":1' in page.body
        await running.x.keeper.mark_dead(account, "revoked on X")
        page = await browser.get(f"{stage.url}/readyz")
        assert page.status == 503
        assert "no login works" in page.body
        assert "greeter" not in page.body
        assert account not in page.body


async def test_what_is_missing_is_said_before_anything_is_opened(stage: Stage, bot: Bot) -> None:
    stage.environ.pop("BOTKIT_APP__CLIENT_ID")
    stage.environ.pop("BOTKIT_APP__CLIENT_SECRET")
    with pytest.raises(ConfigError) as refused:
        async with stage.running(bot):
            pass
    assert [problem.split()[1] for problem in refused.value.problems] == [
        "client_id",
        "client_secret",
    ]


async def test_a_taken_port_is_named_before_the_bot_runs(stage: Stage, bot: Bot) -> None:
    stage.environ["BOTKIT_HTTP__PORT"] = str(urlsplit(stage.x.url).port)
    with pytest.raises(ConfigError, match=r"is taken by .* \(process \d+\)"):
        async with stage.running(bot):
            pass


async def test_a_bot_that_acts_for_nobody_is_no_error_only_with_invitations(
    stage: Stage, bot: Bot
) -> None:
    stage.environ["BOTKIT_CONNECT__ON"] = "false"
    settings = await stage.settings()
    async with open_store(settings.store_url, clock=SystemClock()) as store:
        with pytest.raises(ConfigError, match="No account is authorized yet"):
            async with open_runtime(bot.plan, settings, store=store):
                pass


async def test_an_expired_invitation_says_so(stage: Stage, bot: Bot, browser: Browser) -> None:
    async with stage.running(bot):
        made = await stage.invite(life_s=-timedelta(seconds=1).total_seconds())
        page = await browser.get(made.link)
        assert (page.status, page.title) == (410, "This invitation has expired")
        assert "Ask the bot" in page.body


async def test_a_stored_login_is_no_failure_when_the_bot_cannot_take_it_up(
    stage: Stage, bot: Bot, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage.running(bot) as running:

        async def listing() -> None:
            raise StoreUnavailable("disk full")

        made = await stage.invite()
        back = await browser.decide(await browser.begin(made.link), "greeter")
        monkeypatch.setattr(running.account_joins.x.store.accounts, "listing", listing)
        page = await browser.get(back)
        assert (page.status, page.title) == (200, "The account is authorized")
        assert "tell its operator to restart it" in page.body
        assert await stage.state(made.invitation.id) == "used"


async def test_what_x_did_not_grant_is_said_and_the_bot_leaves_the_account_alone(
    stage: Stage, bot: Bot, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = stage.world.grants.grant

    def narrow(app: App, user_id: str, scopes: Sequence[str]) -> Grant:
        return plain(app, user_id, [scope for scope in scopes if scope != "tweet.write"])

    monkeypatch.setattr(stage.world.grants, "grant", narrow)
    async with stage.running(bot) as running:
        page = await browser.log_in((await stage.invite()).link, "greeter")
        assert page.status == 200
        assert "Not granted" in page.body
        assert "does not act for it" in page.body
        assert running.accounts == ()
        account = stage.world.user("greeter").id
        assert running.reports.current[f"account/{account}"].state == "stopped"
