"""When the running bot has an HTTP server, and what is said of its place."""

from __future__ import annotations

import aiohttp
import pytest
from structlog.testing import capture_logs

from botkit import Account, Bot, Trigger
from botkit.bot.compose import open_runtime
from botkit.bot.http_server import check_connect, check_hooks
from botkit.errors import ConfigError
from botkit.filters import hook


async def test_without_being_asked_for_nothing_listens(place):
    await place.authorize()
    settings = await place.settings()
    async with open_runtime(
        Bot("greeter").plan, settings, store=place.store, transport=place.transport
    ) as running:
        assert running.http is None


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("0.0.0.0", True)])
async def test_health_is_served_when_it_is_on_and_an_open_address_is_said(place, host, warned):
    await place.authorize()
    place.environ |= {
        "BOTKIT_HTTP__ON": "true",
        "BOTKIT_HTTP__PORT": "0",
        "BOTKIT_HTTP__HOST": host,
    }
    settings = await place.settings()
    with capture_logs() as said:
        async with open_runtime(
            Bot("greeter").plan, settings, store=place.store, transport=place.transport
        ) as running:
            assert running.http is not None
            url = f"http://127.0.0.1:{running.http.port}"
            async with aiohttp.ClientSession(url) as http:
                assert (await http.get("/healthz")).status == 200
                assert (await http.get("/connect")).status == 404
            await running.stop()
            with pytest.raises(aiohttp.ClientConnectionError):
                async with aiohttp.ClientSession(url) as http:
                    await http.get("/healthz")
    words = "http_server.exposed"
    assert (words in {line["event"] for line in said}) is warned


@pytest.mark.parametrize("app", ["default", "second"])
async def test_everything_that_an_app_lacks_is_said_at_once(place, app):
    for name in ("CLIENT_ID", "CLIENT_SECRET"):
        place.environ.pop(f"BOTKIT_APP__{name}")
    place.environ |= {
        "BOTKIT_CONNECT__ON": "true",
        "BOTKIT_CONNECT__PUBLIC_URL": "https://bot.example",
        "BOTKIT_CONNECT__APP": app,
        "BOTKIT_APPS__SECOND__API_KEY": "key",
    }
    with pytest.raises(ConfigError) as refused:
        check_connect(await place.settings())
    section = "app" if app == "default" else "apps.second"
    assert [problem.partition("]")[0] for problem in refused.value.problems] == [f"[{section}"] * 2


async def test_an_address_that_x_would_refuse_is_said(place):
    place.environ |= {
        "BOTKIT_CONNECT__ON": "true",
        "BOTKIT_CONNECT__PUBLIC_URL": "http://127.0.0.2:8080",
    }
    with pytest.raises(ConfigError, match="https-in-production"):
        check_connect(await place.settings())


TOKEN = "a-token-of-sixteen"


async def deliver(port):
    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http,
        http.post(
            "/hooks/shipped",
            json={"order": 7},
            headers={"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": "7"},
        ) as answer,
    ):
        return answer.status


def shop(seen):
    bot = Bot("greeter")

    @bot.on(Trigger, hook("shipped"))
    async def shipped(trigger: Trigger) -> None:
        seen.append(trigger.data)

    return bot


async def test_a_hook_is_served_and_its_trigger_reaches_the_handler(place):
    await place.authorize()
    place.environ |= {"BOTKIT_HTTP__PORT": "0", "BOTKIT_HOOKS__SHIPPED__TOKEN": TOKEN}
    settings = await place.settings()
    seen: list[object] = []
    async with open_runtime(
        shop(seen).plan, settings, store=place.store, transport=place.transport
    ) as running:
        port = running.http.port
        assert await deliver(port) == 202
        assert await deliver(port) == 200
        await running.wait_idle()
        running.runtime._inbox.close()
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
            headers = {"Authorization": f"Bearer {TOKEN}"}
            assert (await http.post("/hooks/shipped", json={}, headers=headers)).status == 503
    assert seen == [{"order": 7}]


@pytest.mark.parametrize(("account", "status"), [("greeter", 202), ("nobody", 503)])
async def test_a_hook_may_name_the_account_that_is_told(place, account, status):
    await place.authorize()
    place.environ |= {
        "BOTKIT_HTTP__PORT": "0",
        "BOTKIT_HOOKS__SHIPPED__TOKEN": TOKEN,
        "BOTKIT_HOOKS__SHIPPED__ACCOUNT": account,
    }
    settings = await place.settings()
    async with open_runtime(
        shop([]).plan, settings, store=place.store, transport=place.transport
    ) as running:
        assert await deliver(running.http.port) == status


async def test_a_hook_that_no_handler_waits_for_is_said(place):
    await place.authorize()
    place.environ |= {"BOTKIT_HTTP__PORT": "0", "BOTKIT_HOOKS__SHIPPED__TOKEN": TOKEN}
    settings = await place.settings()
    with capture_logs() as said:
        async with open_runtime(
            Bot("greeter").plan, settings, store=place.store, transport=place.transport
        ):
            pass
    (line,) = [line for line in said if line["event"] == "hook.without_handler"]
    assert line["hooks"] == ["shipped"]


async def test_hooks_of_a_bot_with_several_accounts_must_say_whose_they_are(place):
    place.environ |= {
        "BOTKIT_HOOKS__A__TOKEN": TOKEN,
        "BOTKIT_HOOKS__B__TOKEN": TOKEN,
        "BOTKIT_HOOKS__B__ACCOUNT": "ada",
    }
    two = [Account(id="1", username="ada"), Account(id="2", username="bob")]
    settings = await place.settings()
    check_hooks(settings, two[:1])
    with pytest.raises(ConfigError, match=r"\[hooks.a\] account is missing") as refused:
        check_hooks(settings, two)
    assert len(refused.value.problems) == 1
    place.environ |= {
        "BOTKIT_CONNECT__ON": "true",
        "BOTKIT_CONNECT__PUBLIC_URL": "https://bot.example",
    }
    with pytest.raises(ConfigError, match="lets them in"):
        check_hooks(await place.settings(), two[:1])
    place.environ["BOTKIT_BOT__ACCOUNT"] = "ada"
    check_hooks(await place.settings(), two)
