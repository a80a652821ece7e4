"""The plan of a bot: everything about it that is settled before anything is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from botkit.model.events import DirectMessage
from botkit.model.users import Account
from botkit.ports import Actions, Clock, Reader
from botkit.protocol.rules import access
from botkit.routing.router import Router
from botkit.routing.wiring import Wiring, wire
from botkit.sources.subscriptions import MESSAGE_KINDS, POST_KINDS

if TYPE_CHECKING:
    from botkit.model.events import Event

__all__ = ["Plan", "Planned", "make_plan", "registrations"]

_BUILT_IN = (Actions, Reader, Clock, Account)
"""The types that botkit itself gives to handlers, beside their state."""
_LISTENING = ("getUsersMentions", "getUsersById")
_HEARING_MESSAGES = ("getDirectMessagesEvents",)


class Plan(Struct, frozen=True, kw_only=True):
    """A bot as it is run, authorized and checked.

    Attributes:
        router: The router that the author registered them in.
        may: The words for what it may do on X.
        wiring: Its handlers, checked and joined.
        scopes: The fewest OAuth 2.0 scopes with which it can do what it may and hear its events.
        stream_kinds: The activity events that it wants to hear.
    """

    name: str
    router: Router
    may: frozenset[str]
    wiring: Wiring
    scopes: tuple[str, ...]
    stream_kinds: tuple[str, ...]

    def handles(self, event: type[Event]) -> bool:
        """Return True if it has a handler for the event class, or for one that it derives from."""
        return any(issubclass(event, kind) for kind in self.wiring.event_types)


class Planned(Protocol):
    """Something that has a plan: a `Bot`, as the modules below it see it."""

    @property
    def plan(self) -> Plan:
        """The plan. Raises `WiringError` when the handlers cannot be wired."""
        ...


def make_plan(router: Router, may: frozenset[str]) -> Plan:
    """Wire the router's handlers, and derive what follows from them and from `may`.

    Raises:
        WiringError: With every fault of the wiring.
    """
    wiring = wire(router, built_in=_BUILT_IN)
    hears_messages = "message" in may or any(
        issubclass(kind, DirectMessage) for kind in wiring.event_types
    )
    listening = (*_LISTENING, *(_HEARING_MESSAGES if hears_messages else ()))
    return Plan(
        name=router.name,
        router=router,
        may=may,
        wiring=wiring,
        scopes=access.scopes_for(sorted(may), source_operations=listening),
        stream_kinds=(*POST_KINDS, *(MESSAGE_KINDS if hears_messages else ())),
    )


def registrations(router: Router) -> int:
    """Return how much is registered in a router and in those that it includes."""
    included = (part for part in router.parts if isinstance(part, Router))
    own = len(router.parts) + len(router.layers) + len(router.providers)
    return own + sum(registrations(part) for part in included)
