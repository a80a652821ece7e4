"""The ring around a handler: outer routers' middleware first, the handler in the middle.

A middleware is `async def mw(event, call_next)`. What it awaits from `call_next(event)` is what
the handler returned or raised, `Skip` included; when it does not call it, the event ends there.
More parameters are injected by type, as a handler's are.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, TypeAlias

from msgspec import Struct

from botkit.model.events import Event

__all__ = ["CallNext", "Resolve", "Ring", "Values", "call", "surround"]

CallNext: TypeAlias = Callable[[Event], Awaitable[Any]]
"""What a middleware calls to go on, once, with the event."""

Resolve: TypeAlias = Callable[[Any], Any]
"""Gives the value for a type, in one run of a handler."""

Ring: TypeAlias = Callable[[Resolve, Any], Coroutine[Any, Any, Any]]
"""A handler with whatever surrounds it."""


_PAIR = 2


class Values(Struct, frozen=True, kw_only=True):
    """What a function is given beside the event: types in order, then types by name."""

    positional: tuple[Any, ...] = ()
    by_name: tuple[tuple[str, Any], ...] = ()

    @property
    def wanted(self) -> frozenset[Any]:
        """All types that it is given."""
        return frozenset((*self.positional, *(wanted for _, wanted in self.by_name)))


def call(function: Callable[..., Coroutine[Any, Any, Any]], values: Values) -> Ring:
    """A handler as a ring of its own."""
    positional, by_name = values.positional, values.by_name
    if by_name:
        return lambda resolve, event: function(
            event,
            *map(resolve, positional),
            **{name: resolve(wanted) for name, wanted in by_name},
        )
    if not positional:
        return lambda _, event: function(event)
    if len(positional) == 1:
        (only,) = positional
        return lambda resolve, event: function(event, resolve(only))
    if len(positional) == _PAIR:
        first, second = positional
        return lambda resolve, event: function(event, resolve(first), resolve(second))
    return lambda resolve, event: function(event, *map(resolve, positional))


def surround(
    function: Callable[..., Coroutine[Any, Any, Any]], values: Values, inner: Ring
) -> Ring:
    """A middleware around a ring."""
    positional, by_name = values.positional, values.by_name
    if positional or by_name:
        return lambda resolve, event: function(
            event,
            partial(inner, resolve),
            *map(resolve, positional),
            **{name: resolve(wanted) for name, wanted in by_name},
        )
    return lambda resolve, event: function(event, partial(inner, resolve))
