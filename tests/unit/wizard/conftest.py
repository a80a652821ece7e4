"""A simulated X, a store, and a person with a browser."""

from __future__ import annotations

import asyncio
import base64
import socket
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from botkit.config import Settings, load_settings
from botkit.ports import Store
from botkit.sandbox import SandboxTransport, World
from botkit.sandbox.wire.exchange import Call
from botkit.sandbox.x.server import XServer
from botkit.storage import open_store
from botkit.system import SystemClock, SystemEntropy


class Desk:
    """Where an operator sits: X, the settings, the store, the terminal and the browser."""

    def __init__(self, folder: Path, server: XServer) -> None:
        self.server = server
        self.world = server.world
        self.faults = server.faults
        self.transport = SandboxTransport(server, SystemClock())
        self.callback = f"http://127.0.0.1:{_free_port()}/callback"
        self.app = self.world.grants.add_app("Greeter", redirect_uris=[self.callback])
        self.environ = {
            "BOTKIT_APP__CLIENT_ID": self.app.client_id,
            "BOTKIT_APP__CLIENT_SECRET": self.app.client_secret or "",
            "BOTKIT_APP__BEARER_TOKEN": self.app.bearer,
            "BOTKIT_APP__REDIRECT_URI": self.callback,
            "BOTKIT_STORE__URL": f"sqlite:///{folder / 'botkit.db'}",
            "BOTKIT_STORE__KEY": base64.b64encode(bytes(range(32))).decode(),
        }
        self.folder = folder
        self.store: Store
        self.told: list[str] = []
        self.shown: list[str] = []
        self.pages: list[str] = []
        self.visits: set[asyncio.Task[None]] = set()
        self.who = "greeter"
        self.decision = "authorize"

    def settings(self) -> Settings:
        """The settings as they are now."""
        return load_settings(environ=self.environ, folder=self.folder)

    async def redirect(self, url: str) -> str:
        """Where X's page sends the browser after the person's decision."""
        page = Call.of("GET", url)
        fields = {"as": self.who, "decision": self.decision}
        answer = await self.server.handle(
            Call(method="POST", path=page.path, query=(*page.query, *fields.items()))
        )
        return answer.headers["location"]

    async def show(self, text: str) -> None:
        """The terminal, and a person who follows an address at once."""
        self.shown.append(text)
        if urlsplit(text).scheme:
            visit = asyncio.create_task(self._visit(text))  # noqa: TID251 - the browser's
            self.visits.add(visit)

    async def read(self, text: str) -> None:
        """The terminal alone."""
        self.shown.append(text)

    async def _visit(self, url: str) -> None:
        self.pages.append(await asyncio.to_thread(_get, await self.redirect(url)))


def _get(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=10) as page:
            body: bytes = page.read()
    except urllib.error.HTTPError as refused:
        body = refused.read()
    return body.decode()


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    server = await asyncio.to_thread(XServer, World(SystemClock(), SystemEntropy()))
    desk = Desk(tmp_path, server)
    server.world.add_user("greeter")
    async with open_store(desk.environ["BOTKIT_STORE__URL"], clock=SystemClock()) as store:
        desk.store = store
        yield desk
        await asyncio.gather(*desk.visits)
