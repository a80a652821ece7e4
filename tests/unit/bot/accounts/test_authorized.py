"""`Authorized` handlers at the end of a login: they run once, and what becomes of them is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import pytest
from msgspec import Struct

from botkit import Account, Actions, Authorized, Bot, BotState, Clock, Mention, Reader
from botkit.bot.accounts.authorized import run_authorized
from botkit.bot.compose_client import open_the_vault, open_x
from botkit.errors import NotDeclared
from botkit.model.records import EventState, RunEnd, RunParked, WritePolicy
from botkit.sandbox import VirtualClock


class Model:
    """Something that the author provides."""

    def __init__(self) -> None:
        self.open = True


class Known(Struct, frozen=True):
    name: str = ""


async def run(place, bot: Bot) -> list[tuple[str, str]]:
    login = await place.authorize()
    async with place.open_x() as x:
        return await run_authorized(bot.plan, x, login.account, login.row)


def test_only_a_bot_that_handles_the_event_has_something_to_run():
    plain, keen = Bot("plain"), Bot("keen")

    @plain.on(Mention)
    async def greet(mention: Mention) -> None: ...

    @keen.on(Authorized)
    async def welcome(event: Authorized) -> None: ...

    assert not plain.plan.handles(Authorized)
    assert keen.plan.handles(Authorized)


async def test_a_handler_gets_everything_that_it_gets_in_a_running_bot(place):
    bot = Bot("greeter")
    models: list[Model] = []

    @bot.provide
    @asynccontextmanager
    async def open_model() -> AsyncGenerator[Model]:
        model = Model()
        models.append(model)
        yield model
        model.open = False

    @bot.on(Authorized)
    async def welcome(
        event: Authorized,
        act: Actions,
        reader: Reader,
        clock: Clock,
        account: Account,
        model: Model,
        known: BotState[Known],
    ) -> str:
        assert model.open
        assert clock.now() >= event.at.replace(microsecond=0)
        user = await reader.user(account.id)
        known.value = Known(name=user.name)
        await act.post("I am here.")
        return user.username

    told = await run(place, bot)

    assert [outcome for _, outcome in told] == ["greeter"]
    assert [model.open for model in models] == [False]
    assert [post.written for post in place.world.posts_by(place.user.id)] == ["I am here."]
    (event,) = await place.store.events.listing()
    assert event.state is EventState.DONE


async def test_what_cannot_be_opened_is_told_and_the_event_waits_for_the_running_bot(place):
    bot = Bot("greeter")

    @bot.provide
    async def open_model() -> Model:
        raise ConnectionError("no model today")

    @bot.on(Authorized)
    async def welcome(event: Authorized, model: Model) -> None: ...

    told = await run(place, bot)

    assert told == [("provide Model", "ConnectionError: no model today")]
    (event,) = await place.store.events.listing()
    assert event.state is EventState.WAITING
    assert event.attempts == 0


async def test_the_same_login_is_told_of_once(place):
    bot = Bot("greeter")
    runs: list[int] = []

    @bot.on(Authorized)
    async def welcome(event: Authorized) -> None:
        runs.append(event.gen)

    login = await place.authorize()
    async with place.open_x() as x:
        first = await run_authorized(bot.plan, x, login.account, login.row)
        again = await run_authorized(bot.plan, x, login.account, login.row)

    assert [outcome for _, outcome in first] == ["done"]
    assert again == []
    assert runs == [1]


async def test_a_second_login_is_another_event(place):
    bot = Bot("greeter")
    runs: list[int] = []

    @bot.on(Authorized)
    async def welcome(event: Authorized) -> None:
        runs.append(event.gen)

    await run(place, bot)
    await run(place, bot)

    assert runs == [1, 2]


@pytest.mark.timeout(20)
async def test_a_handler_that_takes_too_long_is_told_so(place):
    bot = Bot("greeter")

    @bot.on(Authorized, timeout_s=0.05)
    async def welcome(event: Authorized) -> None:
        await asyncio.Event().wait()

    told = await run(place, bot)

    assert len(told) == 1
    assert "TimeoutError" in told[0][1]
    (event,) = await place.store.events.listing()
    assert event.state is EventState.WAITING


async def test_a_handler_that_may_not_do_what_it_wants_is_told_why(place):
    bot = Bot("greeter")
    bot.may = frozenset()

    @bot.on(Authorized)
    async def welcome(event: Authorized, act: Actions) -> None:
        await act.post("I am here.")

    told = await run(place, bot)

    assert "NotDeclared" in told[0][1]
    (letter,) = await place.store.events.dead()
    assert letter.reason == "refused"


async def test_a_signal_that_a_handler_sends_later_waits_for_the_running_bot(place):
    from botkit import Signal

    class Soon(Signal, frozen=True, kw_only=True):
        what: str

    bot = Bot("greeter")

    @bot.on(Authorized)
    async def welcome(event: Authorized, act: Actions) -> None:
        await act.emit(Soon(what="tea"))

    async def tea(soon: Soon) -> None: ...

    tea.__annotations__["soon"] = Soon
    bot.on(Soon)(tea)

    told = await run(place, bot)

    assert told[0][1] == "done"
    states = {event.kind: event.state for event in await place.store.events.listing()}
    assert states["signal/Soon"] is EventState.WAITING


async def test_the_lease_is_given_back(place):
    bot = Bot("greeter")

    @bot.on(Authorized)
    async def welcome(event: Authorized) -> None:
        raise ValueError

    await run(place, bot)

    assert await place.store.leases.holder(f"setup:{place.user.id}") is None


async def test_a_handler_may_take_longer_than_a_lease_lasts(place):
    bot, clock = Bot("greeter"), VirtualClock()

    @bot.on(Authorized)
    async def welcome(event: Authorized, act: Actions) -> str:
        for _ in range(10):
            await clock.advance(3.0)
            await place.store.changed()  # by then the lease has been renewed
        await act.post("That took a while.")
        return "said"

    login = await place.authorize()
    settings = await place.settings()
    vault = await open_the_vault(settings, place.store)
    async with open_x(settings, place.store, vault, transport=place.transport, clock=clock) as x:
        told = await run_authorized(bot.plan, x, login.account, login.row)

    assert [outcome for _, outcome in told] == ["said"]
    (event,) = await place.store.events.listing()
    assert event.state is EventState.DONE


async def test_what_it_sends_is_sent_by_the_policy_of_the_settings(place):
    bot = Bot("greeter")

    @bot.on(Authorized)
    async def welcome(event: Authorized, act: Actions) -> None:
        await act.post("I am here.")

    login = await place.authorize()
    async with place.open_x() as x:
        await run_authorized(bot.plan, x, login.account, login.row, policy=WritePolicy.HOLD)

    (write,) = await place.store.writes.listing()
    assert write.policy is WritePolicy.HOLD


async def test_what_a_handler_says_of_a_token_is_not_kept(place):
    bot = Bot("greeter")
    bot.may = frozenset()

    @bot.on(Authorized)
    async def welcome(event: Authorized, act: Actions) -> None:
        try:
            await act.post("I am here.")
        except NotDeclared as no:
            no.message = "cannot say access_token=abcdefgh1234"
            raise

    await run(place, bot)

    (letter,) = await place.store.events.dead()
    assert "abcdefgh1234" not in letter.error + letter.trace
    assert "access_token=[redacted]" in letter.error


async def test_the_event_is_held_for_as_long_as_its_handler_takes(place, monkeypatch):
    monkeypatch.setattr("botkit.bot.accounts.authorized._HOLD_AGAIN_S", 0.01)
    bot = Bot("greeter")
    held: list[datetime] = []
    again = asyncio.Event()
    settle = place.store.events.settle

    async def watched(ends: list[RunEnd], **how: Any) -> None:
        await settle(ends, **how)
        held.extend(end.until for end in ends if isinstance(end, RunParked))
        again.set()

    monkeypatch.setattr(place.store.events, "settle", watched)

    @bot.on(Authorized)
    async def welcome(event: Authorized) -> None:
        await again.wait()
        (stored,) = await place.store.events.listing()
        assert stored.state is EventState.WAITING
        assert stored.not_before == held[-1] > event.at

    told = await run(place, bot)

    assert [outcome for _, outcome in told] == ["done"]
    (event,) = await place.store.events.listing()
    assert event.state is EventState.DONE
