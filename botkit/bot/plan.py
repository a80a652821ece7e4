"""Make the plan of a bot: everything that is known of it before anything is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from botkit.model.activity_events import News, TypedActivity
from botkit.model.events import DirectMessage, Repost
from botkit.model.users import Account
from botkit.ports import Actions, Clock, Reader
from botkit.protocol.rules import access
from botkit.protocol.rules.opt_outs import OptOutRules
from botkit.routing.router import Router
from botkit.routing.wiring import Wiring, wire
from botkit.sources.polls.declared import OPERATIONS
from botkit.sources.push.subscriptions import MESSAGE_KINDS, POST_KINDS, REPOST_KINDS

if TYPE_CHECKING:
    from datetime import timedelta

    from botkit.model.events import Event

__all__ = ["Plan", "Planned", "make_plan", "registrations"]

_BUILT_IN = (Actions, Reader, Clock, Account)
"""The types that botkit itself injects into handlers, beside their state."""
_LISTENING = ("getUsersMentions", "getUsersById")
_HEARING_MESSAGES = ("getDirectMessagesEvents",)


class Plan(Struct, frozen=True, kw_only=True):
    """Hold a bot's plan; running, authorizing and checking the bot all start from it.

    Attributes:
        router: The router in which the author registered the handlers.
        may: The words for what the bot may do on X.
        opt_out: The words by which users opt out; None if no text counts as such a request.
        wiring: The bot's handlers, checked and joined.
        scopes: The OAuth 2.0 scopes that the bot's actions and events need, and no others.
        stream_kinds: The activity events that the bot subscribes to.
        stream_only: The classes of events, by name, that no poll can read.
    """

    name: str
    router: Router
    may: frozenset[str]
    opt_out: OptOutRules | None
    wiring: Wiring
    scopes: tuple[str, ...]
    stream_kinds: tuple[str, ...]
    stream_only: tuple[str, ...] = ()

    def handles(self, event: type[Event]) -> bool:
        """Return True if the bot has a handler for the event class or one of its base classes."""
        return any(issubclass(event, kind) for kind in self.wiring.event_types)


class Planned(Protocol):
    """Describe an object with a plan: a `Bot`, as the modules below it see it."""

    @property
    def plan(self) -> Plan:
        """Return the plan. Raises `WiringError` if the handlers cannot be wired."""
        ...


def make_plan(
    router: Router, may: frozenset[str], *, opt_out: OptOutRules | None, answer_within: timedelta
) -> Plan:
    """Wire the router's handlers, and derive what follows from them and from `may`.

    Raises:
        WiringError: Handlers cannot be wired; names every fault.
    """
    wiring = wire(router, built_in=_BUILT_IN, answer_within=answer_within)
    hears_messages = "message" in may or any(
        issubclass(kind, DirectMessage) for kind in wiring.event_types
    )
    declared = (OPERATIONS[type(source)] for source in wiring.sources.polled)
    listening = (*_LISTENING, *(_HEARING_MESSAGES if hears_messages else ()), *declared)
    activity = _activity_of(wiring)
    hears_reposts = Repost in wiring.event_types
    return Plan(
        name=router.name,
        router=router,
        may=may,
        opt_out=opt_out,
        wiring=wiring,
        scopes=access.scopes_for(
            sorted(may),
            source_operations=listening,
            extra={scope for each in activity for scope in each.scopes},
        ),
        stream_kinds=(
            *POST_KINDS,
            *(REPOST_KINDS if hears_reposts else ()),
            *(MESSAGE_KINDS if hears_messages else ()),
            *(kind for each in activity for kind in each.kinds),
        ),
        stream_only=(
            *(["reposts"] if hears_reposts else []),
            *(each.__name__ for each in activity),
        ),
    )


def _activity_of(wiring: Wiring) -> list[type[TypedActivity]]:
    """Return the classes of activity that have a handler of their own, and that X offers."""
    handled = {each for each in wiring.event_types if issubclass(each, TypedActivity)}
    return sorted(handled - {TypedActivity, News}, key=lambda each: each.__name__)


def registrations(router: Router) -> int:
    """Return the number of registrations in a router and in those that it includes."""
    included = (part for part in router.parts if isinstance(part, Router))
    own = len(router.parts) + len(router.layers) + len(router.providers) + len(router.error_hooks)
    own += len(router.sources)
    return own + sum(registrations(part) for part in included)
