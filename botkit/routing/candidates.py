"""The wired bot: it returns the handlers that match an event, in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct

from botkit.model.events import Event, Tick
from botkit.ports.matching import Pin, Selective
from botkit.routing.declared_sources import NO_SOURCES, Sources
from botkit.routing.index import Index
from botkit.routing.middleware import Resolve, Ring
from botkit.routing.schedules import Schedule
from botkit.routing.state import StateParam

if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine, Iterator, Sequence

    from botkit.model.events import Signal
    from botkit.ports import Scope
    from botkit.routing.provision import Provider

__all__ = ["Candidate", "Check", "Entry", "Route", "Wiring", "check_of"]

Check: TypeAlias = Callable[[Any], Mapping[Any, Any] | None]
"""Returns the values that the filters provide, or None if one of them does not pass."""

_NO_VALUES: Mapping[Any, Any] = MappingProxyType({})


class Route(Struct, frozen=True, kw_only=True):
    """Hold the runtime's view of a handler.

    Attributes:
        name: The name under which writes, kept results and schedules are stored; unique within
            the bot, and the same wherever the function is defined.
        place: File and line.
        event_types: The classes it was registered for.
        answer_within: The most time between an event and its arrival; it gets no later ones.
        states: The pieces of state that are loaded before it runs.
        schedule: Its schedule, if it was registered by `every` or `cron`.
    """

    name: str
    place: str
    event_types: tuple[type[Event], ...]
    timeout_s: float
    answer_within: timedelta = timedelta.max
    states: tuple[StateParam, ...] = ()
    schedule: Schedule | None = None

    @property
    def event_type(self) -> type[Event]:
        """The class for which the handler was registered, the first one of several."""
        return self.event_types[0]


class Entry(Struct, frozen=True, kw_only=True):
    """A route with its position, its filters as one check, and the callable that runs it."""

    position: int
    route: Route
    pins: tuple[Pin, ...]
    check: Check
    ring: Ring

    def takes(self, event_type: type[Event]) -> bool:
        """Return True if the handler may get events of this class; ticks need a schedule."""
        if issubclass(event_type, Tick) != (self.route.schedule is not None):
            return False
        return issubclass(event_type, self.route.event_types)


class Candidate(Struct, frozen=True):
    """A handler that matches an event; call it with a scope to run it in its middleware."""

    entry: Entry
    event: Event
    found: Mapping[Any, Any]

    @property
    def route(self) -> Route:
        """The handler."""
        return self.entry.route

    def __call__(self, scope: Scope) -> Coroutine[Any, Any, Any]:
        """Run the handler in its middleware, once; return its result and raise its errors.

        Values come from the filters that passed, or else from `scope.resolve`.
        """
        return self.entry.ring(
            _with_found(self.found, scope.resolve) if self.found else scope.resolve,
            self.event,
        )


class Wiring:
    """Hold a bot whose handlers were all checked: each parameter has a provider.

    Attributes:
        routes: The handlers, in order.
        signals: The author's event classes, by the names under which they are stored.
        unreachable: A sentence for each handler that never runs because an earlier one takes all.
        renamed: The former names of handlers, each with its present name.
        schedules: The schedules of `every` and `cron`, in order.
        error_hooks: The calls that pass a `Failure` to the author's functions.
        providers: The factories by the type that they make, in order.
        event_types: The classes for which handlers were registered.
        sources: The sources that the bot declares.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        *,
        signals: Mapping[str, type[Signal]],
        unreachable: Sequence[str] = (),
        error_hooks: Sequence[Ring] = (),
        renamed: Mapping[str, str],
        providers: Mapping[Any, Provider],
        sources: Sources = NO_SOURCES,
    ) -> None:
        self._entries = tuple(entries)
        self._indexes: dict[type[Event], Index[Entry]] = {}
        self.routes: tuple[Route, ...] = tuple(entry.route for entry in entries)
        self.signals: MappingProxyType[str, type[Signal]] = MappingProxyType(dict(signals))
        self.schedules: tuple[Schedule, ...] = tuple(
            route.schedule for route in self.routes if route.schedule
        )
        self.unreachable: tuple[str, ...] = tuple(unreachable)
        self.error_hooks: tuple[Ring, ...] = tuple(error_hooks)
        self.renamed: MappingProxyType[str, str] = MappingProxyType(dict(renamed))
        self.providers: MappingProxyType[Any, Provider] = MappingProxyType(dict(providers))
        self.sources: Sources = sources
        self.event_types: frozenset[type[Event]] = frozenset(
            event_type for route in self.routes for event_type in route.event_types
        )

    def candidates(
        self, event: Event, blame: Callable[[str], None] = lambda _: None
    ) -> Iterator[Candidate]:
        """Yield the handlers whose filters pass, in order; each filter is called in its turn.

        If a filter raises, `blame` is called with the name of its handler.
        """
        index = self._indexes.get(type(event))
        if index is None:
            index = self._index(type(event))
        for entry in index.lookup(event):
            try:
                found = entry.check(event)
            except Exception as error:
                route = entry.route
                error.add_note(f"A filter of {route.name} ({route.place}) raised this.")
                blame(route.name)
                raise
            if found is not None:
                yield Candidate(entry, event, found)

    def _index(self, event_type: type[Event]) -> Index[Entry]:
        index = Index([entry for entry in self._entries if entry.takes(event_type)])
        self._indexes[event_type] = index
        return index


def check_of(filters: Sequence[Any], wanted: Collection[Any]) -> Check:
    """Return all filters of a handler as one check, which finds only the `wanted` values."""
    if not filters:
        return _pass_all
    if len(filters) == 1:
        return _check_of_one(filters[0], wanted)
    asked = tuple(_check_of_one(given, wanted) for given in filters)

    def check(event: Any) -> Mapping[Any, Any] | None:
        values: dict[Any, Any] = {}
        for find in asked:
            found = find(event)
            if found is None:
                return None
            values.update(found)
        return values

    return check


def _pass_all(_: object) -> Mapping[Any, Any]:
    return _NO_VALUES


def _check_of_one(given: Any, wanted: Collection[Any]) -> Check:
    passes: Callable[[Any], object] = given
    if isinstance(given, Selective) and not set(given.provides).isdisjoint(wanted):
        return given.find
    return lambda event: _NO_VALUES if passes(event) else None


def _with_found(found: Mapping[Any, Any], resolve: Resolve) -> Resolve:
    return lambda wanted: found[wanted] if wanted in found else resolve(wanted)
