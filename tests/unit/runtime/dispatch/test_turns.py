"""Turns of handlers that hold the same state."""

from __future__ import annotations

import asyncio

import pytest

from botkit.runtime.dispatch.turns import Turns
from tests.unit.runtime.fakes import turns as spin


async def test_a_turn_is_not_given_to_one_that_was_cancelled_in_that_moment() -> None:
    turns = Turns()
    place = ("bot", "")
    await turns.take([place])
    loop = asyncio.get_running_loop()
    cancelled = loop.create_task(turns.take([place]))
    following = loop.create_task(turns.take([place]))
    await spin()

    cancelled.cancel()
    turns.leave([place])  # before the cancelled one has run

    with pytest.raises(asyncio.CancelledError):
        await cancelled
    await asyncio.wait_for(following, 1)
    turns.leave([place])
    assert turns._waiting == {}
