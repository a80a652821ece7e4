"""Decides by its exact type which value each parameter of a handler gets."""

from __future__ import annotations

import inspect
from types import UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

from botkit.errors import WiringError
from botkit.model.events import Event
from botkit.routing.middleware import Values
from botkit.routing.signatures import NOTHING, HandlerParameter, Unreadable
from botkit.routing.state import BotState, Conversation, StateParam, UserState, state_param

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

__all__ = ["UNSERVED", "event_fault", "shown", "values_of"]

_UNIONS = {Union, UnionType}
UNSERVED = "nobody provides"
_KEEPS_ITS_DEFAULT: Any = object()
_STATES = tuple(f"{kind.__name__}[...]" for kind in (Conversation, UserState, BotState))


def values_of(
    asked: Iterable[HandlerParameter],
    *,
    available: Collection[Any],
    event_types: Sequence[type[Event]] = (),
) -> tuple[Values, list[StateParam], list[str]]:
    """Return the values and states for the parameters after the event, and the faults.

    Each fault is a sentence. Only handlers have state: without `event_types` a state is treated
    like any other type.
    """
    positional: list[Any] = []
    by_name: list[tuple[str, Any]] = []
    states: list[StateParam] = []
    faults: list[str] = []
    gap = False
    for parameter in asked:
        try:
            state = state_param(parameter.wanted) if event_types else None
            if state is not None:
                _check_state(state, event_types)
                states.append(state)
            wanted = parameter.wanted if state else _value_of(parameter, available, event_types)
        except WiringError as error:
            faults.append(f"parameter {parameter.name!r}: {error.message}")
            continue
        if wanted is _KEEPS_ITS_DEFAULT:
            gap = True
        elif gap or not parameter.positional:
            by_name.append((parameter.name, wanted))
        else:
            positional.append(wanted)
    return Values(positional=tuple(positional), by_name=tuple(by_name)), states, faults


def event_fault(asked: Sequence[HandlerParameter], event_types: Iterable[type[Event]]) -> str:
    """Return the fault of a handler's first parameter, "" if it has none."""
    if not asked or not asked[0].positional or asked[0].gathers:
        return "takes no event: its first parameter is the event"
    wanted = asked[0].wanted
    members = get_args(wanted) if get_origin(wanted) in _UNIONS else (wanted,)
    if not all(isinstance(member, type) and issubclass(member, Event) for member in members):
        return ""  # no annotation, a protocol or a type variable: type checkers judge those
    wrong = [kind.__name__ for kind in event_types if not issubclass(kind, members)]
    if not wrong:
        return ""
    return f"is registered for {', '.join(wrong)}, but takes {shown(wanted)}"


def shown(wanted: Any) -> str:
    """Return a type as an author writes it."""
    if isinstance(wanted, type) and not get_args(wanted):
        return wanted.__qualname__.rpartition("<locals>.")[2]
    if get_args(wanted) and get_origin(wanted) not in _UNIONS:
        inner = ", ".join(map(shown, get_args(wanted)))
        return f"{shown(get_origin(wanted))}[{inner}]"
    return getattr(wanted, "__name__", None) or str(wanted)


def _value_of(
    parameter: HandlerParameter, available: Collection[Any], event_types: Sequence[type[Event]]
) -> Any:
    wanted = parameter.wanted
    if parameter.gathers:
        raise WiringError("botkit gives one value to each parameter, by its type")
    if isinstance(wanted, Unreadable):
        raise WiringError(wanted.why)
    if wanted is not NOTHING and wanted in available:
        return wanted
    if parameter.default and parameter.kind is not inspect.Parameter.POSITIONAL_ONLY:
        return _KEEPS_ITS_DEFAULT
    if wanted is NOTHING:
        raise WiringError("has no annotation: values are given by type")
    there = [*sorted({shown(kind) for kind in available}), *(_STATES if event_types else ())]
    raise WiringError(f"{UNSERVED} {shown(wanted)}. Available: {', '.join(there) or 'nothing'}")


def _check_state(state: StateParam, event_types: Iterable[type[Event]]) -> None:
    without = [kind.__name__ for kind in event_types if not state.fits(kind)]
    if without:
        raise WiringError(f"{', '.join(without)} has no {state.handle.kind} to remember")
