"""Refreshes are tasks: their end, whatever it is, is taken note of and harms no other."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from botkit.errors import InvalidGrant
from botkit.model.tokens import LoginState
from tests.unit.client.fakes import GREETER, World
from tests.unit.client.hosts import Host
from tests.unit.client.keeping import EXPIRED, keeper_in, running, sent_intent


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
    world: World,
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
