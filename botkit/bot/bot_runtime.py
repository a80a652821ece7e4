"""Hold a running bot's parts in a `BotRuntime`, and start and stop them in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import msgspec
import structlog

from botkit.bot.accounts.account_joins import AccountJoins
from botkit.bot.compose_client import X
from botkit.leases.lease import Lease
from botkit.ports import Intake
from botkit.runtime.dispatch.dispatcher import Dispatcher
from botkit.runtime.life.lifecycle import Runtime, Tasks
from botkit.runtime.life.status import Reports
from botkit.sources.gaps import Gaps
from botkit.sources.push.stream import ActivityStream
from botkit.telemetry.repeated_lines import some_of

if TYPE_CHECKING:
    from botkit.model.users import Account

__all__ = ["BotRuntime", "Server"]

_log = structlog.get_logger(__name__)


class Server(Protocol):
    """Serve HTTP for a running bot."""

    @property
    def port(self) -> int:
        """Return the port that the server listens on."""
        ...

    def serve(self) -> None:
        """Report from now on that the bot runs."""
        ...

    async def drain(self, seconds: float) -> None:
        """Take no new requests but X's; open ones have `seconds` to be answered."""
        ...

    async def stop(self, seconds: float) -> None:
        """Close the server; open requests have `seconds` to be answered first."""
        ...


class BotRuntime(msgspec.Struct, kw_only=True):
    """Hold the parts of a running bot.

    Attributes:
        lease: The runner's lease: its holder alone runs a bot on this store.
        account_joins: The accounts that the bot acts for; adds those authorized while it runs.
        gaps: The open gaps: events that the bot may have missed.
        intake: Takes the events that come to the HTTP server.
        streams: The open stream or webhook of each app, by the app's name.
        http: The HTTP server, if the settings ask for one.
        stubborn: After the stop, the names of the handlers that did not end.
    """

    x: X
    lease: Lease
    dispatcher: Dispatcher
    runtime: Runtime
    tasks: Tasks
    reports: Reports
    account_joins: AccountJoins
    gaps: Gaps
    intake: Intake
    streams: Mapping[str, ActivityStream]
    http: Server | None = None
    stubborn: list[str] = msgspec.field(default_factory=list[str])
    stopped: bool = False

    @property
    def accounts(self) -> tuple[Account, ...]:
        """Return the accounts that the bot acts for."""
        return tuple(self.account_joins.accounts.values())

    @property
    def sources(self) -> Mapping[str, str]:
        """Return the name of each source, with the reason why that kind was chosen."""
        return self.account_joins.sources

    async def start(self) -> None:
        """Recover what an unclean end left, then start sources and handlers."""
        await self.runtime.start()
        self.tasks.start(self._say_when_it_hears(), "hearing")
        if self.http is not None:
            self.http.serve()
            self.reports("http", "live", f"port {self.http.port}")

    async def _say_when_it_hears(self) -> None:
        sources = list(self.sources)
        if sources:
            await self.reports.wait_heard(sources)
        self.runtime.hears()
        if sources:
            await self.reports.wait_live(sources)
            _log.info("bot.hears", sources=some_of(sources))

    async def wait_idle(self) -> None:
        """Wait until no event is due."""
        await self.dispatcher.inbox_reader.wait_idle()

    async def stop(self, drain_s: float | None = None) -> None:
        """Stop intake, let handlers finish until the deadline, release the lease; only once."""
        if self.stopped:
            return
        self.stopped = True
        self.x.keeper.stop()
        left_s = self.runtime.drain_s if drain_s is None else drain_s
        if self.http is not None:
            clock = self.x.clock
            began_s = clock.monotonic()
            await self.http.drain(left_s / 2)
            left_s = max(left_s - (clock.monotonic() - began_s), 0.0)
        self.stubborn = await self.runtime.stop(left_s)
        if self.http is not None:
            await self.http.stop(0.0)

    def crash(self) -> None:
        """Abandon everything, as `kill -9` does; the sandbox uses it."""
        self.runtime.crash()
