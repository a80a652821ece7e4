"""Refreshes are tasks: their end, whatever it is, is taken note of and harms no other."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from botkit.errors import InvalidClient, InvalidGrant, Parked, TransportError
from botkit.model.tokens import LoginState, Secret
from tests.unit.client.fakes import GREETER, World, invalid, json_answer
from tests.unit.client.hosts import Host
from tests.unit.client.keeping import (
    EXPIRED,
    TOKEN,
    WRONG_SECRET,
    keeper_in,
    running,
    sent_intent,
)


async def test_a_refresh_that_is_cancelled_with_the_loop_is_no_fault(world: World) -> None:
    await world.log_in(left=EXPIRED)
    world.peer.hold = asyncio.Event().wait
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    async with running(world) as kept:
        (task,) = kept.keeper._refresh_tasks._tasks
        task.cancel()
        await asyncio.wait([task])
        await world.clock.at_rest()
    assert told == []


async def test_sixty_four_logins_at_most_are_refreshed_at_a_time(world: World) -> None:
    release = asyncio.Event()
    world.peer.hold = release.wait
    world.peer.rotates = False
    for number in range(66):
        account = msgspec.structs.replace(GREETER, id=str(number), username=f"bot{number}")
        await world.log_in(account=account, left=EXPIRED)
    async with running(world) as kept:
        assert len(kept.keeper._refresh_tasks._tasks) == 64
        release.set()
        await world.clock.advance(1.0)
        assert len(world.refreshes) == 66


async def test_a_login_that_cannot_be_read_while_another_refreshes_it_is_looked_at_again(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    here, there = Host(world, "here"), Host(world, "there")
    row = await world.log_in(left=timedelta(minutes=90))
    intent = sent_intent(row)
    await world.real_store.credentials.intend(row, intent, reserve_bytes=10)
    async with AsyncExitStack() as stack:
        async with there.lock()(row):
            await world.real_store.credentials.mark_sent(row, intent.id)
            kept = await stack.enter_async_context(running(world, **here.terms()))
            world.broken.add("credentials.get")
            await world.clock.advance(3.0)
        await world.clock.advance(3.0)
        assert kept.states == [LoginState.OK]
        said = "".join(capsys.readouterr())
        assert "login.not_read" in said
        assert "disk full" in said
        assert "refresh.crashed" not in said
        world.broken.clear()
        await world.clock.advance(3.0)
        assert kept.states == [LoginState.OK, LoginState.UNCERTAIN]


async def test_a_login_that_is_removed_while_x_answers_is_gone_and_its_new_token_unused(
    world: World,
) -> None:
    row = await world.log_in(left=EXPIRED)

    async def is_removed(request: object) -> None:
        await world.real_store.credentials.remove(row.account_id, row.app, row.kind)

    world.peer.before_answer = is_removed  # type: ignore[assignment]
    kept = keeper_in(world)
    with pytest.raises(InvalidGrant, match="it was removed"):
        await kept.access()
    assert kept.changes[-1].is_gone
    assert kept.keeper.statuses() == ()


# ---- which refresh may start ---------------------------------------------------------------------


@pytest.mark.parametrize("answer", [invalid("no"), WRONG_SECRET])
async def test_a_login_that_only_a_person_can_mend_costs_no_look_at_the_store(
    world: World, answer: object
) -> None:
    await world.log_in(left=EXPIRED, refresh_token="rt-old")
    world.peer.plan[TOKEN] = [] if answer is not WRONG_SECRET else [answer]
    kept = keeper_in(world)
    for _ in range(2):
        before = len(world.log)
        with pytest.raises((InvalidGrant, InvalidClient)):
            await kept.access()
    assert world.log[before:] == []
    assert world.refreshes == ["rt-old"]


async def test_a_login_in_doubt_costs_no_look_at_the_store_while_its_token_lives(
    world: World,
) -> None:
    reason = "no answer to the refresh (reset)"
    await world.log_in(left=timedelta(minutes=10), status=LoginState.UNCERTAIN, reason=reason)
    keeper = keeper_in(world).keeper
    await keeper.holdings(GREETER.id)
    before = len(world.log)
    assert (await keeper.settled(GREETER.id)).status is LoginState.UNCERTAIN
    assert world.log[before:] == []


async def test_a_401_to_a_token_that_is_not_stored_yet_refreshes_nothing(world: World) -> None:
    await world.log_in(left=EXPIRED)
    world.broken.add("credentials.store_result")
    kept = keeper_in(world)
    assert await kept.access() == "at-2"
    await world.clock.advance(timedelta(minutes=5))
    before = len(world.log)
    assert await kept.keeper.report_unauthorized(GREETER.id, Secret("at-2")) is None
    assert world.log[before:] == []
    assert world.refreshes == ["rt-1"]


async def test_a_401_does_not_wait_for_the_minute_between_two_refreshes(world: World) -> None:
    await world.log_in(last_success=world.clock.now())
    keeper = keeper_in(world).keeper
    assert await keeper.report_unauthorized(GREETER.id, Secret("at-1")) == Secret("at-2")


async def test_one_who_follows_passes_a_401_on_once(world: World) -> None:
    here, there = Host(world, "here"), Host(world, "there")
    await world.log_in()
    async with there.role()():
        keeper = here.keeper(role=here.role()).keeper
        asking = asyncio.get_running_loop().create_task(
            keeper.report_unauthorized(GREETER.id, Secret("at-1"))
        )
        await world.clock.advance(35.0)
        assert await asking is None
    assert world.log.count("credentials.expire") == 1


# ---- what is planned after one that failed -------------------------------------------------------


async def test_of_two_failed_tries_the_last_says_why_there_is_no_token(world: World) -> None:
    await world.log_in(left=EXPIRED)
    world.peer.plan[TOKEN] = ["connect"]
    kept = keeper_in(world)
    with pytest.raises(TransportError):
        await kept.access()
    await world.clock.advance(10.0)
    world.broken.add("credentials.intend")
    with pytest.raises(Parked):
        await kept.access()


async def test_a_refresh_is_tried_again_a_little_after_the_time_that_x_names(
    world: World,
) -> None:
    await world.log_in(left=EXPIRED)
    world.peer.plan[TOKEN] = [json_answer(503, {}, retry_after="120")]
    with pytest.raises(Parked) as caught:
        await keeper_in(world).access()
    assert caught.value.until is not None
    wait = caught.value.until - world.clock.now()
    assert timedelta(seconds=120) < wait <= timedelta(seconds=122)


async def test_a_503_counts_as_a_lost_answer_though_a_429_came_since_the_first(
    world: World,
) -> None:
    await world.log_in(left=EXPIRED)
    later = json_answer(503, {}, retry_after="5")
    world.peer.plan[TOKEN] = [later, json_answer(429, {}), later]
    async with running(world) as kept:
        while len(world.refreshes) < 3:
            assert LoginState.UNCERTAIN not in kept.states
            await world.clock.advance(10.0)
        assert kept.states[-1] is LoginState.UNCERTAIN
