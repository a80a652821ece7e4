"""Test a bot in a simulated X with `Sandbox`. See the how-to on testing.

    async def test_greets(sandbox: Sandbox) -> None:
        ada = sandbox.user("ada")
        async with sandbox.running(bot):
            await ada.posts("@greeter hello")
            await sandbox.settle()
        assert sandbox.replies_to(ada) == ["Hello @ada!"]

Time is virtual: nothing waits for real. Before an actor's method returns, the bot does all that it
can do without time moving; `settle` and `advance` move time.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from botkit.sandbox.harness.clock import SeededEntropy, VirtualClock
from botkit.sandbox.harness.process import HandlerFailed, Home, Process, Stuck, run_bot
from botkit.sandbox.harness.settling import unsettled
from botkit.sandbox.world.actors import Actor
from botkit.sandbox.world.world import World
from botkit.sandbox.x.push.outgoing import Outgoing
from botkit.sandbox.x.server import XServer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from pathlib import Path

    from botkit.bot.definition import Bot
    from botkit.sandbox.world.rules import WorldRules
    from botkit.sandbox.world.world import PostRecord
    from botkit.sandbox.x.faults import Faults

__all__ = ["Sandbox"]

_TRIES = 5000
"""The real milliseconds without a timer after which a wait is given up as stuck."""
_DAY = timedelta(days=1)


class Sandbox:
    """Simulate X for one test.

    Attributes:
        clock: The virtual clock.
        world: Users, posts, messages, apps and grants.
        server: X's API over that world.
        faults: The faults that the server injects.
    """

    def __init__(
        self, folder: Path, *, rules: WorldRules | None = None, seed: str = "sandbox"
    ) -> None:
        self.clock: VirtualClock = VirtualClock()
        self.world: World = World(self.clock, SeededEntropy(seed), rules=rules)
        self.server: XServer = XServer(self.world, Outgoing(self.clock.working))
        self.faults: Faults = self.server.faults
        self._folder = folder
        self._homes: dict[str, Home] = {}
        self._processes: list[Process] = []

    def user(self, username: str) -> Actor:
        """Return the user of that name, to act as; make one if there is none."""
        return Actor(self.world, self.world.add_user(username), self.clock.at_rest)

    @asynccontextmanager
    async def running(
        self,
        bot: Bot,
        *,
        account: str = "",
        scopes: Sequence[str] | None = None,
        oauth1: bool = False,
        provide: Mapping[Any, Any] | None = None,
        from_now: bool = False,
        webhook: bool = False,
    ) -> AsyncGenerator[Process]:
        """Run a bot until the block ends, as `account` or as the account of the bot's name.

        The first run authorizes the account for `scopes`, by default those that setup would ask
        for; an empty sequence skips this. With `oauth1` it is authorized by OAuth 1.0a, too. Later
        runs find store and logins as the previous run left them.
        With `provide={Model: fake}` handlers get `fake` instead of the value from the bot's
        provider. With `from_now` the bot skips events from before the start. With `webhook` X
        delivers to the bot's own HTTP server, on a free port; it does so in later runs, too.
        A start may move time: after a crash, the dead process's lease has to run out.
        """
        username = account or bot.name
        home = self._homes.get(username)
        if home is None:
            home = Home(self.server, self._folder / username, username=username)
            self._homes[username] = home
        async with run_bot(
            home,
            bot,
            scopes=scopes,
            oauth1=oauth1,
            provide=provide,
            from_now=from_now,
            webhook=webhook,
        ) as process:
            self._processes.append(process)
            try:
                await self.clock.at_rest()
                yield process
            finally:
                self._processes.remove(process)

    async def settle(self, *, within: timedelta = _DAY, may_fail: bool = False) -> None:
        """Move time until no event is due and every write is final.

        An event emitted for a future time (`emit(at=...)`) is not due; `advance` reaches it.
        With `may_fail`, handlers may fail: the test itself checks the fate of their events.

        Raises:
            Stuck: Work is left after that much virtual time; the error names it.
            HandlerFailed: An event became a dead letter since the last call; it names the handler,
                the error and the line.
        """
        end = self.clock.now() + within
        tries = _TRIES
        while True:
            await self.clock.at_rest()
            todo = await self._todo()
            if not todo:
                break
            if self.clock.now() > end:
                raise Stuck(f"not settled after {within}: {'; '.join(todo)}")
            if not await self.clock.move(tries=tries):
                raise Stuck(f"nothing moves any more: {'; '.join(todo)}")
            tries -= self.clock.next_timer() is None
        letters = [
            letter
            for process in self._processes
            if process.is_running
            for letter in await process.new_dead_letters()
        ]
        if letters and not may_fail:
            raise HandlerFailed(letters)

    async def advance(self, span: timedelta | float) -> None:
        """Move time on by `span`; a number is in seconds."""
        await self.clock.advance(span)
        for process in self._processes:
            process.check()

    def replies_to(self, who: Actor | PostRecord) -> list[str]:
        """Return the texts of others' replies to a user or post, as written, oldest first."""
        return [post.written for post in self._replies(who)]

    def last_reply_to(self, who: Actor | PostRecord) -> PostRecord:
        """Return others' last reply to a user or post, to act on: `ada.replies(reply, "...")`.

        Raises:
            LookupError: There is no such reply.
        """
        found = self._replies(who)
        if not found:
            raise LookupError(
                "Nobody has replied yet; did the test call `await sandbox.settle()`?"
            )
        return found[-1]

    def posts_by(self, username: str) -> list[str]:
        """Return the texts of a user's posts, replies included, as written, oldest first."""
        return [post.written for post in self.world.posts_by(self.world.user(username).id)]

    def messages_to(self, who: Actor) -> list[str]:
        """Return the texts of the direct messages that a user got, oldest first."""
        return [
            message.text
            for message in self.world.messages_of(who.id)
            if message.recipient_id == who.id
        ]

    @property
    def spent_usd(self) -> Decimal:
        """Return the money that all apps have spent, in US dollars."""
        apps = self.world.grants.apps.values()
        return sum((app.spent_usd for app in apps), start=Decimal(0))

    def _replies(self, who: Actor | PostRecord) -> list[PostRecord]:
        if isinstance(who, Actor):
            return self.world.replies_to(who.id)
        posts = self.world.posts.values()
        return [post for post in posts if post.reply_to_id == who.id and not post.deleted]

    async def _todo(self) -> list[str]:
        todo: list[str] = []
        for process in self._processes:
            process.check()
            if process.is_running:
                todo += [what async for what in unsettled(self.world, process)]
        return todo
