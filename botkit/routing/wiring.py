"""Checks every handler of a bot and joins it to its middleware, filters and values.

All faults are reported at once, before anything runs, each with handler, file and line, parameter
and the available alternatives.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from botkit.errors import Skip, WiringError
from botkit.model.events import Event, Signal, Tick
from botkit.ports.api import Actions
from botkit.ports.matching import Pin, Selective
from botkit.routing.candidates import Candidate, Entry, Route, Wiring, check_of
from botkit.routing.declared_sources import Declared, Sources, Tagged, join
from botkit.routing.middleware import Ring, Values, call, surround
from botkit.routing.parameters import UNSERVED, event_fault, shown, values_of
from botkit.routing.router import Registration, Router
from botkit.routing.signatures import asked_of, name_of, place_of, uses_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping

    from botkit.routing.provision import Provider
    from botkit.routing.schedules import Schedule
    from botkit.routing.state import StateParam

__all__ = ["Candidate", "Route", "Wiring", "wire"]

_EVENT_AND_NEXT = 2
_HINT = "Values are given by exact type; bot.provide(factory) makes a type known."


def wire(
    router: Router,
    *,
    provided: Mapping[Any, Any] | None = None,
    built_in: Collection[Any] = (),
    answer_within: timedelta = timedelta.max,
) -> Wiring:
    """Check a bot, join its parts and return the result.

    `built_in` are the types that the runtime's scope resolves, `provided` those registered
    elsewhere. Those that the routers `provide` are added. `answer_within` is the limit for
    handlers that set none.

    Raises:
        WiringError: There are faults; `problems` has all of them.
    """
    work = _Work(router, answer_within)
    available = {*built_in, *(provided or {}), *work.open_providers(built_in)}
    entries = work.entries(available)
    error_hooks = [work.error_hook(each, available) for each in _all_error_hooks(router)]
    signals = work.signals(entries)
    work.compare_states(entries)
    work.compare_names()
    sources = work.sources(entries)
    if work.faults:
        raise _refusal(router, work.faults)
    return Wiring(
        entries,
        signals=signals,
        unreachable=work.unreachable,
        error_hooks=error_hooks,
        renamed=work.old_names(entries),
        providers=work.providers,
        sources=sources,
    )


def _refusal(router: Router, faults: list[str]) -> WiringError:
    message = faults[0]
    if len(faults) > 1:
        listed = "".join(f"- {fault}\n" for fault in faults)
        message = f"{len(faults)} faults in the wiring of {router!r}:\n{listed}"
    hint = _HINT if any(UNSERVED in fault for fault in faults) else ""
    return WiringError(message, problems=faults, hint=hint)


class _Layer(NamedTuple):
    """A middleware and the types of its parameters."""

    function: Callable[..., Any]
    values: Values


class _Placed(NamedTuple):
    """A registration, its router, and all middleware around it, outermost first."""

    registration: Registration
    router: Router
    layers: tuple[_Layer, ...]


class _Work:
    """A wiring under way: the providers and faults found so far."""

    def __init__(self, root: Router, answer_within: timedelta) -> None:
        self.root = root
        self.answer_within = answer_within
        self.faults: list[str] = []
        self.unreachable: list[str] = []
        self.providers: dict[Any, Provider] = {}
        self._numbers: Counter[str] = Counter()
        self._claims: dict[str, list[Registration]] = {}
        self._before: list[tuple[str, str]] = []

    def open_providers(self, built_in: Collection[Any]) -> Iterable[Any]:
        """Collect the types that the routers' factories make; a built-in type is a fault."""
        for router in _all_routers(self.root):
            for provider in router.providers:
                try:
                    wanted = provider.provided()
                except WiringError as error:
                    self._fault(name_of(provider.factory), provider.place, error.message)
                    continue
                if wanted in built_in:
                    self._fault(
                        name_of(provider.factory),
                        provider.place,
                        f"{shown(wanted)} is given by botkit itself",
                    )
                if wanted in self.providers:
                    self._fault(
                        name_of(provider.factory),
                        provider.place,
                        f"{shown(wanted)} is provided already, at {self.providers[wanted].place}",
                    )
                self.providers[wanted] = provider
        return self.providers

    def entries(self, available: Collection[Any]) -> list[Entry]:
        """Return all handlers in order; one with a fault must not run."""
        placed = list(self._placed(self.root, (), available))
        self.unreachable = list(_unreachable(placed))
        return [self._entry(each, position, available) for position, each in enumerate(placed)]

    def error_hook(self, function: Callable[..., Any], available: Collection[Any]) -> Ring:
        """Return the call that passes a failure to a function."""
        asked = asked_of(function)
        values, _, faults = values_of(asked[1:], available=available)
        if not asked or not asked[0].positional or asked[0].gathers:
            faults.append("takes no failure: its first parameter is the Failure")
        if any(each.wanted is Actions for each in asked):
            faults.append("may not act: the run of the handler has ended")
        for fault in faults:
            self._fault(name_of(function), place_of(function), fault)
        return call(function, values)

    def signals(self, entries: Iterable[Entry]) -> dict[str, type[Signal]]:
        """Return the signals that have handlers, and their subclasses, by stored name."""
        found: dict[str, type[Signal]] = {}
        wanted = dict.fromkeys(kind for entry in entries for kind in entry.route.event_types)
        for kind in wanted:
            if issubclass(kind, Signal) and kind is not Signal:
                other = found.setdefault(kind.signal_name, kind)
                if other is not kind:
                    self.faults.append(
                        f"signal {kind.signal_name!r} is two classes, in {other.__module__} and "
                        f"{kind.__module__}: signals are stored by name"
                    )
                self._check_signal(kind)
        for kind in wanted:
            for derived in _derived(kind):
                if issubclass(derived, Signal) and derived is not Signal:
                    found.setdefault(derived.signal_name, derived)
        return found

    def sources(self, entries: Iterable[Entry]) -> Sources:
        """Return the declared sources; note the faults of their declarations."""
        taken = {kind for entry in entries for kind in entry.route.event_types}
        heard: list[Declared] = []
        wanted: list[tuple[str, str]] = []
        for router in _all_routers(self.root):
            heard += router.sources
            for part in router.parts:
                if not isinstance(part, Registration):
                    continue
                if part.rule is not None:
                    heard.append(Declared(part.rule, part.place))
                wanted += [(f.tag, part.place) for f in part.filters if isinstance(f, Tagged)]
        sources, faults = join(
            heard,
            wanted,
            lambda kind: any(issubclass(kind, each) or issubclass(each, kind) for each in taken),
        )
        self.faults += faults
        return sources

    def compare_names(self) -> None:
        """Report names that two handlers have, or had."""
        for name, (first, *others) in self._claims.items():
            for other in others:
                self._fault(
                    name,
                    other.place,
                    f"another handler has this name, at {first.place}; what handlers did is kept "
                    'under their names: give one a name of its own, on(..., name="...")',
                )

    def old_names(self, entries: Iterable[Entry]) -> dict[str, str]:
        """Return the names that handlers had before, each with the name of today."""
        today = {entry.route.name for entry in entries}
        return {old: new for old, new in self._before if old not in today}

    def compare_states(self, entries: Iterable[Entry]) -> None:
        """Report two classes of state that would be stored under one name."""
        found: dict[str, StateParam] = {}
        for state in (state for entry in entries for state in entry.route.states):
            other = found.setdefault(state.scope, state)
            if other.struct is not state.struct:
                self.faults.append(
                    f"state {state.scope!r} is two classes, in {other.struct.__module__} and "
                    f"{state.struct.__module__}: give one a `state_name: ClassVar[str]`"
                )

    def _placed(
        self, router: Router, outer: tuple[_Layer, ...], available: Collection[Any]
    ) -> Iterator[_Placed]:
        layers = (*outer, *(self._layer(function, available) for function in router.layers))
        for part in router.parts:
            if isinstance(part, Router):
                yield from self._placed(part, layers, available)
            else:
                yield _Placed(part, router, layers)

    def _layer(self, function: Callable[..., Any], available: Collection[Any]) -> _Layer:
        asked = asked_of(function)
        values, _, faults = values_of(asked[_EVENT_AND_NEXT:], available=available)
        leading = [each for each in asked[:_EVENT_AND_NEXT] if each.positional]
        if len(leading) < _EVENT_AND_NEXT:
            faults.append("takes no event and call_next as its first parameters")
        for fault in faults:
            self._fault(name_of(function), place_of(function), fault)
        return _Layer(function, values)

    def _entry(self, placed: _Placed, position: int, available: Collection[Any]) -> Entry:
        registration = placed.registration
        name, was = registration.name, self._names(placed)
        provides, faults = _judge_filters(registration)
        asked = asked_of(registration.handler)
        values, states, unserved = values_of(
            asked[1:],
            available={*available, *provides},
            event_types=registration.events,
        )
        wrong_event = event_fault(asked, registration.events)
        for fault in (*((wrong_event,) if wrong_event else ()), *faults, *unserved):
            self._fault(name, registration.place, fault)
        ring: Ring = call(registration.handler, values)
        for layer in reversed(placed.layers):
            ring = surround(layer.function, layer.values, ring)
        schedule = registration.schedule
        if schedule is not None:
            schedule = msgspec.structs.replace(schedule, name=name, was=was)
        return Entry(
            position=position,
            route=Route(
                name=name,
                place=registration.place,
                event_types=registration.events,
                timeout_s=registration.timeout_s,
                answer_within=registration.answer_within or self.answer_within,
                states=tuple(states),
                schedule=schedule,
            ),
            pins=_pins(registration, schedule),
            check=check_of(
                () if _index_decides(registration, values) else registration.filters,
                values.wanted,
            ),
            ring=ring,
        )

    def _names(self, placed: _Placed) -> tuple[str, ...]:
        """Note the handler's names; return those that it had before.

        Stores of earlier versions have `<router>.<function>`, with a number from the second one
        of a name on.
        """
        registration, router = placed.registration, placed.router.name
        old = f"{router}.{registration.function}"
        self._numbers[old] += 1
        number = self._numbers[old]
        was = (
            *registration.was,
            *(f"{router}.{name}" for name in registration.was),
            old if number == 1 else f"{old}#{number}",
        )
        for name in (registration.name, *registration.was):
            self._claims.setdefault(name, []).append(registration)
        self._before += [(name, registration.name) for name in was]
        return was

    def _check_signal(self, kind: type[Signal]) -> None:
        try:
            msgspec.json.Decoder(kind)
        except (NameError, TypeError) as error:
            self.faults.append(f"signal {shown(kind)} cannot be stored: {error}")

    def _fault(self, name: str, place: str, text: str) -> None:
        self.faults.append(f"{name} ({place}): {text}")


def _unreachable(placed: Iterable[_Placed]) -> Iterator[str]:
    """Yield a sentence for each handler that gets no events because an earlier one takes all."""
    take_all: list[Registration] = []
    for each in placed:
        later = each.registration
        for earlier in take_all:
            if later.schedule is None and all(
                issubclass(kind, earlier.events) for kind in later.events
            ):
                kinds = " and ".join(kind.__name__ for kind in later.events)
                yield (
                    f"{later.name} ({later.place}) never runs: {earlier.name} ({earlier.place}) "
                    f"stands before it and takes every {kinds}"
                )
                break
        if _takes_all(each):
            take_all.append(later)


def _takes_all(placed: _Placed) -> bool:
    """Return True if the handler takes each of its events: it has no filter and never skips."""
    registration = placed.registration
    if registration.filters or registration.schedule is not None:
        return False
    functions = (registration.handler, *(layer.function for layer in placed.layers))
    return not any(uses_name(function, Skip.__name__) for function in functions)


def _all_routers(router: Router) -> Iterator[Router]:
    yield router
    for part in router.parts:
        if isinstance(part, Router):
            yield from _all_routers(part)


def _all_error_hooks(router: Router) -> Iterator[Callable[..., Any]]:
    for each in _all_routers(router):
        yield from each.error_hooks


def _derived(kind: type[Event]) -> Iterator[type[Event]]:
    for derived in kind.__subclasses__():
        yield derived
        yield from _derived(derived)


def _judge_filters(registration: Registration) -> tuple[set[Any], list[str]]:
    """Return the types that the filters provide together, and their faults."""
    provides: set[Any] = set()
    twice: set[Any] = set()
    faults: list[str] = []
    for given in registration.filters:
        if not isinstance(given, Selective):
            continue
        twice |= {*given.conflicts, *(provides & {*given.provides})}
        provides |= {*given.provides}
        unfit = [kind.__name__ for kind in registration.events if not given.takes(kind)]
        if unfit:
            faults.append(f"the filter {given!r} is not for {', '.join(unfit)}")
    faults += [f"two filters provide {shown(kind)}" for kind in sorted(twice, key=shown)]
    return provides, faults


def _pins(registration: Registration, schedule: Schedule | None) -> tuple[Pin, ...]:
    if schedule is not None:
        return (Pin(keys=_schedule_of, values=frozenset({schedule.name, *schedule.was})),)
    filters = registration.filters
    return tuple(pin for given in filters if isinstance(given, Selective) for pin in given.pins)


def _schedule_of(tick: Tick) -> tuple[Hashable, ...]:
    return (tick.schedule,)


def _index_decides(registration: Registration, values: Values) -> bool:
    """Return True if every event that the index finds passes, and no value must be found."""
    if len(registration.filters) != 1:
        return registration.schedule is not None
    (given,) = registration.filters
    if not isinstance(given, Selective) or len(given.pins) != 1:
        return False
    (pin,) = given.pins
    return pin.decides and pin.worth <= 1 and values.wanted.isdisjoint(given.provides)
