"""One at a time for a key, any number for different keys."""

from __future__ import annotations

import asyncio

from botkit.waiting.keyed_lock import KeyedLock
from tests.unit.runtime.writing import turn


async def test_one_key_lets_one_in_at_a_time() -> None:
    turns = KeyedLock()
    inside = 0
    most = 0

    async def visit() -> None:
        nonlocal inside, most
        async with turns.take(("a",)):
            inside += 1
            most = max(most, inside)
            await turn()
            inside -= 1

    await asyncio.gather(*(visit() for _ in range(5)))
    assert most == 1
    assert len(turns) == 0


async def test_different_keys_do_not_wait_for_each_other() -> None:
    turns = KeyedLock()
    both = asyncio.Barrier(2)

    async def visit(key: str) -> None:
        async with turns.take((key,)):
            await both.wait()

    await asyncio.gather(visit("a"), visit("b"))
    assert len(turns) == 0


async def test_keys_in_any_order_do_not_block_for_ever() -> None:
    turns = KeyedLock()

    async def visit(*keys: str) -> None:
        async with turns.take(keys):
            await turn()

    await asyncio.gather(visit("a", "b"), visit("b", "a"), visit("a", "a"))
    assert len(turns) == 0


async def test_who_stops_waiting_leaves_no_key_behind() -> None:
    turns = KeyedLock()
    async with turns.take(("a",)):
        waiting = asyncio.get_running_loop().create_task(_enter(turns))
        await turn()
        assert len(turns) == 1
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert len(turns) == 1
    assert len(turns) == 0


async def _enter(turns: KeyedLock) -> None:
    async with turns.take(("a",)):
        raise AssertionError("the key is taken")
