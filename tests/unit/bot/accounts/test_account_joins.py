"""Accounts that come while the bot runs: taken on once, or left alone with a reason said once."""

from __future__ import annotations

import msgspec
import pytest
from structlog.testing import capture_logs

from botkit import Bot, Tick
from botkit.bot.compose import open_runtime
from botkit.bot.compose_client import open_the_vault
from botkit.client.logins.app_tokens import keep_bearer
from botkit.client.logins.login_rows import LoginRows
from botkit.errors import AccessDenied
from botkit.model.tokens import CredentialKind, LoginState, Secret
from botkit.model.users import Account


def ticking() -> Bot:
    bot = Bot("greeter")

    @bot.cron("0 * * * *")
    async def tick(tick: Tick) -> None: ...

    return bot


async def second(place):
    """The first account's login, stored for another account, too."""
    (row,) = await place.store.credentials.listing()
    account = Account(id="77", username="helper")
    await place.store.accounts.put(account)
    return account, msgspec.structs.replace(row, account_id="77", user_id="77", username="helper")


async def test_an_account_joins_when_its_login_is_there_and_only_once(place):
    await place.authorize()
    async with open_runtime(
        ticking().plan, await place.settings(), store=place.store, transport=place.transport
    ) as running:
        account, row = await second(place)
        await running.account_joins.look()
        assert len(running.accounts) == 1
        await place.store.credentials.replace(row)
        with capture_logs() as said:
            running.account_joins.check = allowed
            await running.account_joins.look()
            await running.account_joins.look()
        assert running.accounts[1:] == (account,)
        assert [line["event"] for line in said].count("account.joined") == 1
        assert "mentions/helper" in running.sources
        assert running.account_joins.refusal("77") == ""
        assert await place.store.progress.schedules("77")


async def allowed(account: Account) -> None: ...


async def test_one_that_may_not_do_what_the_bot_does_is_left_alone_and_said_once(place):
    await place.authorize()
    async with open_runtime(
        ticking().plan, await place.settings(), store=place.store, transport=place.transport
    ) as running:
        _, row = await second(place)
        await place.store.credentials.replace(row)

        async def denied(account: Account) -> None:
            raise AccessDenied("may not post", operation="createPosts", have="", need="", cure="")

        running.account_joins.check = denied
        with capture_logs() as said:
            await running.account_joins.look()
            await running.account_joins.look()
        assert len(running.accounts) == 1
        assert [line["event"] for line in said].count("account.not_joined") == 1
        assert running.account_joins.refusal("77") == "may not post"
        assert running.reports.current["account/77"].state == "stopped"
        running.account_joins.check = allowed
        await running.account_joins.look()
        assert len(running.accounts) == 2
        assert running.account_joins.refusal("77") == ""


@pytest.mark.parametrize("named", ["greeter", "@GREETER"])
async def test_with_an_account_in_the_settings_nobody_else_joins(place, named):
    place.environ["BOTKIT_BOT__ACCOUNT"] = named
    await place.authorize()
    async with open_runtime(
        ticking().plan, await place.settings(), store=place.store, transport=place.transport
    ) as running:
        _, row = await second(place)
        await place.store.credentials.replace(row)
        await running.account_joins.look()
        assert len(running.accounts) == 1
        assert "names another account" in running.account_joins.refusal("77")


async def test_one_that_moved_to_an_app_that_the_bot_has_not_is_said_to_need_a_restart(place):
    await place.authorize()
    async with open_runtime(
        ticking().plan, await place.settings(), store=place.store, transport=place.transport
    ) as running:
        (account,) = running.accounts
        await place.store.accounts.put(msgspec.structs.replace(account, app="second"))
        await running.account_joins.look()
        assert "restart the bot" in running.account_joins.refusal(account.id)
        assert running.accounts == (account,)


async def test_one_that_moved_to_another_app_is_heard_and_acted_for_through_it(place):
    second = place.world.grants.add_app("Second", redirect_uris=place.app.redirect_uris)
    place.environ["BOTKIT_APPS__SECOND__CLIENT_ID"] = second.client_id
    place.environ["BOTKIT_APPS__SECOND__CLIENT_SECRET"] = second.client_secret
    first = await place.authorize()
    async with open_runtime(
        ticking().plan, await place.settings(), store=place.store, transport=place.transport
    ) as running:
        keeper = running.x.keeper
        assert set(running.sources) == {"activity/default", "mentions/greeter"}
        moved = await place.authorize(app="second")
        await keeper.reload()
        await running.account_joins.look()
        await running.account_joins.look()
        assert running.accounts == (moved.account,)
        assert set(running.sources) == {"mentions/greeter"}
        assert "'second' has no bearer_token" in running.sources["mentions/greeter"]
        assert running.reports.current["activity/default"].state == "ended"
        (status,) = keeper.statuses()
        assert (status.app, status.gen, status.status) == ("second", 1, LoginState.OK)
        await place.store.accounts.put(first.account)
        await keeper.reload()
        await running.account_joins.look()
        assert set(running.sources) == {"activity/default", "mentions/greeter"}


async def test_an_app_that_gets_its_first_bearer_opens_the_stream(place):
    bearer = place.environ.pop("BOTKIT_APP__BEARER_TOKEN")
    await place.authorize()
    settings = await place.settings()
    async with open_runtime(
        ticking().plan, settings, store=place.store, transport=place.transport
    ) as running:
        keeper = running.x.keeper
        assert set(running.sources) == {"mentions/greeter"}
        await keep_bearer(keeper.context.rows, "default", Secret(bearer), now=place.clock.now())
        await keeper.reload()
        await running.account_joins.look()
        assert set(running.sources) == {"activity/default", "mentions/greeter"}


async def test_a_stream_that_is_wanted_and_lost_its_bearer_is_said_and_the_rest_goes_on(place):
    bearer = Secret(place.environ.pop("BOTKIT_APP__BEARER_TOKEN"))
    place.environ["BOTKIT_BOT__SOURCE"] = "stream"
    await place.authorize()
    settings = await place.settings()
    vault = await open_the_vault(settings, place.store)
    rows = LoginRows(place.store, vault, place.clock)
    await keep_bearer(rows, "default", bearer, now=place.clock.now())
    async with open_runtime(
        ticking().plan, settings, store=place.store, transport=place.transport
    ) as running:
        (account,) = running.accounts
        await place.store.credentials.remove("", "default", CredentialKind.APP_ONLY)
        await running.x.keeper.reload()
        running.account_joins.listening.x.keeper.bearers.can_serve = lambda _: False
        await running.account_joins.look()
        assert "needs the bearer token" in running.account_joins.refusal(account.id)
        assert "activity/default" in running.sources
