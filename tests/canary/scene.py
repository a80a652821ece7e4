"""Every way that a secret takes through `client` and `wizard`, in a simulated X on a socket."""

from __future__ import annotations

import asyncio
import re
import socket
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botkit import Bot
from botkit.bot.compose_client import X, open_the_vault, open_x
from botkit.bot.keys.key_making import KeyWish, provide_key
from botkit.bot.keys.rekey import begin_rekey, finish_rekey
from botkit.client.upkeep import login_transfer
from botkit.client.upkeep.check import check_logins
from botkit.client.upkeep.invalidate import invalidate_bearer
from botkit.client.upkeep.revoke import revoke_login
from botkit.config import Settings, load_settings
from botkit.model.tokens import CredentialKind, Secret, TokenPair
from botkit.ports import Store
from botkit.sandbox.wire.exchange import Call
from botkit.sandbox.x.listener import OpenServer
from botkit.storage import open_store
from botkit.system import SystemClock
from botkit.wizard.app_only import set_up_app_only
from botkit.wizard.setup import SetupOptions, set_up, set_up_from_pair

__all__ = ["WAYS", "Scene", "scene"]


class Scene:
    """An operator, a person at the browser, and X."""

    def __init__(self, opened: OpenServer, folder: Path, store: Store) -> None:
        self.opened = opened
        self.world = opened.world
        self.store = store
        self.folder = folder
        self.user = self.world.find_user("greeter") or self.world.add_user("greeter")
        self.callback = f"http://127.0.0.1:{_free_port()}/callback"
        self.app = self.world.grants.add_app("greeter", redirect_uris=[self.callback])
        self.app.owner_id = self.user.id
        self.bot = Bot("greeter")
        self.shown: list[str] = []
        self.visits: set[asyncio.Task[None]] = set()

    async def settings(self) -> Settings:
        environ = {
            "BOTKIT_X__API_URL": self.opened.url,
            "BOTKIT_X__CONSENT_URL": f"{self.opened.url}/i/oauth2/authorize",
            "BOTKIT_APP__CLIENT_ID": self.app.client_id,
            "BOTKIT_APP__CLIENT_SECRET": self.app.client_secret or "",
            "BOTKIT_APP__API_KEY": self.app.api_key,
            "BOTKIT_APP__API_SECRET": self.app.api_secret,
            "BOTKIT_APP__REDIRECT_URI": self.callback,
            "BOTKIT_STORE__URL": self.store.url,
        }
        return await asyncio.to_thread(load_settings, environ=environ, folder=self.folder)

    async def agree(self) -> str:
        """The person agrees: where the browser ends, or the PIN."""
        page = Call.of("GET", self.shown[-1].removeprefix(self.opened.url))
        fields = {"as": "greeter", "decision": "authorize"}
        answer = await self.opened.server.handle(
            Call(method="POST", path=page.path, query=(*page.query, *fields.items()))
        )
        found = re.search(rb">(\d{7})<", answer.body)
        return found[1].decode() if found else answer.headers["location"]

    async def show(self, text: str) -> None:
        """The terminal, and a person who follows an address at once."""
        if urlsplit(text).scheme:
            self.shown.append(text)

    async def show_and_visit(self, text: str) -> None:
        await self.show(text)
        self.visits.add(asyncio.create_task(self._visit()))  # noqa: TID251 - the browser's

    async def _visit(self) -> None:
        await asyncio.to_thread(_get, await self.agree())

    async def ask(self, _prompt: str) -> str:
        return await self.agree()

    async def log_in(self, **asked: Any) -> None:
        by_browser = asked.pop("by_browser", False)
        show = self.show_and_visit if by_browser else self.show
        await set_up(
            await self.settings(),
            self.store,
            self.bot,
            SetupOptions(**asked),
            show=show,
            tell=_quiet,
        )

    @asynccontextmanager
    async def x(self) -> AsyncIterator[X]:
        settings = await self.settings()
        vault = await open_the_vault(settings, self.store)
        async with open_x(settings, self.store, vault) as x:
            yield x


@asynccontextmanager
async def scene(opened: OpenServer, folder: Path) -> AsyncIterator[Scene]:
    """A new operator with a store of their own."""
    url = f"sqlite:///{folder / 'botkit.db'}"
    async with open_store(url, clock=SystemClock()) as store:
        made = Scene(opened, folder, store)
        wish = KeyWish(may_make=True, beside_store=True)
        await provide_key(await made.settings(), store, wish, tell=_quiet)
        try:
            yield made
        finally:
            await asyncio.gather(*made.visits, return_exceptions=True)


async def by_browser(at: Scene) -> None:
    await at.log_in(by_browser=True)


async def by_paste(at: Scene) -> None:
    await at.log_in(paste=at.ask)


async def by_oauth1(at: Scene) -> None:
    await at.log_in(way="oauth1", paste=at.ask)


async def by_pin(at: Scene) -> None:
    await at.log_in(way="pin", ask_pin=at.ask)


async def by_pair(at: Scene) -> None:
    pair = at.world.oauth1_tokens.issue(at.app, at.user.id)
    given = TokenPair(token=Secret(pair.token), token_secret=Secret(pair.secret))
    settings = await at.settings()
    await set_up_from_pair(settings, at.store, at.bot, SetupOptions(), given, tell=_quiet)


async def app_only(at: Scene) -> None:
    await set_up_app_only(await at.settings(), at.store, at.bot, app="default", tell=_quiet)
    async with at.x() as x:
        used = await x.keeper.bearer()
        await x.keeper.report_bearer_unauthorized("default", used)
        await invalidate_bearer(x.keeper.context, "default")


async def refreshed(at: Scene) -> None:
    await at.log_in(paste=at.ask)
    async with at.x() as x:
        used = await x.keeper.access_token(at.user.id)
        await x.reader.for_account(at.user.id).user(at.user.id)
        await x.keeper.report_unauthorized(at.user.id, used)
        account = await at.store.accounts.get(at.user.id)
        assert account is not None
        await check_logins(x.keeper, account, on_asked=lambda: None)


async def moved_and_rekeyed(at: Scene) -> None:
    await at.log_in(paste=at.ask)
    settings = await at.settings()
    vault = await begin_rekey(settings, at.store, tell=_quiet)
    async with at.x() as x:
        await finish_rekey(settings, at.store, vault, x.keeper.lock, tell=_quiet)
        account = await at.store.accounts.get(at.user.id)
        assert account is not None
        rows = await login_transfer.hand_over(x.keeper, account, again=False)
        parcel = await login_transfer.pack(x.keeper, account, rows)
        await login_transfer.take_over(x.keeper, parcel, app="default")


async def ended(at: Scene) -> None:
    await at.log_in(way="oauth1", paste=at.ask)
    await at.log_in(paste=at.ask)
    async with at.x() as x:
        for kind in (CredentialKind.OAUTH1, CredentialKind.OAUTH2):
            row = await at.store.credentials.get(at.user.id, "default", kind)
            assert row is not None
            await revoke_login(x.keeper.context, row, lock=x.keeper.lock)


WAYS: tuple[Callable[[Scene], Awaitable[None]], ...] = (
    by_browser, by_oauth1, by_pin, by_pair, app_only, refreshed, moved_and_rekeyed, ended,
)  # fmt: skip


def _quiet(_text: str) -> None:
    """Nobody reads it here."""


def _get(url: str) -> None:
    try:
        with urllib.request.urlopen(url, timeout=10) as page:
            page.read()
    except (urllib.error.HTTPError, ConnectionError, urllib.error.URLError):
        pass


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port
