"""`BotRuntime`: a running bot with its parts, as botkit itself sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec
import structlog

from botkit.bot.accounts.account_joins import AccountJoins
from botkit.bot.compose_client import X
from botkit.leases.lease import Lease
from botkit.runtime.dispatch.dispatcher import Dispatcher
from botkit.runtime.life.lifecycle import Runtime, Tasks
from botkit.runtime.life.status import Reports

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botkit.model.users import Account

__all__ = ["BotRuntime", "Server"]

_log = structlog.get_logger(__name__)


class Server(Protocol):
    """The HTTP server of a running bot."""

    @property
    def port(self) -> int:
        """Where it listens."""
        ...

    def serve(self) -> None:
        """The bot runs: say so."""
        ...

    async def stop(self, seconds: float) -> None:
        """Let what is being answered end, for so long at the most, and close."""
        ...


class BotRuntime(msgspec.Struct, kw_only=True):
    """A running bot.

    Attributes:
        lease: The runner's: who holds it runs the bots of this store.
        newcomers: The accounts it acts for; takes on what is authorized while it runs.
        http: Its HTTP server, if it has one.
        stubborn: After the stop, the handlers that did not end.
    """

    x: X
    lease: Lease
    dispatcher: Dispatcher
    runtime: Runtime
    tasks: Tasks
    reports: Reports
    newcomers: AccountJoins
    http: Server | None = None
    stubborn: list[str] = msgspec.field(default_factory=list[str])
    stopped: bool = False

    @property
    def accounts(self) -> tuple[Account, ...]:
        """The accounts that it acts for."""
        return tuple(self.newcomers.accounts.values())

    @property
    def sources(self) -> Mapping[str, str]:
        """The sources that it hears by, for each the reason for that way."""
        return self.newcomers.sources

    async def start(self) -> None:
        """Recover what an unclean end left, then hear and act."""
        await self.runtime.start()
        self.tasks.start(self._say_when_it_hears(), "hearing")
        if self.http is not None:
            self.http.serve()
            self.reports("http", "live", f"port {self.http.port}")

    async def _say_when_it_hears(self) -> None:
        sources = list(self.sources)
        if sources:
            await self.reports.wait_live(sources)
            _log.info("bot.hears", sources=sources)

    async def wait_idle(self) -> None:
        """Return when no event is due."""
        await self.dispatcher.inbox_reader.wait_idle()

    async def stop(self, drain_s: float | None = None) -> None:
        """Stop intake, let handlers finish until the deadline, give the lease back; once."""
        if self.stopped:
            return
        self.stopped = True
        self.x.keeper.stop()
        left_s = self.runtime.drain_s if drain_s is None else drain_s
        if self.http is not None:
            clock = self.x.clock
            began_s = clock.monotonic()
            await self.http.stop(left_s / 2)
            left_s = max(left_s - (clock.monotonic() - began_s), 0.0)
        self.stubborn = await self.runtime.stop(left_s)

    def crash(self) -> None:
        """Abandon everything as `kill -9` does; for the sandbox."""
        self.runtime.crash()
