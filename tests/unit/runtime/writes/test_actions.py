"""What a handler does has a key that a second run finds again, and happens once."""

from __future__ import annotations

import asyncio
import functools
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import pytest
from msgspec import Struct

from botkit.errors import EmptyText, Parked, StateError
from botkit.model.events import DirectMessage, Mention, Signal, Tick
from botkit.model.messages import Message
from botkit.model.posts import Post
from botkit.model.records import EventState
from botkit.ports import Actions
from botkit.runtime.intake.lanes import Job
from botkit.runtime.writes.actions import EventActions
from tests.unit.runtime.fakes import ADA, BOT, FakeWiring, bench, mention

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from botkit.model.events import XEvent
    from tests.unit.runtime.fakes import Bench

T = TypeVar("T")


class Remind(Signal, frozen=True, kw_only=True):
    asked: Mention
    what: str = ""


class Ping(Signal, frozen=True, kw_only=True):
    pass


class Odd(Signal, frozen=True, kw_only=True):
    what: object


def job_of(event: XEvent, **more: Any) -> Job:
    return Job(
        seq=1,
        account_id=BOT,
        key=event.key,
        kind="mention",
        lane=event.lane,
        event=event,
        **more,
    )


@asynccontextmanager
async def acting(
    folder: Path, event: XEvent, *, handler: str = "bot.greet", **job: Any
) -> AsyncIterator[tuple[EventActions, Bench]]:
    async with bench(folder, FakeWiring(Remind, Ping, Odd)) as bot:
        yield actions_for(bot, event, handler=handler, **job), bot


def actions_for(
    bot: Bench, event: XEvent, *, handler: str = "bot.greet", **job: Any
) -> EventActions:
    return EventActions(bot.services, job_of(event, **job), event, handler=handler)


async def test_a_reply_to_a_mention_is_a_step_with_a_key_without_the_text(tmp_path: Path) -> None:
    asked = mention(edit_history=("99", "100"))
    async with acting(tmp_path, asked) as (act, bot):
        made = await act.reply(asked, "Hello @ada!")
        step = bot.steps.asked[0]
    assert made == Post(id="9000", text="Hello @ada!", author_id=BOT, in_reply_to_post_id="100")
    assert step.id == f"{BOT}/post/100/1#0/bot.greet/createPosts/100/0"
    assert (step.capability, step.interaction, step.user_id) == ("reply", "99", ADA.id)
    assert step.answers == asked
    assert step.request.summoned
    assert msgspec.json.decode(step.request.json or b"")["reply"] == {
        "in_reply_to_tweet_id": "100"
    }


async def test_a_second_run_asks_for_the_same_step_whatever_the_text_is_now(
    tmp_path: Path,
) -> None:
    asked = mention()
    async with acting(tmp_path, asked) as (act, bot):
        first = await act.reply(asked, "Hello!")
        again = await actions_for(bot, asked).reply(asked, "Something else")
    assert again == first
    assert len({step.id for step in bot.steps.asked}) == 1


async def test_a_replay_or_another_handler_makes_other_steps(tmp_path: Path) -> None:
    asked = mention()
    async with acting(tmp_path, asked) as (act, bot):
        await act.post("a")
        await actions_for(bot, asked, run=1).post("a")
        await actions_for(bot, asked, handler="bot.other").post("a")
    assert len({step.id for step in bot.steps.asked}) == 3


async def test_the_steps_of_one_run_are_counted_by_target(tmp_path: Path) -> None:
    asked = mention()
    async with acting(tmp_path, asked) as (act, bot):
        await act.post("a")
        await act.post("a")
        await act.reply(asked, "a")
        await act.reply(asked, "b")
    assert [(step.target, step.n) for step in bot.steps.asked] == [
        ("", 0),
        ("", 1),
        ("100", 0),
        ("100", 1),
    ]


async def test_a_post_says_whether_it_holds_a_link(tmp_path: Path) -> None:
    async with acting(tmp_path, mention()) as (act, bot):
        await act.post("plain")
        await act.post("see https://example.com/a")
    assert [step.request.has_link for step in bot.steps.asked] == [False, True]
    assert [step.user_id for step in bot.steps.asked] == ["", ""]


async def test_a_reply_to_ones_own_post_answers_nobody(tmp_path: Path) -> None:
    async with acting(tmp_path, mention()) as (act, bot):
        head = await act.post("head")
        await act.reply(head, "tail")
        step = bot.steps.asked[1]
    assert (step.target, step.interaction, step.user_id) == ("9000", "", "")
    assert step.answers == head
    assert not step.request.summoned


async def test_a_reply_to_the_posts_value_finds_the_summons_in_the_event(tmp_path: Path) -> None:
    asked = mention()
    async with acting(tmp_path, asked) as (act, bot):
        await act.reply(asked.post, "Hello!")
        await act.reply(Post(id="5", text="other", author_id="7"), "Hello!")
    first, second = bot.steps.asked
    assert (first.answers, first.user_id) == (asked, ADA.id)
    assert isinstance(second.answers, Post)
    assert second.request.summoned is False


async def test_a_reply_from_a_signal_finds_the_summons_along_its_causes(tmp_path: Path) -> None:
    asked = mention()
    seen: list[str] = []

    async def note(event: Mention, scope: Any) -> None:
        act = scope.resolve(Actions)
        await act.emit(Ping())

    async def pong(event: Ping, scope: Any) -> None:
        await scope.resolve(Actions).emit(Remind(asked=asked))

    async def ring(event: Remind, scope: Any) -> None:
        act = scope.resolve(Actions)
        await act.reply(event.asked.post, "time!")
        await act.reply(Post(id="8", text="?", author_id="9"), "not asked")
        seen.append(event.asked.id)

    wiring = FakeWiring(Remind, Ping)
    wiring.on(Mention, note)
    wiring.on(Ping, pong)
    wiring.on(Remind, ring)
    async with bench(tmp_path, wiring) as bot:
        await bot.handle(asked)
    assert seen == ["100"]
    assert bot.steps.asked[0].answers == asked
    assert isinstance(bot.steps.asked[1].answers, Post)


async def test_a_direct_message_is_answered_in_its_conversation(tmp_path: Path) -> None:
    heard = DirectMessage(
        account_id=BOT,
        at=datetime(2025, 12, 11, tzinfo=UTC),
        message=Message(id="5", conversation_id="7-42", text="hi", sender_id=ADA.id),
        sender=ADA,
    )
    async with acting(tmp_path, heard) as (act, bot):
        made = await act.message(heard, "Hello!")
        await act.message(ADA, "Hello!")
        first, second = bot.steps.asked
    assert isinstance(made, Message)
    assert (first.target, first.user_id, first.capability) == ("7-42", ADA.id, "message")
    assert (second.target, second.user_id, second.n) == (ADA.id, ADA.id, 0)
    assert first.operation != second.operation


async def test_a_message_into_a_conversation_where_the_account_spoke_last_is_aimed_at_nobody(
    tmp_path: Path,
) -> None:
    own = DirectMessage(
        account_id=BOT,
        at=datetime(2025, 12, 11, tzinfo=UTC),
        message=Message(id="5", conversation_id="7-42", text="hi", sender_id=BOT),
        sender=ADA,
    )
    async with acting(tmp_path, own) as (act, bot):
        await act.message(own, "and")
    assert bot.steps.asked[0].user_id == ""


class Thread:
    """A conversation as a handler remembers it."""

    def __init__(self, dm_conversation_id: str | None) -> None:
        self.dm_conversation_id = dm_conversation_id


async def test_a_message_goes_into_a_conversation_that_the_handler_remembers(
    tmp_path: Path,
) -> None:
    async with acting(tmp_path, mention()) as (act, bot):
        for thread in (f"{BOT}-99", f"99-{BOT}", "1234567", "98-99"):
            await act.message(Thread(thread), "Hello!")
        with pytest.raises(TypeError, match="a conversation of posts"):
            await act.message(Thread(None), "Hello!")
    assert [(step.target, step.user_id) for step in bot.steps.asked] == [
        (f"{BOT}-99", "99"),
        (f"99-{BOT}", "99"),
        ("1234567", ""),
        ("98-99", ""),
    ]


async def test_a_wait_of_a_step_is_remembered_even_when_it_is_caught(tmp_path: Path) -> None:
    async with acting(tmp_path, mention()) as (act, bot):
        bot.steps.answers.append(Parked("rate"))
        with pytest.raises(Parked):
            await act.post("a")
        assert act.parked is not None


async def test_an_emitted_signal_keeps_its_cause_and_comes_in_the_lane_of_it(
    tmp_path: Path,
) -> None:
    asked = mention()
    due = datetime(2025, 12, 12, tzinfo=UTC)
    async with acting(tmp_path, asked) as (act, _):
        await act.emit(Remind(asked=asked, what="tea"), at=due)
        await act.emit(Remind(asked=asked))
        await act.emit(Ping())
    first, second, third = act.emitted
    assert first.key == "signal/post/100/0/Remind/0"
    assert (first.kind, first.lane, first.cause) == ("signal/Remind", asked.lane, asked.key)
    assert first.not_before == due
    assert (second.key, second.not_before) == ("signal/post/100/0/Remind/1", None)
    assert third.key == "signal/post/100/0/Ping/0"


async def test_a_replay_emits_anew(tmp_path: Path) -> None:
    async with acting(tmp_path, mention(), run=2) as (act, _):
        await act.emit(Ping())
    assert act.emitted[0].key == "signal/post/100/0#2/Ping/0"


async def test_a_time_without_a_zone_is_refused(tmp_path: Path) -> None:
    async with acting(tmp_path, mention()) as (act, _):
        with pytest.raises(ValueError, match="time zone"):
            await act.emit(Ping(), at=datetime(2025, 12, 12))  # noqa: DTZ001 - the fault
    assert act.emitted == []


async def test_an_emitted_signal_is_handled_at_its_time(tmp_path: Path) -> None:
    asked = mention()
    seen: list[float] = []

    async def note(event: Mention, scope: Any) -> None:
        due = bot.clock.now() + timedelta(days=3)
        await scope.resolve(Actions).emit(Remind(asked=event, what="tea"), at=due)

    async def ring(event: Remind, scope: Any) -> None:
        seen.append(bot.clock.monotonic())
        await scope.resolve(Actions).reply(event.asked, event.what)

    wiring = FakeWiring(Remind)
    wiring.on(Mention, note)
    wiring.on(Remind, ring)
    async with bench(tmp_path, wiring) as bot:
        await bot.handle(asked)
        await bot.later(2 * 86400)
        assert seen == []
        await bot.later(86400)
        row = (await bot.store.events.get("signal/post/100/0/Remind/0"))[0]
    assert seen == [3 * 86400]
    assert bot.steps.asked[0].answers == asked
    assert (row.state, row.cause) == (EventState.DONE, asked.key)


class Answer(Struct, frozen=True):
    text: str
    at: datetime


@dataclass(frozen=True)
class Figures:
    cost: float


async def paid(text: str, *, calls: list[str]) -> Answer:
    calls.append(text)
    return Answer(text=text.upper(), at=datetime(2025, 1, 1, tzinfo=UTC))


async def test_a_result_is_computed_once_and_comes_back_as_it_was(tmp_path: Path) -> None:
    calls: list[str] = []
    asked = mention()
    async with acting(tmp_path, asked) as (act, bot):
        first = await act.once("answer", paid, "a", calls=calls)
        again = await actions_for(bot, asked).once("answer", paid, "b", calls=calls)
        anew = await actions_for(bot, asked, run=1).once("answer", paid, "c", calls=calls)
    assert first == again == Answer(text="A", at=datetime(2025, 1, 1, tzinfo=UTC))
    assert anew.text == "C"
    assert calls == ["a", "c"]


async def test_a_second_result_of_one_name_is_refused_before_it_is_paid(tmp_path: Path) -> None:
    calls: list[str] = []
    async with acting(tmp_path, mention()) as (act, _):
        await act.once("answer", paid, "a", calls=calls)
        with pytest.raises(StateError, match=r"once\('answer', ...\) a second time"):
            await act.once("answer", paid, "b", calls=calls)
        await act.once("answer to b", paid, "b", calls=calls)
    assert calls == ["a", "b"]


async def test_a_call_that_raises_leaves_nothing_behind(tmp_path: Path) -> None:
    async def fails() -> str:
        raise OSError("down")

    async def works() -> str:
        return "ok"

    asked = mention()
    async with acting(tmp_path, asked) as (act, bot):
        with pytest.raises(OSError, match="down"):
            await act.once("answer", fails)
        assert await actions_for(bot, asked).once("answer", works) == "ok"


class Model:
    async def answer(self, text: str) -> Figures:
        return Figures(cost=len(text) / 10)

    async def __call__(self, text: str) -> Figures:
        return Figures(cost=len(text) / 10)


async def plain() -> dict[str, list[int]]:
    return {"a": [1, 2]}


async def generic(value: T) -> T:
    return value


async def unknown() -> Nowhere:  # type: ignore[name-defined]  # noqa: F821 - cannot be resolved
    return {"a": 1}


@pytest.mark.parametrize(
    ("call", "args", "result"),
    [
        (Model().answer, ("hello",), Figures(cost=0.5)),
        (Model(), ("hello",), Figures(cost=0.5)),
        (functools.partial(Model().answer, "hello"), (), Figures(cost=0.5)),
        (plain, (), {"a": [1, 2]}),
        (generic, ("x",), "x"),
        (unknown, (), {"a": 1}),
        (lambda *values: generic(values[-1]), (1, [1, 2]), [1, 2]),
    ],
)
async def test_the_results_type_is_read_from_what_is_called(
    tmp_path: Path, call: Any, args: tuple[Any, ...], result: object
) -> None:
    asked = mention()
    async with acting(tmp_path, asked) as (act, bot):
        assert await act.once("x", call, *args) == result
        again = await actions_for(bot, asked).once("x", call, *args)
    assert again == result
    assert type(again) is type(result)


async def untyped() -> Any:
    return Figures(cost=1.0)


async def impossible() -> object:
    return object()


async def lies() -> int:
    return "text"  # type: ignore[return-value]


@pytest.mark.parametrize("call", [untyped, impossible, lies])
async def test_a_result_that_would_not_come_back_is_refused(tmp_path: Path, call: Any) -> None:
    async with acting(tmp_path, mention()) as (act, _):
        with pytest.raises(TypeError, match=r"act.once\('x', \.\.\.\) got a "):
            await act.once("x", call)


async def test_a_task_that_outlives_its_handler_may_not_act(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def slow() -> str:
        await release.wait()
        return "late"

    asked = mention()
    async with acting(tmp_path, asked) as (act, bot):
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(_refused(act, slow))
            await bot.clock.at_rest()
            act.close()
            release.set()
        await waiting
        for call in (
            act.post("a"),
            act.reply(asked, "a"),
            act.message(ADA, "a"),
            act.emit(Ping()),
            act.once("y", plain),
        ):
            with pytest.raises(StateError, match="has ended"):
                await call
    assert bot.steps.asked == []


async def _refused(act: EventActions, call: Any) -> None:
    with pytest.raises(StateError, match="has ended"):
        await act.once("x", call)


async def test_a_tick_may_post_and_has_no_summons_to_give(tmp_path: Path) -> None:
    tick = Tick(account_id=BOT, at=datetime(2025, 12, 11, tzinfo=UTC), schedule="bot.weather")
    stranger = Post(id="5", text="?", author_id=None)
    async with acting(tmp_path, tick) as (act, bot):
        await act.post("rain")
        await act.reply(stranger, "hm")
    assert bot.steps.asked[0].event_key == tick.key
    assert bot.steps.asked[1].user_id == ""


@pytest.mark.parametrize("text", ["", "  \n\t "])
async def test_an_empty_text_is_refused_before_it_is_a_step(tmp_path: Path, text: str) -> None:
    asked = mention()
    async with acting(tmp_path, asked, handler="greet") as (act, bot):
        for action in (act.post(text), act.reply(asked, text), act.message(ADA, text)):
            with pytest.raises(EmptyText, match=r"^greet called act\.\w+\(\.\.\.\) with an empty"):
                await action
        assert bot.steps.asked == []


def add(a: int, b: int) -> int:
    return a + b


@pytest.mark.parametrize(
    ("misuse", "why"),
    [
        (lambda act: act.reply("1999", "Hi"), r"answers an event .* not str '1999'; reader\.post"),
        (lambda act: act.reply(Mention, "Hi"), r"not the class Mention;"),
        (
            lambda act: act.reply(mention(), 5),
            r"act\.reply\(\.\.\., text\) takes a text, not int 5",
        ),
        (
            lambda act: act.post("Hi", links="yes"),
            r"act\.post\(\.\.\., links=\.\.\.\) takes \"allow\" or \"refuse\", not str 'yes'",
        ),
        (lambda act: act.post(None), r"act\.post\(\.\.\., text\) takes a text, not NoneType None"),
        (lambda act: act.post(["x" * 99]), r"takes a text, not list\.$"),
        (lambda act: act.message("ada", "Hi"), r"not str 'ada'; reader\.user\(name\)"),
        (lambda act: act.message(ADA, b"Hi"), r"takes a text, not bytes b'Hi'"),
        (lambda act: act.emit(Ping), r"takes a value of a class of signals, not the class Ping"),
        (
            lambda act: act.once("sum", add, 1, 2),
            r"act\.once\('sum', add\) needs an async function",
        ),
        (lambda act: act.once("sum", "add"), r"takes a function .*, not str: do not call it"),
        (lambda act: act.emit(Ping(), at=timedelta(1)), r"at=\.\.\.\) takes a time, .* timedelta"),
        (lambda act: act.emit(Odd(what=print)), r"This Odd cannot be stored: "),
        (lambda act: act.emit(Odd(what="\ud800")), r"This Odd cannot be stored: .*surrogates"),
        (lambda act: act.call("fly"), r"act\.call\('fly'\): .* X has no such operation"),
        (
            lambda act: act.call("createUsersBookmark", path={"id": 5}),
            r"an id is a text, not int 5",
        ),
    ],
)
async def test_a_wrong_argument_is_named_in_the_authors_words(
    tmp_path: Path, misuse: Callable[[Any], Coroutine[Any, Any, Any]], why: str
) -> None:
    async with acting(tmp_path, mention()) as (act, bot):
        with pytest.raises(TypeError, match=why):
            await misuse(act)
        assert bot.steps.asked == []


async def test_half_a_character_is_refused_before_it_is_a_step(tmp_path: Path) -> None:
    async with acting(tmp_path, mention()) as (act, bot):
        with pytest.raises(
            ValueError, match=r"act\.post\(\.\.\., text\): '\\ud83d' in it is half"
        ):
            await act.post("smile \ud83d")
        assert bot.steps.asked == []


class Unheard(Signal, frozen=True, kw_only=True):
    pass


async def test_a_signal_that_no_handler_takes_is_refused_where_it_is_emitted(
    tmp_path: Path,
) -> None:
    async with acting(tmp_path, mention(), handler="greet") as (act, _):
        with pytest.raises(StateError, match="greet emits Unheard, and the bot has no handler"):
            await act.emit(Unheard())
        assert act.emitted == []


async def test_an_action_that_was_not_awaited_is_found_with_its_line(tmp_path: Path) -> None:
    asked = mention()
    async with acting(tmp_path, asked, handler="greet") as (act, bot):
        await act.post("first")
        act.reply(asked, "Hello!")  # type: ignore[unused-coroutine]  # it is what the test is about
        act.post("second")  # type: ignore[unused-coroutine]  # the same
        act.close()
        assert len(bot.steps.asked) == 1
    assert act.forgotten.startswith("greet called act.reply(...) without `await` (")
    assert "test_actions.py:" in act.forgotten


async def test_actions_that_run_side_by_side_are_awaited(tmp_path: Path) -> None:
    async with acting(tmp_path, mention()) as (act, bot):
        await asyncio.gather(*(act.post(text) for text in "abc"))
        async with asyncio.TaskGroup() as group:
            group.create_task(act.post("d"))
        act.close()
        assert [step.text for step in bot.steps.asked] == [*"abcd"]
    assert act.forgotten == ""


async def test_a_result_or_a_signal_that_is_too_large_is_not_stored(tmp_path: Path) -> None:
    asked = mention()

    async def hoard() -> str:
        return "x" * 300_000

    async with acting(tmp_path, asked) as (act, _):
        with pytest.raises(StateError, match=r"result of act.once\('m', ...\) takes 293 KiB"):
            await act.once("m", hoard)
        with pytest.raises(StateError, match="The signal Remind takes 294 KiB"):
            await act.emit(Remind(asked=asked, what="x" * 300_000))
        assert act.emitted == []
