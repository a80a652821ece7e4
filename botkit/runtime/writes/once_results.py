"""Run the coroutine function passed to `act.once`, and convert its result to and from JSON."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

import msgspec

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["as_json", "called", "result_type"]

T = TypeVar("T")


async def called(name: str, call: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
    """Return the result of the call. Raise `TypeError` if it is not async."""
    if not callable(call):
        raise TypeError(
            f"act.once({name!r}, call, ...) takes a function and its arguments, as in "
            f"act.once({name!r}, model.answer, text), not {type(call).__name__}: do not call it."
        )
    result: object = call(*args, **kwargs)
    if not inspect.isawaitable(result):
        function = getattr(call, "__name__", None) or repr(call)
        raise TypeError(
            f"act.once({name!r}, {function}) needs an async function, and {function} is none: "
            f"write `async def {function}`, or run it in a thread with asyncio.to_thread."
        )
    made: T = await result
    return made


def result_type(call: Callable[..., Awaitable[Any]]) -> Any:
    """Return the annotated return type of a coroutine function, `Any` without one."""
    target = inspect.unwrap(call)
    while hasattr(target, "func"):
        target = target.func
    if not inspect.isroutine(target):
        target = type(target).__call__
    try:
        kind = get_type_hints(target).get("return", Any)
    except (NameError, TypeError):
        return Any
    return Any if isinstance(kind, TypeVar) else kind


def as_json(name: str, result: object, kind: Any) -> bytes:
    """Return the result as JSON. Raise `TypeError` if decoding would not restore it."""
    try:
        kept = msgspec.json.encode(result)
        same = msgspec.json.decode(kept, type=kind) == result
    except (TypeError, ValueError, msgspec.MsgspecError) as error:
        raise _not_json(name, result) from error
    if not same:
        raise _not_json(name, result)
    return kept


def _not_json(name: str, result: object) -> TypeError:
    return TypeError(
        f"act.once({name!r}, ...) got a {type(result).__name__}, which cannot be kept as JSON and "
        "come back the same: return plain JSON values, or annotate what the coroutine function "
        "returns (a msgspec Struct, a dataclass)."
    )
