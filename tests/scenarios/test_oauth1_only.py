"""A bot whose account has an OAuth 1.0a login only: it polls, and signs what it writes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from botkit import Bot
from botkit.client.signin.attempt import LoginWish
from botkit.client.signin.oauth1_attempt import adopt_pair
from botkit.config import Settings
from botkit.errors import LevelTooLow
from botkit.model.tokens import Secret, TokenPair
from botkit.protocol.oauth.oauth1_flow import PIN_CALLBACK
from botkit.sandbox import Sandbox
from tests.scenarios.logins import surroundings_of


async def test_it_hears_by_polling_and_answers(sandbox: Sandbox, bot: Bot) -> None:
    ada = sandbox.user("ada")
    async with sandbox.running(bot, scopes=(), oauth1=True) as process:
        home = process.home
        assert any("OAuth 1.0a" in why for why in process._runtime.sources.values())
        await ada.posts("@greeter hello")
        await sandbox.advance(timedelta(seconds=20))
        await sandbox.settle()
    assert sandbox.replies_to(ada) == ["Hello @ada!"]
    assert sandbox.server.activity.open_streams(home.app.id) == 0
    assert sandbox.world.grants.of_user(home.user.id) == []


async def test_a_level_that_is_too_low_is_told_before_the_first_write(
    sandbox: Sandbox, bot: Bot
) -> None:
    plain = sandbox.world.grants.add_app

    def with_read_only(*args: object, **kwargs: object) -> object:
        app = plain(*args, **kwargs)  # type: ignore[arg-type]
        app.level = "read"
        return app

    sandbox.world.grants.add_app = with_read_only  # type: ignore[method-assign,assignment]
    with pytest.raises(LevelTooLow, match="read") as refused:
        async with sandbox.running(bot, scopes=(), oauth1=True):
            pass
    assert "Read and write" in refused.value.cure


async def test_an_account_that_only_polls_has_no_part_in_the_stream_of_its_app(
    sandbox: Sandbox, bot: Bot
) -> None:
    async with sandbox.running(bot, oauth1=True) as process:
        home = process.home
        other = sandbox.world.add_user("other")
        pair = sandbox.world.oauth1_tokens.issue(home.app, other.id)
        async with surroundings_of(sandbox, process) as context:
            wish = LoginWish(redirect_uri=PIN_CALLBACK, scopes=())
            tokens = TokenPair(token=Secret(pair.token), token_secret=Secret(pair.secret))
            await adopt_pair(context, wish, tokens)
    everyone = home.settings

    def for_all() -> Settings:
        settings = everyone()
        return settings.model_copy(
            update={"bot": settings.bot.model_copy(update={"account": None})}
        )

    home.settings = for_all  # type: ignore[method-assign]
    ada = sandbox.user("ada")
    async with sandbox.running(bot) as process:
        await ada.posts("@greeter hello")
        await ada.posts("@other hello")
        await sandbox.advance(timedelta(seconds=20))
        await sandbox.settle()
        await process._runtime.runtime._reports.flush()
        reports = {each.part: each for each in await process.store.progress.reports()}
    assert sorted(sandbox.replies_to(ada)) == ["Hello @ada!", "Hello @ada!"]
    assert reports["activity/default"].detail == ""
