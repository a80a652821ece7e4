"""A call while another one reads the login for the first time waits for it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.unit.client.hosts import Host

if TYPE_CHECKING:
    from tests.unit.client.fakes import World


@pytest.mark.parametrize("loader", ["access", "reload"])
async def test_a_call_while_another_reads_the_login_gets_the_token_too(
    world: World, loader: str
) -> None:
    await world.log_in()
    host = Host(world, "a")
    kept = host.keeper(role=host.role())
    second: list[asyncio.Task[str]] = []

    async def also() -> None:  # the first one takes the role, to judge the login it has read
        second.append(asyncio.get_running_loop().create_task(kept.access()))
        await world.clock.at_rest()

    await kept.keeper._restore()
    world.pauses["leases.acquire"] = also
    await (kept.access() if loader == "access" else kept.keeper.reload())
    assert await second[0] == "at-1"


async def test_a_first_read_that_is_cancelled_is_made_again_by_the_next_call(world: World) -> None:
    await world.log_in()
    host = Host(world, "a")
    kept = host.keeper(role=host.role())
    await kept.keeper._restore()

    async def gone() -> None:
        first.cancel()
        await asyncio.Event().wait()

    world.pauses["leases.acquire"] = gone
    first = asyncio.get_running_loop().create_task(kept.access())
    with suppress(asyncio.CancelledError):
        await first
    assert first.cancelled()
    assert await kept.access() == "at-1"
