"""A bot whose account has an OAuth 1.0a login only: it polls, and signs what it writes."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from botkit import Bot
from botkit.bot.assembly import apps_of, open_the_vault
from botkit.client.login import LoginWish
from botkit.client.login1 import OAuth1Attempt
from botkit.client.surroundings import Surroundings
from botkit.config import Settings
from botkit.errors import LevelTooLow
from botkit.sandbox import Sandbox
from botkit.sandbox.clock import SeededEntropy
from botkit.sandbox.gates import threads_counted
from botkit.sandbox.http import Call
from botkit.sandbox.running import Home
from botkit.sandbox.transport import SandboxTransport
from botkit.storage import open_store


class SigningHome(Home):
    """A home whose settings hold the app's key and secret too."""

    def settings(self) -> Settings:
        settings = super().settings()
        assert settings.app is not None
        keys = {"api_key": self.app.api_key, "api_secret": SecretStr(self.app.api_secret)}
        return settings.model_copy(update={"app": settings.app.model_copy(update=keys)})


async def authorize(sandbox: Sandbox, folder: Path) -> Home:
    """What `botkit setup --oauth1` does, with a person who agrees."""
    home = SigningHome(sandbox.server, folder / "greeter", username="greeter")
    sandbox._homes["greeter"] = home
    settings = await asyncio.to_thread(home.settings)
    with threads_counted(sandbox.clock):
        async with open_store(home.store_url, clock=sandbox.clock) as store:
            around = Surroundings(
                store=store,
                vault=await open_the_vault(settings, store),
                transport=SandboxTransport(sandbox.server, sandbox.clock),
                clock=sandbox.clock,
                entropy=SeededEntropy("oauth1"),
                apps=apps_of(settings),
            )
            wish = LoginWish(redirect_uri=home.app.redirect_uris[0], scopes=())
            attempt = await OAuth1Attempt.begin(around, wish)
            page = Call.of("GET", attempt.url)
            fields = {"as": "greeter", "decision": "authorize"}
            answer = await sandbox.server.handle(
                Call(method="POST", path=page.path, query=(*page.query, *fields.items()))
            )
            await attempt.finish(urlsplit(answer.headers["location"]).query)
    return home


async def test_it_hears_by_polling_and_answers(sandbox: Sandbox, bot: Bot, tmp_path: Path) -> None:
    home = await authorize(sandbox, tmp_path)
    ada = sandbox.user("ada")
    async with sandbox.running(bot, scopes=()) as process:
        assert any("OAuth 1.0a" in why for why in process._runtime.sources.values())
        await ada.posts("@greeter hello")
        await sandbox.advance(timedelta(seconds=20))
        await sandbox.settle()
    assert sandbox.replies_to(ada) == ["Hello @ada!"]
    assert sandbox.server.activity.open_streams(home.app.id) == 0
    assert sandbox.world.grants.of_user(home.user.id) == []


async def test_a_level_that_is_too_low_is_told_before_the_first_write(
    sandbox: Sandbox, bot: Bot, tmp_path: Path
) -> None:
    plain = sandbox.world.grants.add_app

    def with_read_only(*args: object, **kwargs: object) -> object:
        app = plain(*args, **kwargs)  # type: ignore[arg-type]
        app.level = "read"
        return app

    sandbox.world.grants.add_app = with_read_only  # type: ignore[method-assign,assignment]
    await authorize(sandbox, tmp_path)
    with pytest.raises(LevelTooLow, match="read") as refused:
        async with sandbox.running(bot, scopes=()):
            pass
    assert "Read and write" in refused.value.cure
