"""Reads the parameters of a function and their types at run time.

Each annotation is resolved alone, so that an unreadable one hides no other fault.
"""

from __future__ import annotations

import functools
import inspect
import types
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "NOTHING",
    "HandlerParameter",
    "Unreadable",
    "asked_of",
    "is_async",
    "name_of",
    "place_of",
    "returned_by",
    "uses_name",
]

NOTHING: Any = inspect.Parameter.empty
"""The type of a parameter without an annotation."""


class Unreadable(Struct, frozen=True):
    """Stands for the type of a parameter whose annotation cannot be read; holds the cause."""

    why: str


class HandlerParameter(Struct, frozen=True, kw_only=True):
    """One parameter.

    Attributes:
        wanted: Its type without `None`; `NOTHING` if it has none, or an `Unreadable`.
        optional: Whether the type allows None.
        default: Whether it has a default.
        kind: The kind, as in `inspect.Parameter`.
    """

    name: str
    wanted: Any
    optional: bool = False
    default: bool = False
    kind: Any = inspect.Parameter.POSITIONAL_OR_KEYWORD

    @property
    def positional(self) -> bool:
        """Whether the parameter can be passed by position."""
        return self.kind in {
            inspect.Parameter.POSITIONAL_ONLY,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            inspect.Parameter.VAR_POSITIONAL,
        }

    @property
    def gathers(self) -> bool:
        """Whether the parameter is `*args` or `**kwargs`."""
        return self.kind in {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}


def asked_of(function: Callable[..., Any]) -> tuple[HandlerParameter, ...]:
    """Return the parameters of a function, method, callable object or partial, in order."""
    plain = _plain(function)
    annotations, broken = _annotations(plain)
    bound = _bound(function)
    found: list[HandlerParameter] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in bound:
            continue
        wanted = broken or _resolve(annotations.get(parameter.name, NOTHING), plain)
        inner, optional = _without_none(wanted)
        found.append(
            HandlerParameter(
                name=parameter.name,
                wanted=inner,
                optional=optional,
                default=parameter.default is not inspect.Parameter.empty,
                kind=parameter.kind,
            )
        )
    return tuple(found)


def returned_by(function: Callable[..., Any]) -> Any:
    """Return the return annotation; `NOTHING` if there is none, or an `Unreadable`."""
    plain = _plain(function)
    annotations, broken = _annotations(plain)
    return broken or _resolve(annotations.get("return", NOTHING), plain)


def is_async(function: Callable[..., Any]) -> bool:
    """Return True if a call returns a coroutine: the function, or the one it wraps, is async."""
    is_coroutine = inspect.iscoroutinefunction
    return is_coroutine(inspect.unwrap(_called(function), stop=is_coroutine))


def uses_name(function: Callable[..., Any], name: str) -> bool:
    """Return True if the function's code, or that of a function inside it, uses a global name."""
    codes = [getattr(_plain(function), "__code__", None)]
    while codes:
        code = codes.pop()
        if isinstance(code, types.CodeType):
            if name in code.co_names:
                return True
            codes += code.co_consts
    return False


def name_of(function: Callable[..., Any]) -> str:
    """Return the function's name in its module, classes included: `greet`, `Service.greet`."""
    plain = _plain(function)
    name: str = getattr(plain, "__qualname__", type(function).__qualname__)
    return name.rpartition("<locals>.")[2].removesuffix(".__call__")


def place_of(function: Callable[..., Any]) -> str:
    """Return file and line, or the function's `repr` if it has no source."""
    code = getattr(inspect.unwrap(_plain(function)), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else repr(function)


def _plain(function: Callable[..., Any]) -> Any:
    """Return the function that has the name and the annotations."""
    return inspect.unwrap(_called(function))


def _called(function: Callable[..., Any]) -> Any:
    """Return the function that is called, decorators included."""
    if isinstance(function, functools.partial):
        return _called(function.func)
    if inspect.isroutine(function):
        return getattr(function, "__func__", function)
    return type(function).__call__


def _bound(function: Any) -> Mapping[str, Any]:
    """Return the arguments that a partial passes by name already."""
    return function.keywords if isinstance(function, functools.partial) else {}


def _annotations(plain: Any) -> tuple[Mapping[str, Any], Unreadable | None]:
    try:
        return getattr(plain, "__annotations__", {}), None
    except NameError as error:  # from Python 3.14 on annotations are evaluated on access
        return {}, Unreadable(_unknown(error, plain))


def _resolve(annotation: Any, plain: Any) -> Any:
    if annotation is NOTHING:
        return NOTHING
    holder = types.SimpleNamespace(__annotations__={"it": annotation})
    try:
        return get_type_hints(holder, globalns=getattr(plain, "__globals__", {}))["it"]
    except NameError as error:
        return Unreadable(_unknown(error, plain))
    except (AttributeError, SyntaxError, TypeError) as error:
        return Unreadable(f"its annotation cannot be read: {error}")


def _unknown(error: NameError, plain: Any) -> str:
    local = "<locals>" in getattr(plain, "__qualname__", "")
    return (
        f"{error.name} is misspelt, or imported only for type checking"
        f"{', or defined inside a function' if local else ''}; botkit reads annotations when the "
        "bot starts: import it outside `if TYPE_CHECKING:`"
    )


def _without_none(wanted: Any) -> tuple[Any, bool]:
    if get_origin(wanted) not in {Union, types.UnionType}:
        return wanted, False
    parts = tuple(part for part in get_args(wanted) if part is not types.NoneType)
    if len(parts) == len(get_args(wanted)):
        return wanted, False
    return Union[parts], True  # noqa: UP007 - made from a tuple
