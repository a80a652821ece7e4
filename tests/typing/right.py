"""What must type-check, under mypy and pyright, both strict. `make types` reads it; nothing runs it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, assert_type

from msgspec import Struct

from botkit import (
    Account,
    AccountState,
    Actions,
    Bot,
    BotState,
    CallNext,
    Clock,
    Conversation,
    DirectMessage,
    Event,
    Match,
    Mention,
    Message,
    Post,
    PostEvent,
    Reader,
    Reply,
    Router,
    RunningBot,
    Settings,
    Signal,
    StatusReport,
    Tick,
    User,
    UserState,
    load_settings,
)
from botkit.filters import (
    Command,
    EventFilter,
    HasText,
    command,
    contains,
    from_user,
    has_media,
    in_conversation,
    is_reply_to_me,
    lang,
    matches,
)

bot = Bot("typed", may={"message"})
router = Router("part")
bot.include(router)


class Case(Struct, frozen=True):
    """A value of state."""

    answers: int = 0


class Said(Signal, frozen=True, kw_only=True):
    """A signal with a text: text filters take it."""

    text: str


class Model:
    """A service of the author's own."""

    async def answer(self, question: str, *, words: int = 5) -> str:
        """Answer."""
        return question[:words]


@bot.on(Mention, contains("hello"))
async def greet(mention: Mention, act: Actions) -> None:
    post = await act.reply(mention, f"Hello @{mention.author.username}!")
    assert_type(post, Post)
    assert_type(await act.reply(post, "again"), Post)
    assert_type(await act.post("to all"), Post)


async def call_it_directly(mention: Mention, act: Actions) -> None:
    """As a test does."""
    assert_type(await greet(mention, act), None)
    assert_type(await greet(mention, act=act), None)
    assert_type(await answered(mention, act, 5), str)


@bot.on(
    PostEvent,
    contains("a") & ~lang("de") | is_reply_to_me,
    timeout_s=5,
    answer_within=timedelta(hours=1),
)
async def answered(event: PostEvent, act: Actions, limit: int = 3) -> str:
    return event.text[:limit] + str(act)


@bot.on(Reply, matches(r"(?P<n>\d+)") & from_user("ada"))
async def wider_than_registered(event: PostEvent, found: Match) -> str:
    assert_type(found["n"], str)
    return event.text


@bot.on(DirectMessage, has_media)
async def pictured(dm: DirectMessage) -> None:
    assert_type(dm.sender.id, str)


@bot.on(DirectMessage, in_conversation("1-9"))
async def in_one_conversation(dm: DirectMessage) -> None:
    assert_type(dm.conversation_id, str)


@bot.on(DirectMessage, command("help") | contains("help"))
async def support(dm: DirectMessage, act: Actions, case: Conversation[Case], model: Model) -> None:
    assert_type(case.value, Case)
    case.value = Case(answers=case.value.answers + 1)
    text = await act.once("answer", model.answer, dm.text, words=3)
    assert_type(text, str)
    assert_type(await act.message(dm, text), Message)
    assert_type(await act.message(dm.sender, text), Message)
    assert_type(await act.message(case, text), Message)


@bot.on((Mention, DirectMessage), contains("both"), from_user("ada"))
async def either(event: Mention | DirectMessage, asked: Command) -> None:
    assert_type(event.text, str)
    assert_type(asked.words, list[str])


@bot.on((Mention, Reply, DirectMessage), contains("three"))
async def one_of_three(event: Mention | Reply | DirectMessage) -> None:
    assert_type(event.text, str)


@router.on(Said, contains("x"))
async def heard(said: Said, act: Actions, clock: Clock, reader: Reader, account: Account) -> None:
    await act.emit(Said(text=said.text + account.username), at=clock.now() + timedelta(hours=1))
    assert_type(await reader.user("ada"), User)


@router.cron("0 8 * * *", tz="Europe/Berlin", catch_up="latest", max_late=timedelta(hours=1))
@router.every(timedelta(minutes=5))
@router.every(60)
async def weather(tick: Tick, act: Actions, own: BotState[Case], who: UserState[Case]) -> None:
    await act.post(f"{tick.at:%d %B} {own.value} {who.value}")


@EventFilter
def is_short(event: PostEvent) -> bool:
    """A filter of the author's own."""
    return len(event.text) < 10


short_hello: EventFilter[PostEvent] = contains("hello") & is_short
text_filter: EventFilter[HasText] = contains("a") | ~contains("b")
router.on(Mention, is_short, short_hello, lambda event: event.mentions_me)(greet)


class Service:
    """Bound methods are handlers, too."""

    async def greet(self, mention: Mention, act: Actions) -> None:
        """Greet."""
        await act.reply(mention, "hi")


bot.on(Mention, text_filter)(Service().greet)


@bot.middleware
async def timed(event: Event, call_next: CallNext) -> Any:
    return await call_next(event)


@bot.middleware
async def counted(event: Event, call_next: CallNext, clock: Clock) -> Any:
    clock.now()
    return await call_next(event)


@bot.provide
@asynccontextmanager
async def open_model() -> AsyncGenerator[Model]:
    yield Model()


@router.provide
async def open_case() -> Case:
    return Case()


@bot.on(AccountState, lambda change: change.status == "DEAD")
async def dead(change: AccountState, act: Actions) -> None:
    assert_type(change.since, datetime)
    assert_type(change.next_step, str)


async def embedded() -> None:
    """A bot inside a program's own loop."""
    async with bot.running(load_settings(), dry_run=True) as running:
        assert_type(running, RunningBot)
        assert_type(running.status["runner"], StatusReport)
        assert_type(await running.stop(), tuple[str, ...])
    async with bot.running(Settings()):
        pass
