"""Run a bot in the sandbox: with a real store in a folder, the in-process X, virtual time.

The bot's account is authorized as an operator would do it: consent page, code, token endpoint,
vault.
"""

from __future__ import annotations

import asyncio
import base64
import socket
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from botkit.bot.compose import RunOptions, open_runtime
from botkit.bot.compose_client import apps_of, endpoints_of, open_the_vault
from botkit.client.logins.context import LoginContext
from botkit.client.signin.attempt import LoginWish
from botkit.client.signin.oauth1_attempt import OAuth1Attempt
from botkit.client.signin.oauth2_attempt import OAuth2Attempt
from botkit.config import Settings, load_settings
from botkit.errors import WiringError
from botkit.model.triggers import Trigger
from botkit.runtime.life.lifecycle import RuntimePace
from botkit.sandbox.harness.clock import SeededEntropy
from botkit.sandbox.harness.pauses import GatedTransport, ProcessLife, gated_store, threads_counted
from botkit.sandbox.wire.exchange import Call
from botkit.sandbox.x.transport import SandboxTransport
from botkit.storage import open_store

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from botkit.bot.definition import Bot
    from botkit.model.records import DeadLetter
    from botkit.ports.store import Store
    from botkit.sandbox.harness.clock import VirtualClock
    from botkit.sandbox.world.grants import App
    from botkit.sandbox.world.world import UserRecord
    from botkit.sandbox.x.server import XServer

__all__ = ["HandlerFailed", "Home", "Process", "Stuck", "run_bot"]

_PACE = RuntimePace(
    poll_s=60.0, lease_ttl_s=60.0, lease_renew_s=20.0, keeper_ttl_s=180.0, keeper_renew_s=60.0
)
"""The pace of the runtime: slower than in service, as hours of virtual time pass in a test."""
_TRIES = 5000
"""The real milliseconds without a timer after which a wait is given up as stuck."""


class Stuck(AssertionError):
    """Report that what a test waits for never happens, however far time moves."""


class HandlerFailed(AssertionError):
    """Report events that became dead letters, with the trace of each.

    Attributes:
        letters: The dead letters.
    """

    def __init__(self, letters: Sequence[DeadLetter]) -> None:
        self.letters: tuple[DeadLetter, ...] = tuple(letters)
        said = "".join(
            f"\n{letter.handler or 'no handler'} failed for {letter.key} ({letter.reason}): "
            f"{letter.error}\n{letter.trace}"
            for letter in letters
        )
        super().__init__(f"{said}\nIf that is wanted: sandbox.settle(may_fail=True).")


class Home:
    """Hold what outlives a process: the account, its app, the store's folder, the vault key."""

    def __init__(self, server: XServer, folder: Path, *, username: str) -> None:
        self.server = server
        self.folder = folder
        self.user: UserRecord = server.world.add_user(username)
        self.app: App = server.world.grants.add_app(username)
        self.starts = 0
        self.heard_from: str | None = None
        self.clock: VirtualClock = server.world.clock  # type: ignore[assignment]  # the harness made it
        """The clock of the bot's machine; X has its own."""
        self.signs = False
        """True if the settings hold the app's key and secret, for OAuth 1.0a."""
        self.webhook_url: str = ""
        """Where X delivers on this machine; "" if the bot opens the stream."""
        self.told: set[tuple[str, str, datetime]] = set()
        """The dead letters that were reported to the test already."""
        self._key = server.world.entropy.token_bytes(32)

    @property
    def store_url(self) -> str:
        """Return the address of the store."""
        return f"sqlite:///{self.folder / 'botkit.db'}"

    def settings(self) -> Settings:
        """Return the bot's settings, read as in production by `load_settings`. Blocks on disk."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        environ = {
            "BOTKIT_APP__CLIENT_ID": self.app.client_id,
            "BOTKIT_APP__CLIENT_SECRET": self.app.client_secret or "",
            "BOTKIT_APP__BEARER_TOKEN": self.app.bearer,
            "BOTKIT_APP__REDIRECT_URI": self.app.redirect_uris[0],
            "BOTKIT_BOT__ACCOUNT": self.user.username,
            "BOTKIT_STORE__URL": self.store_url,
            "BOTKIT_STORE__KEY": base64.urlsafe_b64encode(self._key).decode(),
        }
        if self.signs:
            environ |= {
                "BOTKIT_APP__API_KEY": self.app.api_key,
                "BOTKIT_APP__API_SECRET": self.app.api_secret,
            }
        if self.webhook_url:
            environ |= {
                "BOTKIT_APP__API_SECRET": self.app.api_secret,
                "BOTKIT_BOT__SOURCE": "webhook",
                "BOTKIT_WEBHOOK__PUBLIC_URL": self.webhook_url,
                "BOTKIT_HTTP__PORT": str(urlsplit(self.webhook_url).port),
            }
        return load_settings(environ=environ, folder=self.folder)

    def hear_by_webhook(self) -> None:
        """Let X deliver to a free port of this machine, the same in each run."""
        self.webhook_url = self.webhook_url or f"http://127.0.0.1:{_free_port()}/x/deliveries"

    async def authorize(self, context: LoginContext, scopes: Sequence[str]) -> None:
        """Log the account in, as a person with a browser does. Raises the errors of a login."""
        wish = LoginWish(redirect_uri=self.app.redirect_uris[0], scopes=tuple(scopes))
        attempt = OAuth2Attempt(context, wish)
        await attempt.finish(await self._consent(attempt.url))

    async def authorize_oauth1(self, context: LoginContext) -> None:
        """Log the account in by OAuth 1.0a, in the same way."""
        wish = LoginWish(redirect_uri=self.app.redirect_uris[0], scopes=())
        attempt = await OAuth1Attempt.begin(context, wish)
        await attempt.finish(await self._consent(attempt.url))

    async def _consent(self, url: str) -> str:
        """Consent on X's page; return the query of the redirect that it answers with."""
        page = Call.of("GET", url)
        fields = {"as": self.user.username, "decision": "authorize"}
        answer = await self.server.handle(
            Call(method="POST", path=page.path, query=(*page.query, *fields.items()))
        )
        return urlsplit(answer.headers["location"]).query


class Process:
    """Run a bot in the sandbox as a simulated process, from its start to its stop or crash."""

    def __init__(
        self,
        home: Home,
        life: ProcessLife,
        store: Store,
        provided: Mapping[Any, Any],
        options: RunOptions,
    ) -> None:
        self.home = home
        self._options = options
        self.store = store
        self._provided = provided
        self._life = life
        self._stop = asyncio.Event()
        self._started = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._runtime: Any = None

    @property
    def account_id(self) -> str:
        """Return the id of the account that the bot acts for."""
        return self.home.user.id

    @property
    def is_running(self) -> bool:
        """Return True if the process has neither crashed nor ended."""
        return self._task is not None and not self._task.done() and not self._life.over

    async def crash(self) -> None:
        """Kill the process, as `kill -9` does: it writes, sends and releases nothing more."""
        self._life.over = True
        abandon = getattr(self._runtime, "crash", None)
        if abandon is not None:
            abandon()
        if self._task is not None:
            self._task.cancel()
            await self._drive(self._task)

    async def trigger(self, name: str, data: object = None, *, delivery: str = "") -> bool:
        """Tell the bot something, as other software does by `POST /hooks/NAME`.

        `data` arrives as JSON would bring it. Return False if the bot was told of this `delivery`
        before; without one, each call is a delivery of its own.
        """
        told = Trigger(
            account_id=self.account_id,
            at=self._life.clock.now(),
            source="sandbox",
            name=name,
            data=msgspec.json.decode(msgspec.json.encode(data)),
            delivery=delivery or self.home.server.world.next_id(),
        )
        new: int = await self._runtime.intake.record(
            [told], account_id=told.account_id, source=told.source
        )
        await self._life.clock.at_rest()
        return new > 0

    async def new_dead_letters(self) -> list[DeadLetter]:
        """Return the dead letters that no earlier call returned."""
        told = self.home.told
        letters = await self.store.events.dead(limit=10_000)
        new = [each for each in letters if (each.account_id, each.key, each.at) not in told]
        told.update((each.account_id, each.key, each.at) for each in new)
        return new

    async def start(self, bot: Bot, settings: Settings, transport: GatedTransport) -> None:
        """Start the bot; return once it takes events. Raises the error that its start raised."""
        loop = asyncio.get_running_loop()
        # No task group holds this task: the end of the process must not cancel the test.
        task = self._task = loop.create_task(self._live(bot, settings, transport))
        starting = loop.create_task(self._started.wait())
        try:
            await self._drive(task, starting)
        finally:
            starting.cancel()
        self.check()

    async def stop(self) -> None:
        """Stop the process as SIGTERM does. Raises the error that ended it before, if any."""
        self._stop.set()
        if self._task is not None:
            await self._drive(self._task)
        self.check()

    def check(self) -> None:
        """Raise the error that ended the process, unless it was crashed or still runs."""
        task = self._task
        if task is None or not task.done() or self._life.over or task.cancelled():
            return
        error = task.exception()
        if error is not None:
            raise error

    async def _live(self, bot: Bot, settings: Settings, transport: GatedTransport) -> None:
        clock = self._life.clock
        entropy = SeededEntropy(f"{self.home.user.username} {self.home.starts}")
        async with open_runtime(
            bot.plan,
            settings,
            store=self.store,
            options=self._options,
            transport=transport,
            clock=clock,
            entropy=entropy,
            pace=_PACE,
            provided=self._provided,
        ) as self._runtime:
            self._started.set()
            await self._stop.wait()

    async def _drive(self, *tasks: asyncio.Task[Any]) -> None:
        """Move time on until one of the tasks is done."""
        clock = self._life.clock
        tries = _TRIES
        while not any(task.done() for task in tasks):
            await clock.at_rest()
            if any(task.done() for task in tasks):
                break
            if not await clock.move(tries=tries):
                raise Stuck("the bot neither starts nor ends, and waits for nothing")
            tries -= clock.next_timer() is None


@asynccontextmanager
async def run_bot(
    home: Home,
    bot: Bot,
    *,
    scopes: Sequence[str] | None = None,
    oauth1: bool = False,
    provide: Mapping[Any, Any] | None = None,
    from_now: bool = False,
    webhook: bool = False,
) -> AsyncGenerator[Process]:
    """Run a bot until the block ends; see `Sandbox.running`."""
    provided = _checked(bot, provide or {})
    clock = home.clock
    life = ProcessLife(clock)
    transport = GatedTransport(SandboxTransport(home.server, clock), life)
    async with AsyncExitStack() as stack:
        stack.enter_context(threads_counted(clock))
        home.signs = home.signs or oauth1
        if webhook:
            home.hear_by_webhook()
        settings = await asyncio.to_thread(home.settings)
        inner = await stack.enter_async_context(open_store(home.store_url, clock=clock))
        store = gated_store(inner, life)
        process = Process(home, life, store, provided, RunOptions(from_now=from_now))
        home.starts += 1
        wanted = bot.plan.scopes if scopes is None else scopes
        if home.heard_from is None:
            await _authorize(home, settings, store, transport, scopes=wanted, oauth1=oauth1)
        home.heard_from = home.heard_from or home.server.world.next_id()
        await process.start(bot, settings, transport)
        try:
            yield process
        except BaseException:
            await process.crash()
            raise
        if process.is_running:
            await process.stop()
        process.check()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _checked(bot: Bot, provide: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Return `provide`. Raise `WiringError` if the bot has no provider for one of its types."""
    providers = bot.wiring.providers
    unknown = [kind.__name__ for kind in provide if kind not in providers]
    if unknown:
        known = ", ".join(kind.__name__ for kind in providers) or "nothing"
        raise WiringError(
            f"{bot!r} provides no {', '.join(unknown)}; it provides: {known}.",
            hint="provide={...} replaces what the bot's own `provide` makes, by exact type.",
        )
    return provide


async def _authorize(
    home: Home,
    settings: Settings,
    store: Store,
    transport: GatedTransport,
    *,
    scopes: Sequence[str],
    oauth1: bool,
) -> None:
    if not scopes and not oauth1:
        return
    context = LoginContext(
        store=store,
        vault=await open_the_vault(settings, store),
        transport=transport,
        clock=home.server.world.clock,
        entropy=SeededEntropy(f"{home.user.username} login"),
        apps=apps_of(settings),
        endpoints=endpoints_of(settings),
    )
    if scopes:
        await home.authorize(context, scopes)
    if oauth1:
        await home.authorize_oauth1(context)
