from __future__ import annotations

import typing
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

import pytest

from botkit.errors import WiringError
from botkit.routing.provision import Provider

if TYPE_CHECKING:
    from decimal import Decimal


class Model:
    async def __aenter__(self) -> Self:
        raise AssertionError("a plain value is not entered")

    async def __aexit__(self, *_: object) -> None:
        raise AssertionError("nor left")


class Session:
    async def __aenter__(self) -> Model:
        return Model()

    async def __aexit__(self, *_: object) -> None:
        pass


def at_once() -> Model:
    return Model()


async def later(size: int = 1) -> Model:
    assert size == 1
    return Model()


@asynccontextmanager
async def opened() -> AsyncIterator[Model]:
    yield Model()


@asynccontextmanager
async def generated() -> AsyncGenerator[Model]:
    yield Model()


def managed() -> AbstractAsyncContextManager[Model]:
    return Session()


@pytest.mark.parametrize("factory", [at_once, later, opened, generated, managed, lambda: None])
async def test_what_is_made_is_there_for_the_time_of_the_block(
    factory: Callable[[], Any],
) -> None:
    async with Provider(factory=factory, place="here:1").open() as made:
        assert isinstance(made, Model) or factory.__name__ == "<lambda>"


@pytest.mark.parametrize("factory", [at_once, later, opened, generated, managed])
def test_the_return_annotation_is_the_provided_type(factory: Callable[[], Any]) -> None:
    assert Provider(factory=factory, place="here:1").provided() is Model


async def test_what_was_opened_is_closed_at_the_end() -> None:
    said: list[str] = []

    @asynccontextmanager
    async def open_model() -> AsyncIterator[Model]:
        said.append("opened")
        yield Model()
        said.append("closed")

    async with Provider(factory=open_model, place="here:1").open():
        assert said == ["opened"]
    assert said == ["opened", "closed"]


async def needs(size: int) -> Model:
    raise NotImplementedError(size)


async def undecorated() -> AsyncIterator[Model]:
    yield Model()


def unannotated():  # type: ignore[no-untyped-def]
    raise NotImplementedError


def vague() -> Any:
    raise NotImplementedError


def nothing() -> None:
    raise NotImplementedError


@asynccontextmanager
async def vaguely_opened() -> AsyncIterator:  # type: ignore[type-arg]
    yield


def vaguely_managed() -> typing.AsyncContextManager:  # type: ignore[type-arg]
    raise NotImplementedError


def hidden() -> Decimal:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("factory", "why"),
    [
        (needs, "takes no parameters"),
        (undecorated, "decorate it with @asynccontextmanager"),
        (unannotated, "annotate its return type"),
        (vague, "annotate its return type"),
        (nothing, "annotate its return type"),
        (vaguely_opened, "annotate its return type"),
        (vaguely_managed, "annotate its return type"),
        (hidden, "Decimal is misspelt, or imported only for type checking"),
    ],
)
def test_a_factory_that_does_not_say_what_it_makes_is_refused(
    factory: Callable[[], Any], why: str
) -> None:
    with pytest.raises(WiringError, match=why):
        Provider(factory=factory, place="here:1").provided()


async def test_a_factory_that_forgets_to_return_is_named_at_the_start() -> None:
    def make() -> Model:
        return None  # type: ignore[return-value]  # an author's mistake

    with pytest.raises(WiringError, match=r"make \(here:1\) made None, not a Model"):
        async with Provider(factory=make, place="here:1").open():
            pass


async def test_a_factory_may_say_that_it_makes_none() -> None:
    def make() -> int | None:
        return None

    async with Provider(factory=make, place="here:1").open() as made:
        assert made is None
