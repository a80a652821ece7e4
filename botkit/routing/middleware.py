"""A handler inside its middleware; the middleware of outer routers runs first.

A middleware is `async def mw(event, call_next)`. `await call_next(event)` returns or raises what
the handler does, `Skip` included; a middleware that does not call it ends the event.
Further parameters are injected by type, like those of a handler.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias

from msgspec import Struct

from botkit.errors import StateError
from botkit.model.events import Event
from botkit.routing.signatures import name_of, place_of

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

    The middleware may call the inner ring once: a second run would repeat every write in it. If
    it returns without that, add its name to the scope's `HeldBy`; if it does not await the call,
    the event fails.
    """
    positional, by_name = values.positional, values.by_name

    async def ring(resolve: Resolve, event: Any) -> Any:
        run: Coroutine[Any, Any, Any] | None = None

        def call_next(event: Any) -> Coroutine[Any, Any, Any]:
            nonlocal run
            if run is not None:
                raise _second_call(function)
            run = inner(resolve, event)
            return run

        if positional or by_name:
            result = await function(
                event,
                call_next,
                *map(resolve, positional),
                **{name: resolve(wanted) for name, wanted in by_name},
            )
        else:  # to unpack nothing costs as much as the rest of the ring
            result = await function(event, call_next)
        if run is None:
            resolve(HeldBy).append(name_of(function))
        elif getattr(run, "cr_frame", None) is not None:  # it has not ended
            _must_have_begun(run, function)
        return result

    return ring


def _must_have_begun(run: Coroutine[Any, Any, Any], function: Callable[..., Any]) -> None:
    if inspect.getcoroutinestate(run) == inspect.CORO_CREATED:
        run.close()
        raise StateError(
            f"{name_of(function)} ({place_of(function)}) called call_next without `await`: the "
            "handler did not run.",
            hint="Write `await` before it.",
        )


def _second_call(function: Callable[..., Any]) -> StateError:
    return StateError(
        f"{name_of(function)} called call_next a second time: the handler would write everything "
        "again.",
        hint="Raise Retry to have the whole event run again.",
    )
