from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Optional

import pytest
from msgspec import Struct

from botkit.errors import Skip, WiringError
from botkit.filters import Command, Match, command, contains, matches
from botkit.model.events import (
    DirectMessage,
    Event,
    Mention,
    PostEvent,
    Reply,
    Signal,
    Tick,
)
from botkit.model.failures import Failure
from botkit.model.posts import Post
from botkit.ports import Actions, Clock
from botkit.routing.middleware import CallNext
from botkit.routing.router import Router
from botkit.routing.state import BotState, Conversation, UserState
from botkit.routing.wiring import Candidate, wire
from tests.unit.routing.samples import (
    AT,
    Remind,
    dm,
    handled,
    mention,
    named,
    names,
    run,
)

if TYPE_CHECKING:
    from decimal import Decimal

BUILT_IN = (Actions, Clock)


class Case(Struct, frozen=True):
    answers: int = 0


class OtherCase(Struct, frozen=True):
    state_name: ClassVar[str] = "Case"


class Model:
    pass


class Late(Remind, frozen=True, kw_only=True):
    pass


class Odd(Signal, frozen=True, kw_only=True):
    number: complex | set[int] = 0j


def faults(router: Router, **options: Any) -> list[str]:
    with pytest.raises(WiringError) as refused:
        wire(router, **({"built_in": BUILT_IN} | options))
    return list(refused.value.problems)


# With which values


async def test_values_come_by_exact_type_from_the_scope_and_from_filters() -> None:
    bot = Router("bot")

    @bot.on(DirectMessage, command("remind") & matches(r"\d+"))
    async def note(dm: DirectMessage, found: Match, act: Actions, *, asked: Command) -> Any:
        return dm.id, found.text, act, asked.name

    assert await run(wire(bot, built_in=BUILT_IN), dm("!remind 5"), {Actions: "act"}) == (
        *("70", "5", "act", "remind"),
    )


async def test_filters_that_stand_apart_provide_together() -> None:
    bot = Router("bot")

    @bot.on(DirectMessage, command("remind"), lambda _: True, matches(r"\d+"))
    async def note(dm: DirectMessage, found: Match, asked: Command) -> Any:
        return dm.id, found.text, asked.args

    wiring = wire(bot)
    assert await run(wiring, dm("!remind 5")) == ("70", "5", "5")
    assert await run(wiring, dm("!remind")) is None


async def test_what_nobody_asks_for_is_not_made() -> None:
    bot = Router("bot")
    bot.on(DirectMessage, matches("x"))(handled)
    assert await run(wire(bot), dm("x")) == "handled DirectMessage"
    assert await run(wire(bot), dm("y")) is None


async def test_a_default_stays_unless_somebody_provides_the_type() -> None:
    bot = Router("bot")

    @bot.on(Mention)
    async def note(
        mention: Mention,
        n: int = 3,
        act: Actions | None = None,
        clock: Optional[Clock] = None,  # noqa: UP045
        other=5,  # type: ignore[no-untyped-def]
    ) -> Any:
        return mention.id, n, act, clock, other

    assert await run(wire(bot, built_in=(Actions,)), mention(), {Actions: "act"}) == (
        *("50", 3, "act", None, 5),
    )


async def test_bound_methods_and_partials_are_handlers() -> None:
    class Service:
        def __init__(self, word: str) -> None:
            self.word = word

        async def greet(self, mention: Mention, act: Actions) -> Any:
            return self.word, mention.id, act

    bot = Router("bot")
    bot.on(Mention, contains("a"))(Service("hi").greet)
    bot.on(Mention, name="ho")(functools.partial(Service("ho").greet, act=None))
    wiring = wire(bot, built_in=BUILT_IN)
    assert await run(wiring, mention("a"), {Actions: "act"}) == ("hi", "50", "act")
    assert await run(wiring, mention("b"), {Actions: "act"}) == ("ho", "50", None)


def test_states_are_on_the_route_for_the_runtime_to_load() -> None:
    bot = Router("bot")

    @bot.on(DirectMessage)
    async def support(
        dm: DirectMessage, case: Conversation[Case], own: BotState[Case], who: UserState[Case]
    ) -> None:
        raise NotImplementedError((dm, case, own, who))

    @bot.on(Remind)
    async def ring(remind: Remind, case: Conversation[Case]) -> None:
        raise NotImplementedError((remind, case))

    support_route, ring_route = wire(bot).routes
    assert [state.scope for state in support_route.states] == [
        *("conversation/Case", "bot/Case", "user/Case"),
    ]
    assert [state.wanted for state in ring_route.states] == [Conversation[Case]]


async def test_a_state_is_given_as_the_scope_resolves_it() -> None:
    bot = Router("bot")

    @bot.on(DirectMessage)
    async def support(dm: DirectMessage, case: Conversation[Case]) -> Any:
        return case.value

    wiring = wire(bot)
    (state,) = wiring.routes[0].states
    handle = state.open(dm(), account_id="1")
    assert await run(wiring, dm(), {Conversation[Case]: handle}) == Case()


async def test_what_routers_provide_is_known_in_the_whole_bot() -> None:
    bot, inner = Router("bot"), Router("inner")
    bot.include(inner)

    @inner.provide
    def open_model() -> Model:
        return Model()

    @bot.on(Mention)
    async def note(mention: Mention, model: Model) -> Any:
        return model

    wiring = wire(bot)
    model = Model()
    assert await run(wiring, mention(), {Model: model}) is model
    async with wiring.providers[Model].open() as made:
        assert isinstance(made, Model)
    assert wire(bot, provided={Post: None}).providers.keys() == {Model}


# What is refused


def test_a_type_that_nobody_provides_is_named_with_all_that_is_there() -> None:
    bot = Router("desk")

    @bot.on(Mention, matches("x"))
    async def support(mention: Mention, model: Model) -> None:
        raise NotImplementedError((mention, model))

    with pytest.raises(WiringError) as refused:
        wire(bot, built_in=BUILT_IN)
    line = support.__code__.co_firstlineno
    assert refused.value.message == (
        f"support ({__file__}:{line}): parameter 'model': nobody provides Model. Available: "
        "Actions, Clock, Match, Conversation[...], UserState[...], BotState[...]"
    )
    assert "provide(factory)" in refused.value.hint


def test_all_faults_are_told_at_once() -> None:
    bot, inner = Router("bot"), Router("inner")
    bot.include(inner)

    @bot.on(Mention)
    async def one(event: Tick, price: Decimal, model: Model) -> None:
        raise NotImplementedError

    @inner.on(DirectMessage)
    async def two(dm: DirectMessage, unknown, *args: int, **kwargs: int) -> None:  # type: ignore[no-untyped-def]
        raise NotImplementedError

    @inner.on(Mention)
    async def three() -> None:
        raise NotImplementedError

    @inner.middleware
    async def thin(event: Event) -> None:
        raise NotImplementedError

    found = faults(bot)
    wanted = [
        ("inner", "thin", "takes no event and call_next"),
        ("bot", "one", "is registered for Mention, but takes Tick"),
        (
            "bot",
            "one",
            "parameter 'price': Decimal is misspelt, or imported only for type checking",
        ),
        ("bot", "one", "parameter 'model': nobody provides Model"),
        ("inner", "two", "parameter 'unknown': has no annotation"),
        ("inner", "two", "parameter 'args': botkit gives one value"),
        ("inner", "two", "parameter 'kwargs': botkit gives one value"),
        ("inner", "three", "takes no event"),
    ]
    assert len(found) == len(wanted)
    for _, function, text in wanted:
        assert [fault for fault in found if function in fault and text in fault], text
    with pytest.raises(WiringError) as refused:
        wire(bot)
    assert "8 faults in the wiring of Router('bot'):\n- " in str(refused.value)


@pytest.mark.parametrize("takes", [Any, object, PostEvent, Mention | DirectMessage])
def test_a_handler_may_take_more_than_it_is_registered_for(takes: Any) -> None:
    bot = Router("bot")
    handler = named("wide")
    handler.__annotations__["event"] = takes
    bot.on(Mention)(handler)
    assert names(wire(bot), mention()) == ["wide"]


@pytest.mark.parametrize("takes", [Reply, Reply | DirectMessage, Optional[Reply]])  # noqa: UP045
def test_a_handler_may_not_take_less_than_it_is_registered_for(takes: Any) -> None:
    bot = Router("bot")
    handler = named("narrow")
    handler.__annotations__["event"] = takes
    bot.on((Mention, Reply))(handler)
    assert ["is registered for Mention, but takes " in fault for fault in faults(bot)] == [True]


async def by_name_only(*, event: Mention) -> None:
    raise NotImplementedError


async def all_of_it(*events: Mention) -> None:
    raise NotImplementedError


async def defaults_by_position(event: Mention, n: int = 3, /) -> None:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("handler", "why"),
    [
        (by_name_only, "takes no event"),
        (all_of_it, "takes no event"),
        (defaults_by_position, "'n': nobody provides int"),
    ],
)
def test_a_signature_that_cannot_be_served_is_refused(
    handler: Callable[..., Any], why: str
) -> None:
    bot = Router("bot")
    bot.on(Mention)(handler)
    assert [why in fault for fault in faults(bot)] == [True]


def test_a_filter_that_cannot_judge_the_event_is_refused() -> None:
    bot = Router("bot")
    untyped: Any = contains("x") & matches("y")
    bot.on(Remind, untyped)(handled)
    (fault,) = faults(bot)
    assert "the filter (contains('x') & matches('y')) is not for Remind" in fault


@pytest.mark.parametrize(
    "given_filters", [(matches("a") & matches("b"),), (matches("a"), matches("b"))]
)
def test_two_providers_of_one_type_are_refused(given_filters: tuple[Any, ...]) -> None:
    bot = Router("bot")
    bot.on(Mention, *given_filters)(handled)
    (fault,) = faults(bot)
    assert "handled" in fault
    assert "two filters provide Match" in fault


def test_what_only_one_side_of_an_or_provides_is_provided_by_nobody() -> None:
    bot = Router("bot")

    @bot.on(Mention, matches("a") | contains("b"))
    async def note(mention: Mention, found: Match) -> None:
        raise NotImplementedError((mention, found))

    assert "'found': nobody provides Match" in faults(bot)[0]


def test_state_is_refused_where_there_is_none_to_keep() -> None:
    bot = Router("bot")

    @bot.every(60)
    async def tick(tick: Tick, case: Conversation[Case], own: BotState[Case]) -> None:
        raise NotImplementedError((tick, case, own))

    @bot.on(Mention)
    async def bare(mention: Mention, case: Conversation) -> None:  # type: ignore[type-arg]
        raise NotImplementedError((mention, case))

    @bot.middleware
    async def remembering(event: Event, call_next: CallNext, own: BotState[Case]) -> None:
        raise NotImplementedError((event, call_next, own))

    layer, first, second = faults(bot)
    assert "'own': nobody provides BotState[Case]. Available: Actions, Clock" in layer
    assert "tick" in first
    assert "'case': Tick has no conversation to remember" in first
    assert "Conversation needs the class of its value" in second


def test_two_classes_of_state_under_one_name_are_refused() -> None:
    bot = Router("bot")

    @bot.on(Mention)
    async def one(mention: Mention, a: UserState[Case], b: BotState[OtherCase]) -> None:
        raise NotImplementedError((mention, a, b))

    @bot.on(Mention)
    async def two(mention: Mention, a: UserState[OtherCase], b: UserState[Case]) -> None:
        raise NotImplementedError((mention, a, b))

    (fault,) = faults(bot)
    assert "state 'user/Case' is two classes" in fault


def test_a_factory_without_a_type_and_a_type_with_two_factories_are_refused() -> None:
    def vague():  # type: ignore[no-untyped-def]
        raise NotImplementedError

    bot, inner = Router("bot"), Router("inner")
    bot.include(inner)

    @bot.provide
    def first() -> Model:
        raise NotImplementedError

    @inner.provide
    async def second() -> Model:
        raise NotImplementedError

    @bot.provide
    def own_actions() -> Actions:
        raise NotImplementedError

    inner.provide(vague)
    given, twice, untold = faults(bot)
    assert "Actions is given by botkit itself" in given
    assert "second" in twice
    assert "Model is provided already, at " in twice
    assert "annotate its return type" in untold


# What else the runtime asks


def test_signals_are_known_by_name_with_those_derived_from_them() -> None:
    bot = Router("bot")
    bot.on(Remind)(handled)
    assert wire(bot).signals == {"Remind": Remind, "Late": Late}
    assert names(wire(bot), Late(asked=mention())) == ["handled"]


def test_a_handler_for_all_signals_knows_all_there_are() -> None:
    class Unrepeated(Signal, frozen=True, kw_only=True):
        """Named as no other class that a run of the tests may have made."""

    bot = Router("bot")
    bot.on(Signal)(handled)
    signals = wire(bot).signals
    assert signals["Unrepeated"] is Unrepeated
    assert "Signal" not in signals


def test_signals_of_one_name_and_signals_that_cannot_be_stored_are_refused() -> None:
    class Remind(Signal, frozen=True, kw_only=True):
        what: str

    twin: Any = Remind
    bot = Router("bot")
    bot.on(twin)(handled)
    bot.on(globals()["Remind"], name="second")(handled)
    bot.on(Odd, name="third")(handled)
    twice, odd = faults(bot)
    assert "signal 'Remind' is two classes, in " in twice
    assert "signal Odd cannot be stored" in odd


def test_a_route_says_what_the_runtime_needs() -> None:
    bot = Router("bot")
    bot.on(Mention, timeout_s=5)(handled)
    bot.every(timedelta(hours=1))(named("often"))
    wiring = wire(bot)
    first, second = wiring.routes
    assert (first.timeout_s, first.schedule, first.states) == (5.0, None, ())
    assert second.schedule == wiring.schedules[0]
    candidate = next(wiring.candidates(mention()))
    assert isinstance(candidate, Candidate)
    assert candidate.route is first


def test_a_handler_is_called_by_its_function_wherever_that_stands_or_by_its_own_name() -> None:
    bot, inner = Router("bot"), Router("inner")
    bot.include(inner)
    inner.on(Mention)(handled)
    bot.on(DirectMessage, name="on message", was="messages")(handled)
    bot.every(60, was=("tick", "tock"))(named("often"))
    wiring = wire(bot)
    assert [route.name for route in wiring.routes] == ["handled", "on message", "often"]
    assert wiring.renamed == {
        "inner.handled": "handled",
        "bot.handled": "on message",
        "bot.often": "often",
        "messages": "on message",
        "bot.messages": "on message",
        "tick": "often",
        "bot.tick": "often",
        "tock": "often",
        "bot.tock": "often",
    }
    (schedule,) = wiring.schedules
    assert (schedule.name, schedule.was[:2]) == ("often", ("tick", "tock"))
    old = Tick(account_id="1", at=AT, schedule="bot.often")
    assert names(wiring, old) == ["often"]


@pytest.mark.parametrize("more", [{}, {"name": "other", "was": "handled"}])
def test_two_handlers_of_one_name_are_refused_with_the_way_out(more: Any) -> None:
    bot, inner = Router("bot"), Router("inner")
    bot.include(inner)
    bot.on(Mention)(handled)
    inner.on(DirectMessage, **more)(handled)
    (fault,) = faults(bot)
    assert fault.startswith("handled (")
    assert "another handler has this name, at " in fault
    assert 'give one a name of its own, on(..., name="...")' in fault


@pytest.mark.parametrize("names", [{"name": "a/b"}, {"was": ("x", " y")}, {"was": ""}])
def test_a_handler_has_a_name_that_can_stand_in_keys(names: Any) -> None:
    with pytest.raises(WiringError, match="called by a short name without slashes"):
        Router("bot").on(Mention, **names)


def test_a_signal_keeps_the_name_that_it_was_stored_under() -> None:
    class Later(Signal, frozen=True, kw_only=True):
        signal_name: ClassVar[str] = "Remind"

    class Derived(Later, frozen=True, kw_only=True):
        pass

    bot = Router("bot")
    bot.on(Later)(named("later"))
    assert dict(wire(bot).signals) == {"Remind": Later, "Derived": Derived}


def _two(first: Callable[..., Any], second: Any = Mention, *filters: Any) -> tuple[str, ...]:
    bot = Router("greeter")
    bot.on(PostEvent, *filters)(first)

    @bot.on(second)
    async def later(event: Any) -> None: ...

    return wire(bot).unreachable


async def takes_all(event: PostEvent) -> None: ...


async def skips(event: PostEvent) -> None:
    def passes() -> None:
        raise Skip

    passes()


def test_a_schedule_takes_the_ticks_of_no_other() -> None:
    bot = Router("greeter")
    bot.cron("0 8 * * *")(named("morning"))
    bot.cron("0 20 * * *")(named("evening"))
    assert wire(bot).unreachable == ()


def test_a_handler_whose_events_an_earlier_one_takes_is_named() -> None:
    (why,) = _two(takes_all)
    assert why.startswith("later (")
    assert "never runs: takes_all (" in why
    assert why.endswith("stands before it and takes every Mention")
    assert len(_two(takes_all, (Mention, Reply))) == 1


def test_a_handler_that_still_gets_some_events_is_not() -> None:
    assert _two(takes_all, DirectMessage) == ()
    assert _two(takes_all, (Mention, DirectMessage)) == ()
    assert _two(takes_all, Mention, contains("hello")) == ()
    assert _two(skips) == ()
    assert _two(functools.partial(skips)) == ()


def test_ticks_and_what_a_middleware_skips_are_reachable() -> None:
    bot = Router("greeter")
    bot.on(PostEvent)(takes_all)

    @bot.every(60)
    async def now(tick: Tick) -> None: ...

    @bot.middleware
    async def may_skip(event: Event, call_next: CallNext) -> None:
        raise Skip

    bot.on(Mention)(skips)
    assert wire(bot).unreachable == ()


async def test_functions_that_are_told_of_failures_get_what_they_ask_for() -> None:
    bot, part = Router("greeter"), Router("part")
    bot.include(part)
    told: list[Any] = []

    @bot.on_error
    async def report(failure: Failure, clock: Clock) -> None:
        told.append((failure, clock))

    @part.on_error
    async def also(failure: Failure) -> None:
        told.append(failure)

    failure = Failure(event=None, key="k", account_id="1", handler="", error=None, attempt=1)
    for hook in wire(bot, built_in=BUILT_IN).error_hooks:
        await hook({Clock: "clock"}.__getitem__, failure)
    assert told == [(failure, "clock"), failure]
    assert not failure.will_retry


def test_a_function_that_cannot_be_told_is_refused() -> None:
    bot = Router("greeter")

    @bot.on_error
    async def nothing() -> None: ...  # type: ignore[arg-type]  # the fault

    @bot.on_error
    async def acts(failure: Failure, act: Actions) -> None: ...

    @bot.on_error
    async def needy(failure: Failure, number: int) -> None: ...

    with pytest.raises(WiringError) as caught:
        wire(bot, built_in=BUILT_IN)
    assert [fault.partition("): ")[2].partition(".")[0] for fault in caught.value.problems] == [
        "takes no failure: its first parameter is the Failure",
        "may not act: the run of the handler has ended",
        "parameter 'number': nobody provides int",
    ]
    with pytest.raises(WiringError, match="is not async"):
        bot.on_error(len)  # type: ignore[arg-type]  # the fault
