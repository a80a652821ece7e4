from __future__ import annotations

from asyncio import Event as Bell
from asyncio import Future, TaskGroup, get_running_loop
from typing import Any, cast

import pytest

from botkit.errors import Skip, StateError
from botkit.model.events import Event, Mention
from botkit.routing.middleware import CallNext, HeldBy, Values, call, surround
from tests.unit.routing.samples import mention


async def everything(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return args, kwargs


def by_type(wanted: Any) -> str:
    return f"a {wanted.__name__}"


@pytest.mark.parametrize(
    ("values", "args", "kwargs"),
    [
        (Values(), (), {}),
        (Values(positional=(int,)), ("a int",), {}),
        (Values(positional=(int, str)), ("a int", "a str"), {}),
        (Values(positional=(int, str, set)), ("a int", "a str", "a set"), {}),
        (Values(positional=(int,), by_name=(("x", str),)), ("a int",), {"x": "a str"}),
    ],
)
async def test_a_handler_gets_the_event_and_its_values(
    values: Values, args: tuple[str, ...], kwargs: dict[str, str]
) -> None:
    event = mention()
    assert await call(everything, values)(by_type, event) == ((event, *args), kwargs)


async def test_the_outer_ring_sees_what_the_inner_one_returns() -> None:
    seen: list[str] = []

    async def outer(event: Event, call_next: CallNext) -> Any:
        seen.append("outer in")
        returned = await call_next(event)
        seen.append("outer out")
        return returned, "outer"

    async def inner(event: Event, call_next: CallNext) -> Any:
        seen.append("inner in")
        return await call_next(event), "inner"

    async def handler(event: Mention) -> str:
        seen.append(event.text)
        return "handled"

    ring = surround(inner, Values(), call(handler, Values()))
    ring = surround(outer, Values(), ring)
    assert await ring(by_type, mention("hi")) == (("handled", "inner"), "outer")
    assert seen == ["outer in", "inner in", "hi", "outer out"]


async def test_a_middleware_that_does_not_go_on_ends_the_event() -> None:
    async def closed(event: Event, call_next: CallNext) -> str:
        del call_next
        return f"no {type(event).__name__}"

    held_by: list[str] = []
    ring = surround(closed, Values(), call(everything, Values()))
    assert await ring({HeldBy: held_by}.__getitem__, mention()) == "no Mention"
    assert held_by == ["closed"]


async def test_a_middleware_with_a_value_is_named_too_if_it_does_not_go_on() -> None:
    async def limited(event: Event, call_next: CallNext, most: int) -> int:
        del event, call_next
        return most

    scope = {HeldBy: [], int: 3}
    ring = surround(limited, Values(positional=(int,)), call(everything, Values()))
    assert await ring(scope.__getitem__, mention()) == 3
    assert scope[HeldBy] == ["limited"]


async def test_a_middleware_sees_what_the_handler_raises() -> None:
    async def handler(event: Mention) -> None:
        raise Skip

    raised: list[BaseException] = []

    async def watching(event: Event, call_next: CallNext) -> None:
        try:
            await call_next(event)
        except Skip as skip:
            raised.append(skip)
            raise

    with pytest.raises(Skip):
        await surround(watching, Values(), call(handler, Values()))(by_type, mention())
    assert len(raised) == 1


@pytest.mark.parametrize("values", [Values(positional=(int,)), Values(by_name=(("number", int),))])
async def test_a_middleware_gets_values_behind_call_next(values: Values) -> None:
    async def counting(event: Event, call_next: CallNext, number: int) -> Any:
        return number, await call_next(event)

    async def handler(event: Mention) -> str:
        return event.text

    ring = surround(counting, values, call(handler, Values()))
    assert await ring(by_type, mention("hi")) == ("a int", "hi")


def test_values_know_all_types_they_are_given() -> None:
    assert Values(positional=(int,), by_name=(("x", str),)).wanted == {int, str}


async def test_a_middleware_that_goes_on_twice_is_refused_and_the_handler_runs_once() -> None:
    seen: list[str] = []

    async def handler(event: Mention) -> None:
        seen.append(event.text)

    async def insisting(event: Event, call_next: CallNext) -> None:
        await call_next(event)
        await call_next(event)

    ring = surround(insisting, Values(), call(handler, Values()))
    with pytest.raises(StateError, match="insisting called call_next a second time"):
        await ring(by_type, mention("hi"))
    assert seen == ["hi"]


async def test_a_middleware_that_does_not_await_the_handler_is_refused_with_its_place() -> None:
    async def forgets(event: Event, call_next: CallNext) -> None:
        call_next(event)

    held_by: list[str] = []
    ring = surround(forgets, Values(), call(everything, Values()))
    with pytest.raises(StateError, match=r"forgets \(.*test_middleware.py:\d+\) called call_next"):
        await ring({HeldBy: held_by}.__getitem__, mention())
    assert held_by == []


async def test_a_handler_that_returns_another_awaitable_runs_in_its_middleware() -> None:
    def ready(event: Event) -> Future[str]:
        done: Future[str] = get_running_loop().create_future()
        done.set_result(type(event).__name__)
        return done

    async def through(event: Event, call_next: CallNext) -> str:
        return str(await call_next(event))

    ring = surround(through, Values(), call(cast("Any", ready), Values()))
    assert await ring(by_type, mention()) == "Mention"


async def test_a_middleware_may_leave_the_handler_to_a_task_of_its_own() -> None:
    begun, may_end = Bell(), Bell()
    seen: list[str] = []

    async def waits(event: Event) -> None:
        begun.set()
        await may_end.wait()
        seen.append(type(event).__name__)

    async with TaskGroup() as tasks:

        async def background(event: Event, call_next: CallNext) -> str:
            tasks.create_task(cast("Any", call_next(event)))
            await begun.wait()
            return "begun"

        ring = surround(background, Values(), call(waits, Values()))
        assert await ring(by_type, mention()) == "begun"
        may_end.set()
    assert seen == ["Mention"]
