"""Virtual time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from botkit.sandbox.harness.clock import START, SeededEntropy, VirtualClock


@pytest.fixture
def clock():
    return VirtualClock()


async def test_time_stands_still_until_it_is_moved(clock):
    await clock.sleep(0)

    assert clock.now() == START
    assert clock.monotonic() == 0


async def test_sleepers_wake_in_order_each_at_its_own_time(clock):
    woken = []

    async def sleep(seconds):
        await clock.sleep(seconds)
        woken.append((seconds, clock.monotonic()))

    async with asyncio.TaskGroup() as group:
        for seconds in (5, 1, 3, 1):
            group.create_task(sleep(seconds))
        await clock.advance(4)
        assert woken == [(1, 1), (1, 1), (3, 3)]
        await clock.advance(timedelta(seconds=10))

    assert woken[-1] == (5, 5)
    assert clock.now() == START + timedelta(seconds=14)


async def test_a_sleeper_that_sleeps_again_is_woken_again(clock):
    times = []

    async def tick():
        while True:
            await clock.sleep(3)
            times.append(clock.monotonic())

    task = asyncio.get_running_loop().create_task(tick())
    await clock.advance(10)
    task.cancel()

    assert times == [3, 6, 9]


@pytest.mark.parametrize("seconds", [0, -5])
async def test_no_span_does_not_wait(clock, seconds):
    await clock.sleep(seconds)

    assert clock.monotonic() == 0


async def test_a_timeout_cancels_in_virtual_time(clock):
    async def slow():
        async with clock.timeout(2):
            await clock.sleep(100)

    task = asyncio.get_running_loop().create_task(slow())
    await clock.advance(1.9)
    assert not task.done()
    await clock.advance(0.2)

    assert isinstance(task.exception(), TimeoutError)


async def test_a_timeout_that_is_met_or_none_does_nothing(clock):
    async with clock.timeout(2):
        await clock.sleep(0)
    async with clock.timeout(None):
        await clock.sleep(0)
    await clock.advance(5)

    assert clock.next_timer() is None


async def test_a_cancelled_sleeper_leaves_no_timer(clock):
    task = asyncio.get_running_loop().create_task(clock.sleep(5))
    await clock.at_rest()
    task.cancel()
    await clock.at_rest()

    assert clock.next_timer() is None
    assert not clock.jump()


async def test_a_jump_goes_to_the_next_sleeper(clock):
    task = asyncio.get_running_loop().create_task(clock.sleep(7))
    await clock.at_rest()

    assert clock.next_timer() == 7
    assert clock.jump()
    await task
    assert clock.monotonic() == 7


async def test_rest_is_when_everybody_waits(clock):
    steps = []

    async def busy():
        for step in range(20):
            await clock.sleep(0)
            steps.append(step)
        await clock.sleep(1)

    task = asyncio.get_running_loop().create_task(busy())
    await clock.at_rest()

    assert len(steps) == 20
    assert not task.done()
    task.cancel()


async def test_rest_waits_for_what_is_under_way_in_a_thread(clock):
    done = []

    async def work():
        with clock.working():
            await asyncio.to_thread(lambda: None)
            done.append(1)
            with clock.working():
                await asyncio.to_thread(lambda: None)
            done.append(2)

    task = asyncio.get_running_loop().create_task(work())
    await clock.at_rest()

    assert done == [1, 2]
    assert task.done()


async def test_two_that_wait_for_rest_do_not_wait_for_each_other(clock):
    await asyncio.gather(clock.at_rest(), clock.at_rest())

    assert clock.monotonic() == 0


async def test_the_wall_clock_can_jump_and_the_other_does_not(clock):
    await clock.advance(5)

    clock.set(datetime(1970, 1, 1, tzinfo=UTC))

    assert clock.now() == datetime(1970, 1, 1, tzinfo=UTC)
    assert clock.monotonic() == 5


def test_chance_is_the_same_each_time_and_differs_by_seed():
    one, two, other = SeededEntropy(), SeededEntropy(), SeededEntropy("other")

    drawn = [one.token_bytes(16) for _ in range(3)]
    assert [two.token_bytes(16) for _ in range(3)] == drawn
    assert len(set(drawn)) == 3
    assert other.token_bytes(16) not in drawn
    assert all(3 <= one.uniform(3, 5) < 5 for _ in range(100))


async def test_a_machine_that_slept_wakes_its_timers_late(clock):
    woken: list[float] = []

    async def wakes(after: float) -> None:
        await clock.sleep(after)
        woken.append(clock.monotonic())

    async with asyncio.TaskGroup() as group:
        for after in (1, 30, 100):
            group.create_task(wakes(after))
        await clock.stand_still(timedelta(seconds=60))
        assert woken == [60, 60]
        await clock.advance(40)
    assert woken == [60, 60, 100]
