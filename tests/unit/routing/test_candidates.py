from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from botkit.errors import Skip
from botkit.filters import EventFilter, command, contains
from botkit.model.events import (
    DirectMessage,
    Event,
    Mention,
    PostEvent,
    Reply,
    Tick,
    XEvent,
)
from botkit.ports import Actions, Clock
from botkit.ports.matching import Pin
from botkit.routing.middleware import CallNext
from botkit.routing.router import Router
from botkit.routing.wiring import wire
from tests.unit.routing.samples import (
    AT,
    dm,
    handled,
    mention,
    named,
    names,
    reply,
    run,
    seen,
    unknown,
)

BUILT_IN = (Actions, Clock)


def test_the_first_in_order_of_registration_comes_first_depth_first() -> None:
    bot, inner, innermost = Router("bot"), Router("inner"), Router("innermost")
    bot.on(Mention)(named("one"))
    bot.include(inner)
    inner.on(Mention, contains("hello"))(named("two"))
    inner.include(innermost)
    innermost.on(PostEvent)(named("three"))
    inner.on(Reply)(named("not for mentions"))
    inner.on(Mention, command("help"))(named("four"))
    bot.on(Event)(named("five"))
    wiring = wire(bot)
    assert names(wiring, mention("hello")) == [
        *("one", "two", "three", "five"),
    ]
    assert names(wiring, mention("!help hello")) == [
        *("one", "two", "three", "four", "five"),
    ]
    assert names(wiring, unknown()) == ["five"]
    assert [route.name for route in wiring.routes] == [
        *("one", "two", "three", "not for mentions"),
        *("four", "five"),
    ]


def test_a_handler_for_a_base_class_gets_its_subclasses() -> None:
    bot = Router("bot")
    bot.on(PostEvent)(handled)
    wiring = wire(bot)
    for event in (mention(), reply(), seen()):
        assert names(wiring, event) == ["handled"]
    assert names(wiring, dm()) == []
    assert wiring.event_types == {PostEvent}


def test_a_handler_for_several_classes_gets_each() -> None:
    bot = Router("bot")
    bot.on((Mention, DirectMessage), contains("hi"))(handled)
    wiring = wire(bot)
    assert names(wiring, mention("hi")) == ["handled"]
    assert names(wiring, dm("hi")) == ["handled"]
    assert names(wiring, reply("hi")) == []
    assert wiring.routes[0].event_type is Mention


def test_all_filters_of_a_handler_must_pass() -> None:
    bot = Router("bot")
    bot.on(Mention, contains("a"), lambda event: event.text.endswith("!"))(handled)
    wiring = wire(bot)
    assert names(wiring, mention("a!")) == ["handled"]
    assert names(wiring, mention("a")) == []
    assert names(wiring, mention("b!")) == []


def test_a_filter_is_asked_when_its_turn_comes() -> None:
    asked: list[str] = []

    def first(event: Mention) -> bool:
        asked.append("first")
        return event.text == "hi"

    def second(event: Mention) -> bool:
        asked.append("second")
        return True

    bot = Router("bot")
    bot.on(Mention, first)(handled)
    bot.on(Mention, second, name="second")(handled)
    candidates = wire(bot).candidates(mention("hi"))
    assert next(candidates).route.name == "handled"
    assert asked == ["first"]
    assert next(candidates).route.name == "second"
    assert asked == ["first", "second"]


def test_what_the_index_has_decided_is_not_asked_again() -> None:
    asked: list[str] = []

    def by_text(event: DirectMessage) -> tuple[str, ...]:
        return (event.text,)

    def deciding(text: str) -> EventFilter[DirectMessage]:
        def test(event: DirectMessage) -> bool:
            asked.append(text)
            return event.text == text

        pin = Pin(keys=by_text, values=frozenset({text}), decides=True)
        return EventFilter(test, pins=(pin,))

    bot = Router("bot")
    bot.on(DirectMessage, deciding("a"))(named("one"))
    bot.on(DirectMessage, deciding("b"))(named("two"))
    bot.on(DirectMessage, deciding("a"), deciding("a"))(named("three"))
    bot.on(DirectMessage, deciding("a") | deciding("b"))(named("four"))
    bot.on(DirectMessage, deciding("a") & ~deciding("c"))(named("five"))
    wiring = wire(bot)
    assert names(wiring, dm("b")) == ["two", "four"]
    assert asked == []
    assert names(wiring, dm("a")) == ["one", "three", "four", "five"]
    assert asked == ["a", "a", "a", "c"]


async def test_a_tick_goes_to_the_handler_of_its_schedule_only() -> None:
    bot, inner = Router("bot"), Router("inner")
    bot.on(Event)(handled)
    bot.on(XEvent, name="others")(handled)
    bot.include(inner)

    @inner.every(60)
    async def often(tick: Tick) -> str:
        return tick.schedule

    inner.cron("0 8 * * *", name="at eight")(often)
    wiring = wire(bot)
    first, second = wiring.schedules
    assert (first.name, second.name) == ("often", "at eight")
    for schedule in wiring.schedules:
        tick = schedule.tick(AT, account_id="1")
        assert names(wiring, tick) == [schedule.name]
        assert await run(wiring, tick) == schedule.name
    assert names(wiring, Tick(account_id="1", at=AT, schedule="gone")) == []


def test_names_come_from_the_function_and_its_class() -> None:
    bot, twin = Router("bot"), Router("bot")

    class Service:
        async def greet(self, event: Mention) -> None:
            raise NotImplementedError(event)

    bot.on(Mention)(Service().greet)
    bot.on(Mention, name="second")(Service().greet)
    bot.include(twin)
    twin.on(Mention, name="third")(Service().greet)
    twin.on(Mention)(functools.partial(handled))
    wiring = wire(bot)
    assert [route.name for route in wiring.routes] == [
        *("Service.greet", "second", "third", "handled"),
    ]
    assert wiring.renamed == {
        "bot.Service.greet": "Service.greet",
        "bot.Service.greet#2": "second",
        "bot.Service.greet#3": "third",
        "bot.handled": "handled",
    }
    assert [__file__ in route.place for route in wiring.routes] == [True, True, True, False]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=40),
    st.text(alphabet="abc! ", max_size=8),
)
def test_with_or_without_index_the_same_handlers_match_in_the_same_order(
    wanted: list[tuple[str, bool]], text: str
) -> None:
    bot, plain = Router("bot"), Router("bot")
    for number, (letter, is_command) in enumerate(wanted):
        made = command(letter) if is_command else contains(letter)
        bot.on(DirectMessage, made, name=str(number))(handled)
        plain.on(DirectMessage, lambda event, made=made: made(event), name=str(number))(handled)
    assert names(wire(bot), dm(text)) == names(wire(plain), dm(text))


async def test_outer_middleware_goes_around_inner_whenever_it_was_registered() -> None:
    said: list[str] = []

    def saying(word: str) -> Callable[..., Any]:
        async def middleware(event: Event, call_next: CallNext) -> Any:
            said.append(word)
            return await call_next(event)

        return middleware

    bot, inner, beside = Router("bot"), Router("inner"), Router("beside")
    inner.on(Mention)(handled)
    inner.middleware(saying("inner"))
    beside.middleware(saying("beside"))
    bot.include(inner)
    bot.include(beside)
    bot.middleware(saying("first"))
    bot.middleware(saying("second"))
    assert await run(wire(bot), mention()) == "handled Mention"
    assert said == ["first", "second", "inner"]


async def test_middleware_runs_around_the_handler_that_matched_and_again_after_skip() -> None:
    said: list[str] = []
    bot = Router("bot")

    @bot.middleware
    async def telling(event: Event, call_next: CallNext, act: Actions) -> Any:
        said.append(f"in with {act}")
        try:
            return await call_next(event)
        finally:
            said.append("out")

    @bot.on(Mention, contains("nothing of it"))
    async def never(mention: Mention) -> None:
        raise AssertionError(mention)

    @bot.on(Mention)
    async def skipping(mention: Mention) -> None:
        raise Skip

    bot.on(Mention)(handled)
    wiring = wire(bot, built_in=BUILT_IN)
    assert await run(wiring, mention(), {Actions: "act"}) == "handled Mention"
    assert said == ["in with act", "out"] * 2
