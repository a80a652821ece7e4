"""The author's state is loaded before a handler and committed with its event."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from botkit.errors import Drop, Retry
from botkit.model.events import Mention, Signal, Tick
from botkit.ports import Actions
from botkit.routing.state import BotState, Conversation, UserState, state_param
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
    together = asyncio.Barrier(2)
    runs: list[str] = []

    async def count(event: Mention, scope: Scope) -> None:
        runs.append(event.id)
        state = scope.resolve(BotState[Case])
        if len(runs) <= 2:
            await together.wait()
        more(state)

    wiring = FakeWiring()
    wiring.on(Mention, count, states=params(BotState[Case]))
    async with bench(tmp_path, wiring) as bot:
        await bot.handle(mention("1"), mention("2"))
        assert await answers(bot, "bot", BOT) == 2
    assert len(runs) == 3


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
