"""A bot's account in a simulated X, authorized in a store, without a process."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from botkit.bot.compose_client import X, apps_of, endpoints_of, open_the_vault, open_x
from botkit.client.logins.context import LoginContext
from botkit.client.signin.attempt import Login, LoginWish
from botkit.client.signin.oauth2_attempt import OAuth2Attempt
from botkit.config import Settings, load_settings
from botkit.ports import Store
from botkit.sandbox import SandboxTransport, World
from botkit.sandbox.wire.exchange import Call
from botkit.sandbox.x.server import XServer
from botkit.storage import open_store
from botkit.system import SystemClock, SystemEntropy

SCOPES = ("tweet.read", "tweet.write", "users.read", "offline.access")


class Place:
    """A store with settings, and the X that they lead to."""

    def __init__(self, folder: Path, server: XServer) -> None:
        self.server = server
        self.world = server.world
        self.user = server.world.add_user("greeter")
        self.app = server.world.grants.add_app("Greeter")
        self.clock = SystemClock()
        self.transport = SandboxTransport(
            server, self.clock, hosts=frozenset({"api.x.com", "x.com", "127.0.0.1"})
        )
        self.folder = folder
        self.environ = {
            "BOTKIT_APP__CLIENT_ID": self.app.client_id,
            "BOTKIT_APP__CLIENT_SECRET": self.app.client_secret or "",
            "BOTKIT_APP__BEARER_TOKEN": self.app.bearer,
            "BOTKIT_APP__REDIRECT_URI": self.app.redirect_uris[0],
            "BOTKIT_STORE__URL": f"sqlite:///{folder / 'botkit.db'}",
            "BOTKIT_STORE__KEY": base64.b64encode(bytes(range(32))).decode(),
        }
        self.store: Store

    async def settings(self) -> Settings:
        """The settings as they are now."""
        return await asyncio.to_thread(
            load_settings, environ=dict(self.environ), folder=self.folder
        )

    async def authorize(self, *scopes: str, app: str = "default") -> Login:
        """Log the account in, as a person does."""
        settings = await self.settings()
        context = LoginContext(
            store=self.store,
            vault=await open_the_vault(settings, self.store),
            transport=self.transport,
            clock=self.clock,
            entropy=SystemEntropy(),
            apps=apps_of(settings),
            endpoints=endpoints_of(settings),
        )
        redirect_uri = self.app.redirect_uris[0]
        wish = LoginWish(redirect_uri=redirect_uri, scopes=scopes or SCOPES, app=app)
        attempt = OAuth2Attempt(context, wish)
        page = Call.of("GET", attempt.url)
        fields = {"as": "greeter", "decision": "authorize"}
        answer = await self.server.handle(
            Call(method="POST", path=page.path, query=(*page.query, *fields.items()))
        )
        return await attempt.finish(urlsplit(answer.headers["location"]).query)

    @asynccontextmanager
    async def open_x(self) -> AsyncIterator[X]:
        """The way to X for the store's accounts."""
        settings = await self.settings()
        vault = await open_the_vault(settings, self.store)
        async with open_x(settings, self.store, vault, transport=self.transport) as x:
            yield x


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    server = await asyncio.to_thread(XServer, World(SystemClock(), SystemEntropy()))
    place = Place(tmp_path, server)
    async with open_store(place.environ["BOTKIT_STORE__URL"], clock=place.clock) as store:
        place.store = store
        yield place
