"""Define `Bot`, the class that an author creates and runs."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import TYPE_CHECKING

from botkit.bot.plan import Plan, make_plan, registrations
from botkit.errors import WiringError
from botkit.protocol.rules import access
from botkit.protocol.rules.opt_outs import OptOutRules
from botkit.routing.router import Router, must_be_a_span

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection
    from typing import NoReturn

    from botkit.bot.running import RunningBot
    from botkit.config import Settings
    from botkit.routing.wiring import Wiring

__all__ = ["IMPORTED", "Bot"]

_USUAL_OPT_OUT = OptOutRules()
_USUAL_ANSWER_WITHIN = timedelta(hours=24)

IMPORTED: ContextVar[bool] = ContextVar("IMPORTED", default=False)
"""True while a command imports the bot's module."""


class Bot(Router):
    """Hold a bot: a router that can be run, and the words for the actions it may use on X.

    Args:
        name: The bot's name in logs and tags, and the username of its account in the sandbox.
        may: The actions that it may use beside `post` and `reply`: `message` for direct messages,
            and the ids of X's operations that it calls by `act.call` or `reader.call`. Setup asks
            for the scopes that these and the handlers need.
        opt_out: The words by which users opt out and in again, and the answers to them. With None
            the handlers get such texts, and have to honour them as X requires.
        answer_within: The most time between the making of a post or message and its arrival
            here; a later one reaches no handler by itself. `on` can set another limit.
            Seven days is the upper limit: the store may have forgotten that it was answered.

    Raises:
        WiringError: `may` contains a word that botkit does not know, or that has no action yet.
    """

    def __init__(
        self,
        name: str,
        *,
        may: Collection[str] = (),
        opt_out: OptOutRules | None = _USUAL_OPT_OUT,
        answer_within: timedelta = _USUAL_ANSWER_WITHIN,
    ) -> None:
        super().__init__(name)
        must_be_a_span(answer_within)
        self.answer_within: timedelta = answer_within
        _check_words(self, may)
        self.may: frozenset[str] = frozenset({*access.DEFAULT_MAY, *may})
        self.opt_out: OptOutRules | None = opt_out
        self._plan: tuple[frozenset[str], int, Plan] | None = None

    @property
    def plan(self) -> Plan:
        """Return the bot's plan; made once, and again only after something was registered.

        Raises:
            WiringError: Handlers cannot be wired; names every fault.
        """
        count = registrations(self)
        if self._plan is None or self._plan[:2] != (self.may, count):
            self._plan = self.may, count, self._make_plan()
        return self._plan[2]

    def _make_plan(self) -> Plan:
        return make_plan(self, self.may, opt_out=self.opt_out, answer_within=self.answer_within)

    @property
    def wiring(self) -> Wiring:
        """Return the checked wiring of the bot's handlers.

        Raises:
            WiringError: Handlers cannot be wired; names every fault.
        """
        return self.plan.wiring

    @property
    def scopes(self) -> tuple[str, ...]:
        """Return the fewest OAuth 2.0 scopes that its actions and its events need."""
        return self.plan.scopes

    @asynccontextmanager
    async def running(
        self, settings: Settings, *, dry_run: bool = False, force: bool = False
    ) -> AsyncGenerator[RunningBot]:
        """Run the bot inside your own event loop until the block ends, then stop it in order.

        Signals and logging stay yours. If the bot cannot go on, your block is cancelled and the
        error is raised from it.

        Args:
            settings: From `load_settings`, or made as `Settings(...)`; they name the store.
            dry_run: Send nothing; record what would have been sent.
            force: Start even if an account's logins do not allow what the bot may do.

        Raises:
            WiringError: The bot's handlers cannot be wired.
            ConfigError: No account is authorized yet, or a setting does not fit.
            AccessDenied: An account's credentials do not allow what the bot may do.
            StateError: The store cannot be used, or another process runs a bot on it.
        """
        from botkit.bot.compose import RunOptions
        from botkit.bot.running import RunningBot, open_bot
        from botkit.config import secrets_of
        from botkit.telemetry.redaction import Redactor

        redactor = Redactor(secrets_of(settings))
        options = RunOptions(dry_run=dry_run, force=force, redactor=redactor)
        async with open_bot(self.plan, settings, options) as runtime:
            yield RunningBot(runtime)

    def run(self) -> NoReturn:
        """Run the bot until SIGTERM, with the settings of this folder; end the process.

        If no account is authorized, it prints the two ways to go on and exits with 2.

        Raises:
            WiringError: A command of botkit is importing the module, and runs the bot itself.
        """
        if IMPORTED.get():
            raise WiringError(
                f"{self!r} is run by its own module while that is imported.",
                hint='Put `bot.run()` below `if __name__ == "__main__":`.',
            )
        from botkit.bot.serving import serve_bot

        sys.exit(serve_bot(self))


def _check_words(bot: Bot, may: Collection[str]) -> None:
    """Check that each word of `may` has an action.

    Raises:
        WiringError: Some words have no action; the error names them, and those that have one.
    """
    if isinstance(may, str):
        raise WiringError(f'may="{may}": it takes a set of words, as may={{"{may}"}}.')
    known = set(access.CAPABILITIES) - access.WITHOUT_ACTION
    no_action = "botkit has no action for that yet."
    refused: dict[str, list[str]] = {access.NO_SUCH_WORD: [], no_action: []}
    for word in sorted(set(may) - known):
        fault = access.call_fault(word)
        if word in access.WITHOUT_ACTION:
            fault = no_action
        if fault:
            refused.setdefault(fault, []).append(word)
    faults = [
        f"{bot!r} may not {', '.join(words)}: {why}" for why, words in refused.items() if words
    ]
    if faults:
        hint = f"Known: {', '.join(sorted(known))}, and X's operation ids for `call`."
        raise WiringError(" ".join(faults), problems=faults, hint=hint)
