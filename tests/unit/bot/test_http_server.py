"""When the running bot has an HTTP server, and what is said of its place."""

from __future__ import annotations

import aiohttp
import pytest
from structlog.testing import capture_logs

from botkit import Bot
from botkit.bot.compose import open_runtime
from botkit.bot.http_server import check_connect
from botkit.errors import ConfigError


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
