"""The author's state is loaded before a handler and committed with its event."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from msgspec import Struct

from botkit.errors import Drop, Retry
from botkit.model.events import Mention, PostSeen, Signal, Tick
from botkit.ports import Actions
from botkit.routing.state import BotState, Conversation, UserState, state_param
from botkit.runtime.dispatch.memory import held_places
from botkit.runtime.dispatch.turns import Turns
from botkit.system import SystemClock
from tests.unit.runtime.fakes import ADA, BOT, FakeWiring, bench, mention

if TYPE_CHECKING:
    from pathlib import Path

    from botkit.ports import Scope
    from tests.unit.runtime.fakes import Bench


class Case(Struct, frozen=True):
    answers: int = 0


class Ping(Signal, frozen=True, kw_only=True):
    pass


class Lost(Signal, frozen=True, kw_only=True):
    pass


STATES = (Conversation[Case], UserState[Case], BotState[Case])


def params(*wanted: Any) -> list[Any]:
    return [state_param(one) for one in wanted]


def more(handle: Any) -> None:
    handle.value = Case(answers=handle.value.answers + 1)


async def answers(bot: Bench, scope: str, key: str) -> int:
    row = await bot.store.states.read(f"{scope}/Case", key)
    return 0 if row is None else int(row.value.decode().partition(":")[2].rstrip("}"))


async def test_state_is_kept_by_conversation_user_and_bot(tmp_path: Path) -> None:
    async def count(event: Mention, scope: Scope) -> None:
        for wanted in STATES:
            more(scope.resolve(wanted))

    wiring = FakeWiring()
    wiring.on(Mention, count, states=params(*STATES))
    async with bench(tmp_path, wiring) as bot:
        await bot.handle(mention("1", conversation="a"))
        await bot.handle(mention("2", conversation="a"))
        await bot.handle(mention("3", conversation="b"))
        assert await answers(bot, "conversation", f"{BOT}/post/a") == 2
        assert await answers(bot, "conversation", f"{BOT}/post/b") == 1
        assert await answers(bot, "user", f"{BOT}/{ADA.id}") == 3
        assert await answers(bot, "bot", BOT) == 3


async def test_state_that_is_only_read_is_not_written(tmp_path: Path) -> None:
    seen: list[int] = []

    async def look(event: Mention, scope: Scope) -> None:
        seen.append(scope.resolve(BotState[Case]).value.answers)

    wiring = FakeWiring()
    wiring.on(Mention, look, states=params(BotState[Case]))
    async with bench(tmp_path, wiring) as bot:
        await bot.handle(mention())
        assert await bot.store.states.read("bot/Case", BOT) is None
    assert seen == [0]


async def test_what_a_failed_run_set_is_not_kept(tmp_path: Path) -> None:
    tries: list[str] = []

    async def count(event: Mention, scope: Scope) -> None:
        more(scope.resolve(BotState[Case]))
        tries.append(event.id)
        if len(tries) < 3:
            raise Retry if len(tries) == 1 else Drop("no")

    wiring = FakeWiring()
    wiring.on(Mention, count, states=params(BotState[Case]))
    async with bench(tmp_path, wiring) as bot:
        await bot.handle(mention())
        await bot.later(5)
        assert tries == ["100", "100"]
        assert await answers(bot, "bot", BOT) == 0
        await bot.handle(mention("101"))
        assert await answers(bot, "bot", BOT) == 1


async def test_two_lanes_that_change_the_same_state_both_count(tmp_path: Path) -> None:
    runs: list[str] = []

    async def count(event: Mention, scope: Scope) -> None:
        runs.append(event.id)
        state = scope.resolve(BotState[Case])
        await bot.clock.sleep(1)
        more(state)

    wiring = FakeWiring()
    wiring.on(Mention, count, states=params(BotState[Case]))
    async with bench(tmp_path, wiring) as bot:
        await bot.record(mention("1"), mention("2"))
        await bot.later(5)
        assert await answers(bot, "bot", BOT) == 2
    assert len(runs) == 2


async def test_a_signal_has_the_state_of_what_happened_in_the_first_place(tmp_path: Path) -> None:
    async def first(event: Mention, scope: Scope) -> None:
        await scope.resolve(Actions).emit(Ping())

    async def second(event: Ping, scope: Scope) -> None:
        more(scope.resolve(Conversation[Case]))
        if scope.resolve(Conversation[Case]).value.answers == 1:
            await scope.resolve(Actions).emit(Ping())

    wiring = FakeWiring(Ping)
    wiring.on(Mention, first)
    wiring.on(Ping, second, states=params(Conversation[Case]))
    async with bench(tmp_path, wiring) as bot:
        await bot.handle(mention())
        assert await answers(bot, "conversation", f"{BOT}/post/100") == 2


async def test_a_signal_that_no_conversation_led_to_has_none(tmp_path: Path) -> None:
    async def first(event: Tick, scope: Scope) -> None:
        await scope.resolve(Actions).emit(Ping())

    async def second(event: Ping, scope: Scope) -> None:
        raise AssertionError("not reached")

    wiring = FakeWiring(Ping)
    wiring.on(Tick, first)
    wiring.on(Ping, second, states=params(Conversation[Case]))
    async with bench(tmp_path, wiring) as bot:
        at = datetime(2025, 12, 11, tzinfo=UTC)
        await bot.handle(Tick(account_id=BOT, at=at, schedule="bot.s"))
    assert bot.outcomes == ["done", "retry"]
    assert isinstance(bot.ended[1].error, LookupError)


async def test_a_chain_of_causes_that_never_ends_is_not_walked_for_ever(tmp_path: Path) -> None:
    async def first(event: Mention, scope: Scope) -> None:
        await scope.resolve(Actions).emit(Ping())

    async def again(event: Ping, scope: Scope) -> None:
        if len(bot.ended) < 40:
            await scope.resolve(Actions).emit(Ping())
        else:
            await scope.resolve(Actions).emit(Lost())

    async def lost(event: Lost, scope: Scope) -> None:
        raise AssertionError("not reached")

    wiring = FakeWiring(Ping, Lost)
    wiring.on(Mention, first)
    wiring.on(Ping, again)
    wiring.on(Lost, lost, states=params(Conversation[Case]))
    async with bench(tmp_path, wiring) as bot:
        await bot.handle(mention())
    assert isinstance(bot.ended[-1].error, LookupError)


async def test_values_that_the_runtime_does_not_know_are_a_key_error(tmp_path: Path) -> None:
    found: list[Any] = []

    async def asks(event: Mention, scope: Scope) -> None:
        found.append(scope.resolve(str))
        found.append(scope.resolve(Actions) is scope.resolve(Actions))
        try:
            scope.resolve(bytes)
        except KeyError as error:
            found.append(error.args[0])

    wiring = FakeWiring()
    wiring.on(Mention, asks)
    async with bench(tmp_path, wiring) as bot:
        await bot.handle(mention())
    assert found == [BOT, True, bytes]


@pytest.mark.parametrize("wanted", [BotState[Case], UserState[Case]])
async def test_handlers_that_hold_the_same_state_take_turns_and_run_once_each(
    tmp_path: Path, wanted: Any
) -> None:
    runs: list[str] = []

    async def slow(event: Mention, scope: Scope) -> None:
        runs.append(event.id)
        await bot.clock.sleep(0.2)
        more(scope.resolve(wanted))

    wiring = FakeWiring()
    wiring.on(Mention, slow, states=params(wanted))
    async with bench(tmp_path, wiring) as bot:
        await bot.record(*(mention(str(n), conversation=str(n)) for n in range(100, 220)))
        await bot.later(60)
        (key,) = {BOT} if wanted == BotState[Case] else {f"{BOT}/{ADA.id}"}
        assert await answers(bot, "bot" if key == BOT else "user", key) == 120
    assert len(runs) == 120
    assert bot.outcomes == ["done"] * 120


async def test_handlers_that_only_read_a_state_wait_for_nobody(tmp_path: Path) -> None:
    reads: list[int] = []

    async def holds(event: Mention, scope: Scope) -> None:
        more(scope.resolve(BotState[Case]))
        await bot.clock.sleep(30)

    async def reads_only(event: PostSeen, scope: Scope) -> None:
        reads.append(scope.resolve(BotState.Reading[Case]).value.answers)

    wiring = FakeWiring()
    wiring.on(Mention, holds, states=params(BotState[Case]))
    wiring.on(PostSeen, reads_only, states=params(BotState.Reading[Case]))
    held = mention("1")
    async with bench(tmp_path, wiring) as bot:
        await bot.record(held)
        await bot.later(1)
        for n in "23":
            post = msgspec.structs.replace(held.post, id=n, conversation_id=n)
            await bot.record(PostSeen(account_id=BOT, at=held.at, post=post, author=ADA))
        await bot.later(1)
        assert reads == [0, 0]
        await bot.later(60)
        assert await answers(bot, "bot", BOT) == 1


async def test_a_turn_is_given_on_by_a_handler_that_fails_or_never_ends(tmp_path: Path) -> None:
    done: list[str] = []

    async def troubled(event: Mention, scope: Scope) -> None:
        if event.id == "1":
            raise Drop("no")
        while event.id == "2" and not done:
            with contextlib.suppress(asyncio.CancelledError):
                await bot.clock.sleep(3600)
        more(scope.resolve(BotState[Case]))
        done.append(event.id)

    wiring = FakeWiring()
    wiring.on(Mention, troubled, states=params(BotState[Case]), timeout_s=1)
    async with bench(tmp_path, wiring) as bot:
        await bot.record(*(mention(n, conversation=n) for n in "123"))
        await bot.later(8)
        assert done == ["3", "2"]
        assert await answers(bot, "bot", BOT) == 2


async def test_a_handler_that_stops_waiting_for_its_turn_holds_up_nobody() -> None:
    turns, place = Turns(), ("bot/Case", BOT)
    await turns.take([place])
    second = asyncio.ensure_future(turns.take([("user/Case", "7"), place]))  # noqa: TID251 - cancelled below
    third = asyncio.ensure_future(turns.take([place]))  # noqa: TID251 - awaited below
    await SystemClock().sleep(0)
    turns.leave([place])
    second.cancel()  # in the moment in which its turn came
    with pytest.raises(asyncio.CancelledError):
        await second
    await third
    fourth = asyncio.ensure_future(turns.take([place]))  # noqa: TID251 - cancelled below
    await SystemClock().sleep(0)
    fourth.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fourth
    turns.leave([place])
    await turns.take([("user/Case", "7"), place])


def test_what_is_held_is_taken_in_one_order() -> None:
    wanted = params(BotState[Case], UserState.Reading[Case], UserState[Case], Conversation[Case])
    assert held_places(wanted, subject=mention("1", conversation="a"), account_id=BOT) == [
        ("conversation/Case", f"{BOT}/post/a"),
        ("user/Case", f"{BOT}/{ADA.id}"),
        ("bot/Case", BOT),
    ]


class Pile(Struct, frozen=True):
    text: str = ""


async def test_a_value_that_is_too_large_fails_the_event_in_the_authors_words(
    tmp_path: Path,
) -> None:
    async def hoard(event: Mention, scope: Scope) -> None:
        scope.resolve(UserState[Pile]).value = Pile(text="x" * 300_000)

    wiring = FakeWiring()
    wiring.on(Mention, hoard, states=params(UserState[Pile]))
    async with bench(tmp_path, wiring) as bot:
        await bot.handle(mention())
        await bot.later(60)
        (letter,) = await bot.store.events.dead()
        kept = await bot.store.states.read("user/Pile", f"{BOT}/{ADA.id}")
    assert "UserState[Pile] of 42/7 takes 293 KiB; it may take 256 KiB" in letter.error
    assert "[run] state_kib" in letter.error
    assert kept is None
