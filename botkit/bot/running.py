"""`RunningBot`: a bot that runs, for who stops it and who looks at it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

import msgspec

from botkit.bot.accounts.account_joins import AccountJoins
from botkit.bot.compose_client import X
from botkit.model.users import Account
from botkit.runtime.dispatch.dispatcher import Dispatcher
from botkit.runtime.dispatch.runs import Ended
from botkit.runtime.intake.inbox import Inbox
from botkit.runtime.life.lifecycle import Runtime, Tasks
from botkit.runtime.life.status import Reports
from botkit.runtime.writes.steps import Wrote

__all__ = ["RunningBot", "Server", "Watch"]


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


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """Who is told what happens in a running bot: a transcript, a test, metrics."""

    on_ended: Callable[[Ended], None] | None = None
    on_wrote: Callable[[Wrote], None] | None = None


class RunningBot(msgspec.Struct, kw_only=True):
    """A bot that runs.

    Attributes:
        accounts: Those it acts for.
        sources: What it hears by, for each the reason for that way.
        newcomers: Takes on what is authorized while it runs.
        http: Its HTTP server, if it has one.
    """

    accounts: tuple[Account, ...]
    sources: Mapping[str, str]
    x: X
    inbox: Inbox
    dispatcher: Dispatcher
    runtime: Runtime
    tasks: Tasks
    reports: Reports
    newcomers: AccountJoins
    http: Server | None = None
    stubborn: list[str] = msgspec.field(default_factory=list[str])
    stopped: bool = False

    def take_on(
        self, account: Account, reasons: Mapping[str, str], gone: Collection[str] = ()
    ) -> None:
        """Act for an account that is new or has changed, heard by these sources."""
        others = (each for each in self.accounts if each.id != account.id)
        self.accounts = (*others, account)
        kept = {name: why for name, why in self.sources.items() if name not in gone}
        self.sources = {**kept, **reasons}

    async def start(self) -> None:
        """Recover what an unclean end left, then hear and act."""
        await self.runtime.start()
        if self.http is not None:
            self.http.serve()
            self.reports("http", "live", f"port {self.http.port}")

    async def wait_idle(self) -> None:
        """Return when no event is due."""
        await self.dispatcher.feeder.wait_idle()

    async def stop(self, drain_s: float | None = None) -> None:
        """Stop intake, let handlers finish until the deadline, give the lease back; once."""
        if self.stopped:
            return
        self.stopped = True
        self.x.keeper.stop()
        left_s = self.runtime.drain_s if drain_s is None else drain_s
        if self.http is not None:
            clock = self.x.keeper.around.clock
            began_s = clock.monotonic()
            await self.http.stop(left_s / 2)
            left_s = max(left_s - (clock.monotonic() - began_s), 0.0)
        self.stubborn = await self.runtime.stop(left_s)

    def crash(self) -> None:
        """Abandon everything as `kill -9` does; for the sandbox."""
        self.runtime.crash()
