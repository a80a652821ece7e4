"""When the running bot has an HTTP server, and what is said of its place."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest
from structlog.testing import capture_logs

from botkit import Account, Bot, Mention, Trigger
from botkit.bot.compose import open_runtime
from botkit.bot.http_server import check_connect, check_hooks, check_webhook
from botkit.errors import ConfigError
from botkit.filters import hook
from botkit.web.webhook.proofs import SIGNATURE, signature_of


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


WEBHOOK = {
    "BOTKIT_HTTP__PORT": "0",
    "BOTKIT_BOT__SOURCE": "webhook",
    "BOTKIT_WEBHOOK__PUBLIC_URL": "https://bot.example/x/deliveries",
    "BOTKIT_APP__API_SECRET": "the-secret-of-now",
    "BOTKIT_WEBHOOK__PREVIOUS_API_SECRET": "the-secret-before",
}


async def deliver_event(http, body, secret="the-secret-of-now"):
    headers = {SIGNATURE: signature_of(secret.encode(), body).decode()}
    async with http.post("/x/deliveries", data=body, headers=headers) as answer:
        return answer.status


def mention_of(user_id):
    entity = {"start": 0, "end": 8, "username": "greeter", "id": user_id}
    payload = {
        "id": "1999999999999999999",
        "author_id": user_id + "7",
        "text": "@greeter hello",
        "created_at": "2999-01-01T00:00:00.000Z",
        "entities": {"mentions": [entity]},
    }
    includes = {"users": [{"id": user_id + "7", "username": "ada", "name": "Ada"}]}
    data = {"event_type": "post.mention.create", "filter": {"user_id": user_id}}
    return json.dumps({"data": {**data, "payload": payload, "includes": includes}}).encode()


async def test_a_webhook_is_served_and_its_events_reach_the_handler_once(place):
    login = await place.authorize()
    place.environ |= WEBHOOK
    settings = await place.settings()
    seen: list[str] = []
    bot = Bot("greeter")

    @bot.on(Mention)
    async def greet(mention: Mention) -> None:
        seen.append(mention.post.text)

    body = mention_of(login.account.id)
    async with (
        open_runtime(bot.plan, settings, store=place.store, transport=place.transport) as running,
        aiohttp.ClientSession(f"http://127.0.0.1:{running.http.port}") as http,
    ):
        assert await deliver_event(http, body) == 200
        assert await deliver_event(http, body, "the-secret-before") == 200
        assert await deliver_event(http, body, "no secret of it") == 401
        assert await deliver_event(http, mention_of("404")) == 403
        await running.wait_idle()
        running.streams.clear()
        assert await deliver_event(http, body) == 503
    assert seen == ["@greeter hello"]


async def test_w5_challenges_are_answered_while_handlers_are_given_time_to_end(place):
    login = await place.authorize()
    place.environ |= WEBHOOK
    settings = await place.settings()
    began, may_end = asyncio.Event(), asyncio.Event()
    bot = Bot("greeter")

    @bot.on(Mention)
    async def greet(mention: Mention) -> None:
        began.set()
        await may_end.wait()

    async with (
        open_runtime(bot.plan, settings, store=place.store, transport=place.transport) as running,
        aiohttp.ClientSession(f"http://127.0.0.1:{running.http.port}") as http,
    ):
        assert await deliver_event(http, mention_of(login.account.id)) == 200
        await began.wait()
        stopping = asyncio.get_running_loop().create_task(running.stop())
        while not running.runtime._inbox._closed:
            assert (await http.get("/x/deliveries?crc_token=a")).status == 200
        assert (await http.get("/x/deliveries?crc_token=a")).status == 200
        assert (await http.get("/healthz")).status == 404
        assert await deliver_event(http, mention_of(login.account.id)) == 503
        may_end.set()
        await stopping
        with pytest.raises(aiohttp.ClientConnectionError):
            await http.get("/x/deliveries?crc_token=a")


async def test_everything_that_a_webhook_lacks_is_said_at_once(place):
    await place.authorize()
    place.environ["BOTKIT_BOT__SOURCE"] = "webhook"
    settings = await place.settings()
    with pytest.raises(ConfigError) as refused:
        check_webhook(settings)
    assert [problem.partition("]")[0] for problem in refused.value.problems] == [
        "[webhook",
        "[app",
    ]
    with pytest.raises(ConfigError, match="public_url is missing"):
        async with open_runtime(Bot("greeter").plan, settings, store=place.store):
            pass
