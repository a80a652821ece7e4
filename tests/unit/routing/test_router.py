from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, cast

import pytest

from botkit import Bot
from botkit.errors import WiringError
from botkit.filters import contains, matches
from botkit.model.events import DirectMessage, Event, Mention, Tick
from botkit.ports import Actions
from botkit.routing.middleware import CallNext
from botkit.routing.router import Registration, Router
from tests.unit.routing.samples import dm, mention


async def greet(event: Mention, act: Actions | None = None) -> str:
    return f"{event.text} {act}"


def not_async(event: Mention) -> str:
    return event.text


def only(router: Router) -> Registration:
    (part,) = router.parts
    assert isinstance(part, Registration)
    return part


async def test_on_gives_the_handler_back_as_it_is() -> None:
    router = Router("greeter")
    assert router.on(Mention, contains("hello"))(greet) is greet
    assert await greet(mention("hi")) == "hi None"
    registered = only(router)
    assert registered.handler is greet
    assert registered.events == (Mention,)
    assert registered.timeout_s == 60.0
    assert registered.name == "greet"
    assert registered.place.startswith(__file__)


def test_a_handler_may_be_for_several_classes_of_events() -> None:
    router = Router("greeter")

    @router.on((Mention, DirectMessage), contains("hello"), timeout_s=5)
    async def either(event: Mention | DirectMessage) -> str:
        return event.text

    assert only(router).events == (Mention, DirectMessage)
    assert only(router).timeout_s == 5.0
    assert either(dm()).close() is None


@pytest.mark.parametrize(
    "event", ["mention", Mention | DirectMessage, int, None, (), (Mention, int)]
)
def test_on_needs_classes_of_events(event: Any) -> None:
    with pytest.raises(WiringError, match="needs a class of events"):
        Router("greeter").on(event)


def test_a_tick_goes_to_its_own_handler_only() -> None:
    with pytest.raises(WiringError, match="its own every or cron"):
        Router("greeter").on(Tick)


async def slow(event: Event) -> bool:
    return bool(event)


@pytest.mark.parametrize("given", ["hello", slow, str, None])
def test_what_is_no_filter_is_refused(given: Any) -> None:
    with pytest.raises(WiringError, match="a filter is a function"):
        Router("greeter").on(Mention, given)


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), "5", None])
def test_a_handler_needs_time(timeout_s: Any) -> None:
    with pytest.raises(WiringError, match="needs some seconds"):
        Router("greeter").on(Mention, timeout_s=timeout_s)


@pytest.mark.parametrize("within", [timedelta(0), timedelta(hours=-1), 3600, "1h"])
def test_how_late_an_event_may_be_is_a_span_of_time(within: Any) -> None:
    with pytest.raises(WiringError, match=r"answer_within=.*: say how late an event may be heard"):
        Router("greeter").on(Mention, answer_within=within)
    with pytest.raises(WiringError, match="answer_within="):
        Bot("greeter", answer_within=within)


def test_a_handler_answers_as_late_as_it_says_or_else_as_the_bot_says() -> None:
    bot = Bot("greeter", answer_within=timedelta(hours=3))

    @bot.on(Mention, answer_within=timedelta(hours=1))
    async def first(mention: Mention) -> None: ...

    @bot.on(DirectMessage)
    async def second(message: DirectMessage) -> None: ...

    assert [route.answer_within for route in bot.wiring.routes] == [
        timedelta(hours=1),
        timedelta(hours=3),
    ]


def test_a_handler_without_async_is_refused_with_its_place() -> None:
    router = Router("greeter")
    wrong: Any = not_async
    for register in (router.on(Mention), router.every(60), router.cron("0 8 * * *")):
        with pytest.raises(WiringError, match=r"not_async \(.*test_router\.py:\d+\) is not async"):
            register(wrong)
    with pytest.raises(WiringError, match=r"not_async .* is not async"):
        router.middleware(wrong)
    with pytest.raises(WiringError, match="is an async function, not 'greet'"):
        router.on(Mention)("greet")  # type: ignore[arg-type]
    assert router.parts == []
    assert router.layers == []


def test_every_and_cron_make_schedules_named_after_the_function() -> None:
    router = Router("clock")

    @router.every(timedelta(minutes=5), catch_up="latest", max_late=timedelta(hours=1))
    async def often(tick: Tick) -> None:
        raise NotImplementedError(tick)

    @router.cron("0 8 * * *", tz="Europe/Berlin", catch_up="all", timeout_s=5)
    async def daily(tick: Tick) -> None:
        raise NotImplementedError(tick)

    first, second = router.parts
    assert isinstance(first, Registration)
    assert isinstance(second, Registration)
    assert first.schedule is not None
    assert second.schedule is not None
    assert (first.schedule.name, first.schedule.spec) == ("often", "every 300 s")
    assert (first.schedule.catch_up, first.schedule.max_late) == ("latest", timedelta(hours=1))
    assert (second.schedule.name, second.schedule.spec) == (
        "daily",
        "cron 0 8 * * * Europe/Berlin",
    )
    assert second.schedule.catch_up == "all"
    assert (first.events, first.timeout_s, second.timeout_s) == ((Tick,), 60.0, 5.0)


def test_a_wrong_schedule_is_refused_where_it_stands() -> None:
    with pytest.raises(WiringError, match="five fields"):
        Router("clock").cron("often")
    with pytest.raises(WiringError, match="shortest interval"):
        Router("clock").every(0)


def test_an_included_router_stands_where_it_was_included() -> None:
    bot, reminders = Router("bot"), Router("reminders")
    bot.on(Mention, contains("first"))(greet)
    bot.include(reminders)
    bot.on(Mention)(greet)
    assert [type(part) for part in bot.parts] == [Registration, Router, Registration]
    assert reminders.parent is bot


def test_a_router_belongs_to_one_parent_and_to_no_descendant() -> None:
    bot, other, inner = Router("bot"), Router("other"), Router("inner")
    bot.include(inner)
    with pytest.raises(WiringError, match=r"Router\('inner'\) belongs to Router\('bot'\)"):
        other.include(inner)
    with pytest.raises(WiringError, match="one parent"):
        bot.include(inner)
    with pytest.raises(WiringError, match="cannot include itself"):
        inner.include(bot)
    with pytest.raises(WiringError, match="cannot include itself"):
        other.include(other)


@pytest.mark.parametrize("name", ["", " bot", "a/b", "a\nb"])
def test_a_router_has_a_name_that_can_stand_in_keys(name: str) -> None:
    with pytest.raises(WiringError, match="short name"):
        Router(name)


def test_provide_and_middleware_give_back_what_they_take() -> None:
    router = Router("bot")

    @router.provide
    def make() -> Registration:
        raise NotImplementedError

    @router.middleware
    async def timed(event: Event, call_next: CallNext) -> Any:
        return await call_next(event)

    (provider,) = router.providers
    assert provider.factory is make
    assert router.layers == [timed]
    with pytest.raises(WiringError, match="takes a function"):
        router.provide(object())  # type: ignore[type-var]


def test_a_subclass_is_a_router_of_its_own_kind() -> None:
    class Bot(Router):
        def __init__(self, name: str) -> None:
            super().__init__(name)
            self.may = frozenset({"post"})

    bot = Bot("greeter")
    bot.on(Mention, matches("x"))(greet)
    assert repr(bot) == "Bot('greeter')"
    assert only(bot).handler is greet


def test_what_would_never_run_is_refused_while_the_bot_runs() -> None:
    bot, part = Router("bot"), Router("part")
    bot.include(part)

    async def handler(event: Any) -> None: ...

    with bot.while_running():
        for register in (
            lambda: bot.on(Mention)(handler),
            lambda: part.on(Mention)(handler),
            lambda: bot.every(5)(handler),
            lambda: bot.cron("0 8 * * *")(handler),
            lambda: bot.middleware(handler),
            lambda: bot.provide(dict),
            lambda: bot.include(Router("late")),
        ):
            with pytest.raises(WiringError, match="while its bot runs: it would never be used"):
                register()
    bot.on(Mention)(handler)
    assert len(bot.parts) == 2


def test_a_second_class_of_events_belongs_into_a_tuple() -> None:
    with pytest.raises(
        WiringError, match=r"go into a tuple, as in on\(\(Mention, DirectMessage\)"
    ):
        Router("greeter").on(Mention, DirectMessage)  # type: ignore[arg-type]  # the fault


def test_a_handler_with_a_yield_is_told_so() -> None:
    async def generates(event: Mention) -> AsyncIterator[int]:
        yield len(event.text)

    with pytest.raises(WiringError, match=r"generates \(.*:\d+\) has a `yield`.* write `return`"):
        Router("greeter").on(Mention)(cast("Any", generates))
