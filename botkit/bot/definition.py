"""`Bot`: what an author writes."""

from __future__ import annotations

import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING

from botkit.errors import WiringError
from botkit.model.events import DirectMessage
from botkit.model.users import Account
from botkit.ports import Actions, Clock, Reader
from botkit.protocol.rules import access
from botkit.routing.router import Router
from botkit.routing.wiring import wire
from botkit.sources.subscriptions import MESSAGE_KINDS, POST_KINDS

if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import NoReturn

    from botkit.routing.wiring import Wiring

__all__ = ["BUILT_IN", "IMPORTED", "Bot"]

BUILT_IN = (Actions, Reader, Clock, Account)
"""What every handler may ask for, beside its state and what the bot provides."""

IMPORTED: ContextVar[bool] = ContextVar("IMPORTED", default=False)
"""Whether a command imports the bot's module just now."""

_LISTENING = ("getUsersMentions", "getUsersById")
_HEARING_MESSAGES = ("getDirectMessagesEvents",)


class Bot(Router):
    """A bot: a router that can be run, and what it may do on X.

    Args:
        name: Stands in logs and tags; the sandbox calls its account so.
        may: What it may do beside `post` and `reply`: `message`, `media`, `repost`, `delete`,
            `hide`, ... From this and from its handlers follow the scopes that setup asks for.

    Raises:
        WiringError: A word of `may` that botkit does not know.
    """

    def __init__(self, name: str, *, may: Collection[str] = ()) -> None:
        super().__init__(name)
        unknown = sorted(set(may) - set(access.CAPABILITIES))
        if unknown:
            known = ", ".join(sorted(access.CAPABILITIES))
            raise WiringError(
                f"{self!r} may not {', '.join(unknown)}: there is no such word.",
                hint=f"Known: {known}.",
            )
        self.may = frozenset({*access.DEFAULT_MAY, *may})

    @property
    def wiring(self) -> Wiring:
        """The checked wiring of its handlers.

        Raises:
            WiringError: With every fault.
        """
        return wire(self, built_in=BUILT_IN)

    @property
    def scopes(self) -> tuple[str, ...]:
        """The fewest OAuth 2.0 scopes with which it can do what it may and hear its events."""
        return access.scopes_for(sorted(self.may), source_operations=self._listens_with())

    @property
    def stream_kinds(self) -> tuple[str, ...]:
        """The activity events that it wants to hear."""
        return (*POST_KINDS, *(MESSAGE_KINDS if self._hears_messages() else ()))

    def run(self) -> NoReturn:
        """Run it until SIGTERM, with the settings of this folder; ends the process.

        Without an authorized account it says what the two ways on are, and exits with 2.

        Raises:
            WiringError: A command of botkit imports the module just now; it runs the bot itself.
        """
        if IMPORTED.get():
            raise WiringError(
                f"{self!r} is run by its own module while that is imported.",
                hint='Put `bot.run()` below `if __name__ == "__main__":`.',
            )
        from botkit.bot.serving import serve_bot

        sys.exit(serve_bot(self))

    def _hears_messages(self) -> bool:
        if "message" in self.may:
            return True
        return any(issubclass(kind, DirectMessage) for kind in self.wiring.event_types)

    def _listens_with(self) -> tuple[str, ...]:
        return (*_LISTENING, *(_HEARING_MESSAGES if self._hears_messages() else ()))
