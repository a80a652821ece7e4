"""Refreshes are tasks: their end, whatever it is, is taken note of and harms no other."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.unit.client.fakes import World
from tests.unit.client.keeping import EXPIRED, running


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
