from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Optional

import pytest

from botkit.model.events import Mention
from botkit.ports import Actions, Clock
from botkit.routing.signatures import (
    NOTHING,
    HandlerParameter,
    Unreadable,
    asked_of,
    is_async,
    name_of,
    place_of,
    returned_by,
)

if TYPE_CHECKING:
    from decimal import Decimal


async def greet(mention: Mention, act: Actions, clock: "Clock") -> str:  # noqa: UP037
    raise NotImplementedError


async def odd(  # type: ignore[no-untyped-def]
    mention,
    /,
    act: Actions | None,
    other: Optional[Clock] = None,  # noqa: UP045
    both: int | str | None = 1,
    either: int | str = 1,
    nothing: dict[str, None] = {},  # noqa: B006
    *more: int,
    limit: int = 5,
    **rest: str,
):
    raise NotImplementedError


async def hidden(mention: Mention, price: Decimal, act: Actions) -> Decimal:
    raise NotImplementedError


async def broken(a: inspect.nothing_of_it, b: "1 +", c: Actions) -> None:  # type: ignore[name-defined, syntax] # noqa: F722
    raise NotImplementedError


def not_async(mention: Mention) -> None:
    raise NotImplementedError


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


class Service:
    async def greet(self, mention: Mention, act: Actions) -> str:
        raise NotImplementedError

    async def __call__(self, mention: Mention, act: Actions) -> str:
        raise NotImplementedError

    @staticmethod
    async def still(mention: Mention) -> None:
        raise NotImplementedError


def wanted(function: Callable[..., Any]) -> list[tuple[str, Any]]:
    return [(asked.name, asked.wanted) for asked in asked_of(function)]


def test_annotations_are_read_as_types_written_as_text_or_not() -> None:
    assert wanted(greet) == [("mention", Mention), ("act", Actions), ("clock", Clock)]
    assert returned_by(greet) is str


def test_each_kind_of_parameter_is_told_apart() -> None:
    by_name = {asked.name: asked for asked in asked_of(odd)}
    assert by_name["mention"].wanted is NOTHING
    assert by_name["act"] == HandlerParameter(name="act", wanted=Actions, optional=True)
    assert by_name["other"] == HandlerParameter(
        name="other", wanted=Clock, optional=True, default=True
    )
    assert by_name["both"].wanted == int | str
    assert (by_name["either"].wanted, by_name["either"].optional) == (int | str, False)
    assert (by_name["nothing"].wanted, by_name["nothing"].optional) == (dict[str, None], False)
    assert [name for name, asked in by_name.items() if asked.positional] == [
        *("mention", "act", "other", "both", "either", "nothing", "more"),
    ]
    assert [name for name, asked in by_name.items() if asked.gathers] == ["more", "rest"]
    assert by_name["limit"].default
    assert returned_by(odd) is NOTHING


def test_a_name_that_is_there_for_checkers_only_hides_no_other() -> None:
    (_, mention), (_, price), (_, act) = wanted(hidden)
    assert (mention, act) == (Mention, Actions)
    assert isinstance(price, Unreadable)
    assert "Decimal is misspelt, or imported only for type checking;" in price.why
    assert isinstance(returned_by(hidden), Unreadable)


def test_a_class_of_a_function_cannot_be_found_either() -> None:
    class Local:
        pass

    async def handler(local: Local) -> None:
        raise NotImplementedError

    ((_, local),) = wanted(handler)
    assert isinstance(local, Unreadable)
    assert "or defined inside a function" in local.why


def test_annotations_that_make_no_sense_are_said_to() -> None:
    (_, a), (_, b), (_, c) = wanted(broken)
    assert isinstance(a, Unreadable)
    assert isinstance(b, Unreadable)
    assert "cannot be read" in a.why
    assert c is Actions


def test_annotations_that_raise_when_they_are_asked_for_are_unreadable() -> None:
    class Lazy:
        """What functions are from Python 3.14 on."""

        __signature__ = inspect.signature(not_async)
        __qualname__ = "lazy"

        @property
        def __annotations__(self) -> dict[str, Any]:  # type: ignore[override]
            raise NameError("name 'Decimal' is not defined", name="Decimal")

    def function() -> None:
        raise NotImplementedError

    function.__wrapped__ = Lazy()  # type: ignore[attr-defined]
    ((name, mention),) = wanted(function)
    assert name == "mention"
    assert isinstance(mention, Unreadable)
    assert "Decimal is misspelt, or imported only for type checking;" in mention.why
    assert returned_by(function) == mention


def test_methods_callables_and_partials_are_read_without_what_is_bound() -> None:
    service = Service()
    assert wanted(service.greet) == [("mention", Mention), ("act", Actions)]
    assert wanted(service) == [("mention", Mention), ("act", Actions)]
    assert wanted(Service.still) == [("mention", Mention)]
    assert wanted(functools.partial(greet, clock=None)) == [("mention", Mention), ("act", Actions)]
    assert wanted(functools.partial(greet, None)) == [("act", Actions), ("clock", Clock)]
    assert wanted(logged(greet)) == wanted(greet)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (greet, "greet"),
        (Service().greet, "Service.greet"),
        (Service(), "Service"),
        (Service.still, "Service.still"),
        (functools.partial(greet, None), "greet"),
        (functools.partial(functools.partial(Service(), None)), "Service"),
        (logged(greet), "greet"),
    ],
)
def test_a_function_is_called_by_its_name_in_the_module(
    function: Callable[..., Any], name: str
) -> None:
    assert name_of(function) == name
    assert is_async(function)
    path, _, line = place_of(function).rpartition(":")
    assert path.endswith("test_signatures.py")
    assert line.isdecimal()


def test_a_local_function_is_called_without_what_is_around_it() -> None:
    async def inner() -> None:
        raise NotImplementedError

    assert name_of(inner) == "inner"


def test_a_blocking_function_that_a_decorator_makes_async_is_async() -> None:
    @functools.wraps(not_async)
    async def in_a_thread() -> None:
        raise NotImplementedError

    assert is_async(in_a_thread)
    assert is_async(logged(in_a_thread))
    assert is_async(functools.partial(in_a_thread))


def test_what_gives_no_coroutine_is_not_async() -> None:
    assert not is_async(not_async)
    assert not is_async(logged(not_async))
    assert not is_async(print)
    assert place_of(print) == repr(print)
