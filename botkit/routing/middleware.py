"""A handler inside its middleware; the middleware of outer routers runs first.

A middleware is `async def mw(event, call_next)`. `await call_next(event)` returns or raises what
the handler does, `Skip` included; a middleware that does not call it ends the event.
Further parameters are injected by type, like those of a handler.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias

from msgspec import Struct

from botkit.errors import StateError
from botkit.model.events import Event
from botkit.routing.signatures import name_of

__all__ = ["CallNext", "HeldBy", "Resolve", "Ring", "Values", "call", "surround"]

CallNext: TypeAlias = Callable[[Event], Awaitable[Any]]
"""Runs the rest of the ring; a middleware calls it once, with the event."""

Resolve: TypeAlias = Callable[[Any], Any]
"""Returns the value for a type, in one run of a handler."""

Ring: TypeAlias = Callable[[Resolve, Any], Coroutine[Any, Any, Any]]
"""A handler with the middleware around it."""


_PAIR = 2


class HeldBy:
    """The type by which a scope holds the names of middleware that did not call the next one."""


class Values(Struct, frozen=True, kw_only=True):
    """The types of a function's parameters after the event: by position, then by name."""

    positional: tuple[Any, ...] = ()
    by_name: tuple[tuple[str, Any], ...] = ()

    @property
    def wanted(self) -> frozenset[Any]:
        """All types, by position or by name."""
        return frozenset((*self.positional, *(wanted for _, wanted in self.by_name)))


class _Next:
    """Run the rest of a ring, once: a second run would repeat every write in it.

    Attributes:
        inner: The rest of the ring; None once the middleware has called it.
    """

    __slots__ = ("_function", "_resolve", "inner")

    def __init__(self, inner: Ring, resolve: Resolve, function: Callable[..., Any]) -> None:
        self.inner: Ring | None = inner
        self._resolve = resolve
        self._function = function

    def __call__(self, event: Any) -> Coroutine[Any, Any, Any]:
        inner, self.inner = self.inner, None
        if inner is None:
            raise StateError(
                f"{name_of(self._function)} called call_next a second time: the handler would "
                "write everything again.",
                hint="Raise Retry to have the whole event run again.",
            )
        return inner(self._resolve, event)


def call(function: Callable[..., Coroutine[Any, Any, Any]], values: Values) -> Ring:
    """Return a ring that calls the handler."""
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
    """Return a ring that calls the middleware around the inner ring.

    If the middleware returns without calling the inner ring, add its name to the scope's
    `HeldBy`.
    """
    positional, by_name = values.positional, values.by_name

    async def plain(resolve: Resolve, event: Any) -> Any:
        following = _Next(inner, resolve, function)
        result = await function(event, following)
        if following.inner is not None:
            resolve(HeldBy).append(name_of(function))
        return result

    async def ring(resolve: Resolve, event: Any) -> Any:
        following = _Next(inner, resolve, function)
        result = await function(
            event,
            following,
            *map(resolve, positional),
            **{name: resolve(wanted) for name, wanted in by_name},
        )
        if following.inner is not None:
            resolve(HeldBy).append(name_of(function))
        return result

    return ring if positional or by_name else plain
