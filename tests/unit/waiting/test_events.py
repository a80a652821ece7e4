"""A wait ends at its event or when its time is over, on the clock that it is given."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from botkit.sandbox.harness.clock import VirtualClock
from botkit.waiting.events import event_or_timeout, seconds_until


async def test_an_event_that_is_set_needs_no_wait() -> None:
    event = asyncio.Event()
    event.set()
    assert await event_or_timeout(event, 0.0, clock=VirtualClock())


async def test_an_event_ends_the_wait_before_its_time() -> None:
    clock, event = VirtualClock(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(event_or_timeout(event, 60.0, clock=clock))
        await clock.advance(59.0)
        assert not waiting.done()
        event.set()
    assert waiting.result()
    assert clock.monotonic() == 59.0


async def test_when_the_time_is_over_the_wait_says_so() -> None:
    clock, event = VirtualClock(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(event_or_timeout(event, 60.0, clock=clock))
        await clock.advance(60.0)
    assert not waiting.result()


async def test_without_a_limit_only_the_event_ends_the_wait() -> None:
    clock, event = VirtualClock(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(event_or_timeout(event, None, clock=clock))
        await clock.advance(timedelta(days=30))
        assert not waiting.done()
        event.set()
    assert waiting.result()


def test_seconds_until_a_time_stay_within_their_bounds() -> None:
    clock = VirtualClock()
    now = clock.now()
    assert seconds_until(now + timedelta(seconds=7), clock=clock) == 7.0
    assert seconds_until(now + timedelta(hours=7), clock=clock, most_s=60.0) == 60.0
    assert seconds_until(now - timedelta(seconds=7), clock=clock) == 0.0
    assert seconds_until(now, clock=clock, least_s=1.0) == 1.0
    assert seconds_until(None, clock=clock, most_s=60.0) == 60.0
