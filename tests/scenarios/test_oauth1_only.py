"""A bot whose account has an OAuth 1.0a login only: it polls, and signs what it writes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from botkit import Bot
from botkit.errors import LevelTooLow
from botkit.sandbox import Sandbox


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
