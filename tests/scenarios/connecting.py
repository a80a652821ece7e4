"""A bot that lets accounts in by invitation, a simulated X on a socket, and people with browsers."""

from __future__ import annotations

import asyncio
import base64
import html
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp

from botkit import Bot
from botkit.bot.accounts.invite import Invited, invite
from botkit.bot.bot_runtime import BotRuntime
from botkit.bot.compose import open_runtime
from botkit.bot.compose_client import open_the_vault
from botkit.config import Settings, load_settings
from botkit.runtime.life.lifecycle import RuntimePace
from botkit.sandbox.x.listener import OpenServer
from botkit.storage import open_store
from botkit.system import SystemClock, SystemEntropy


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class Page:
    """What a browser shows."""

    def __init__(self, answer: aiohttp.ClientResponse, body: str) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self.body = body

    @property
    def title(self) -> str:
        return _found(r"<h1[^>]*>(.*?)</h1>", self.body)

    @property
    def fields(self) -> dict[str, str]:
        """The form's hidden fields."""
        return dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', self.body))

    @property
    def onward(self) -> str:
        """Where the page sends the browser."""
        return html.unescape(_found(r'content="0; url=([^"]+)"', self.body))


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found is not None, text
    return found[1]


class Browser:
    """A person's browser, with its own cookies, logged in to X as somebody."""

    def __init__(self, stage: Stage, session: aiohttp.ClientSession) -> None:
        self.stage = stage
        self.http = session

    async def get(self, url: str, **more: Any) -> Page:
        async with self.http.get(url, allow_redirects=False, **more) as answer:
            return Page(answer, await answer.text())

    async def press(self, page: Page, **more: Any) -> Page:
        """Press the button of an invitation's page."""
        return await self.post(page.fields, **more)

    async def post(self, data: Any, **more: Any) -> Page:
        headers = {"Origin": self.stage.url, "Sec-Fetch-Site": "same-origin"}
        headers.update(more.pop("headers", {}))
        url = f"{self.stage.url}/connect"
        async with self.http.post(url, data=data, headers=headers, **more) as answer:
            return Page(answer, await answer.text())

    async def begin(self, link: str) -> str:
        """Open the link, press the button; gives the address at X."""
        page = await self.press(await self.get(link))
        assert page.status == 200, page.body
        return page.onward

    async def decide(self, at_x: str, username: str, decision: str = "authorize") -> str:
        """Decide on X's consent page; gives the address that X sends the browser to."""
        asked = parse_qsl(urlsplit(at_x).query)
        page = at_x.partition("?")[0]
        data = [*asked, ("as", username), ("decision", decision)]
        async with self.http.post(page, data=data, allow_redirects=False) as answer:
            assert answer.status in {302, 303}, await answer.text()
            return answer.headers["Location"]

    async def log_in(self, link: str, username: str) -> Page:
        """The whole way."""
        return await self.get(await self.decide(await self.begin(link), username))


class Stage:
    """The bot's machine and X."""

    def __init__(self, opened: OpenServer, folder: Path) -> None:
        self.x = opened
        self.world = opened.world
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.app = self.world.grants.add_app(
            "Shop", redirect_uris=[f"{self.url}/connect/callback"]
        )
        self.environ = {
            "BOTKIT_X__API_URL": opened.url,
            "BOTKIT_X__CONSENT_URL": f"{opened.url}/i/oauth2/authorize",
            "BOTKIT_APP__CLIENT_ID": self.app.client_id,
            "BOTKIT_APP__CLIENT_SECRET": self.app.client_secret or "",
            "BOTKIT_APP__BEARER_TOKEN": self.app.bearer,
            "BOTKIT_STORE__URL": f"sqlite:///{folder / 'botkit.db'}",
            "BOTKIT_STORE__KEY": base64.b64encode(bytes(range(32))).decode(),
            "BOTKIT_HTTP__PORT": str(self.port),
            "BOTKIT_CONNECT__ON": "true",
            "BOTKIT_CONNECT__PUBLIC_URL": self.url,
        }

    async def settings(self) -> Settings:
        return await asyncio.to_thread(
            load_settings, environ=dict(self.environ), folder=self.folder
        )

    @asynccontextmanager
    async def running(self, bot: Bot) -> AsyncIterator[BotRuntime]:
        """The bot, in one life of its process."""
        settings = await self.settings()
        async with (
            open_store(settings.store_url, clock=SystemClock()) as store,
            open_runtime(
                bot.plan, settings, store=store, pace=RuntimePace(poll_s=0.05)
            ) as running,
        ):
            yield running

    async def invite(self, account: str = "", *, life_s: float = 3600) -> Invited:
        """What `botkit accounts invite` does, from another process."""
        settings = await self.settings()
        async with open_store(settings.store_url, clock=SystemClock()) as store:
            return await invite(
                store,
                await open_the_vault(settings, store),
                public_url=self.url,
                app="default",
                account=account,
                life=timedelta(seconds=life_s),
                clock=SystemClock(),
                entropy=SystemEntropy(),
            )

    async def state(self, invitation_id: str) -> str:
        settings = await self.settings()
        async with open_store(settings.store_url, clock=SystemClock()) as store:
            found = await store.invitations.get(invitation_id)
            assert found is not None
            return found.state(SystemClock().now()).value

    async def revoke(self, invitation_id: str) -> bool:
        settings = await self.settings()
        async with open_store(settings.store_url, clock=SystemClock()) as store:
            return await store.invitations.revoke(invitation_id, now=SystemClock().now())

    @asynccontextmanager
    async def browser(self) -> AsyncIterator[Browser]:
        jar = aiohttp.CookieJar(unsafe=True)  # the server is an address, not a name
        async with aiohttp.ClientSession(cookie_jar=jar) as session:
            yield Browser(self, session)

    def exchanges(self) -> list[str]:
        """What became of each code that was exchanged at X."""
        log = self.world.grants.log
        return [use.outcome for use in log if use.grant_type == "authorization_code"]
