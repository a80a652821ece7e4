"""Each planned time fires once for each account, across restarts and jumps of the clock."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec
import pytest

from botkit.errors import StoreUnavailable
from botkit.model.events import Tick
from botkit.routing.schedules import cron_schedule, interval_schedule
from botkit.runtime.life.ticks import Scheduler
from botkit.sandbox.harness.clock import VirtualClock
from botkit.waiting.proven_time import ProvenTime
from tests.unit.runtime.fakes import BOT, FakeWiring, bench

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path
    from typing import Any

    from botkit.ports import Scope
    from botkit.routing.schedules import Schedule
    from tests.unit.runtime.fakes import Bench


@asynccontextmanager
async def ticking(
    folder: Path,
    *schedules: Schedule,
    clock: VirtualClock | None = None,
    accounts: Sequence[str] = (BOT,),
    seen: list[Tick],
    proven: ProvenTime | None = None,
) -> AsyncIterator[tuple[Bench, Scheduler]]:
    async def on_tick(event: Tick, scope: Scope) -> None:
        seen.append(event)

    wiring = FakeWiring()
    wiring.on(Tick, on_tick)
    async with bench(folder, wiring, clock=clock, proven=proven) as bot:
        scheduler = Scheduler(
            schedules,
            accounts,
            store=bot.store,
            clock=bot.clock,
            taker=bot.dispatcher,
            fence=bot.lease.fence,
            proven=bot.proven,
        )
        await scheduler.load()
        bot.tasks.start(scheduler.run(), "schedules")
        yield bot, scheduler


HOURLY = interval_schedule("bot.hourly", 3600)


async def test_a_schedule_fires_at_its_times(tmp_path: Path) -> None:
    seen: list[Tick] = []
    async with ticking(tmp_path, HOURLY, seen=seen) as (bot, _):
        began = bot.clock.now()
        await bot.later(3 * 3600 + 60)
    assert [tick.at - began for tick in seen] == [timedelta(hours=n) for n in (1, 2, 3)]
    assert {(tick.schedule, tick.account_id, tick.source) for tick in seen} == {
        ("bot.hourly", BOT, "schedule")
    }


async def test_it_fires_once_for_each_account(tmp_path: Path) -> None:
    seen: list[Tick] = []
    async with ticking(tmp_path, HOURLY, accounts=(BOT, "43"), seen=seen) as (bot, _):
        await bot.later(3700)
    assert sorted(tick.account_id for tick in seen) == [BOT, "43"]


async def test_without_schedules_nothing_fires(tmp_path: Path) -> None:
    seen: list[Tick] = []
    async with ticking(tmp_path, seen=seen) as (bot, _):
        await bot.later(3700)
    assert seen == []


async def test_a_restart_neither_loses_nor_repeats_a_time(tmp_path: Path) -> None:
    clock = VirtualClock()
    seen: list[Tick] = []
    async with ticking(tmp_path, HOURLY, clock=clock, seen=seen) as (bot, _):
        await bot.later(3600 + 1800)
    began = clock.now()
    async with ticking(tmp_path, HOURLY, clock=clock, seen=seen) as (bot, _):
        await bot.later(1801)
    assert len(seen) == 2
    assert seen[1].at - began == timedelta(seconds=1800)


@pytest.mark.parametrize(("catch_up", "fired"), [("skip", 0), ("latest", 1), ("all", 5)])
async def test_times_that_were_missed_are_caught_up_by_the_rule(
    tmp_path: Path, catch_up: Any, fired: int
) -> None:
    clock = VirtualClock()
    seen: list[Tick] = []
    schedule = interval_schedule("bot.hourly", 3600, catch_up=catch_up)
    async with ticking(tmp_path, schedule, clock=clock, seen=seen):
        pass
    clock.set(clock.now() + timedelta(hours=5, minutes=30))
    async with ticking(tmp_path, schedule, clock=clock, seen=seen) as (bot, _):
        await bot.later(10)
    assert len(seen) == fired


async def test_more_missed_times_than_one_batch_are_all_fired(tmp_path: Path) -> None:
    clock = VirtualClock()
    seen: list[Tick] = []
    schedule = interval_schedule("bot.often", 60, catch_up="all")
    async with ticking(tmp_path, schedule, clock=clock, seen=seen):
        pass
    clock.set(clock.now() + timedelta(hours=5))
    async with ticking(tmp_path, schedule, clock=clock, seen=seen) as (bot, _):
        await bot.later(1)
    assert len(seen) == 300
    assert len({tick.at for tick in seen}) == 300


async def test_a_schedule_that_says_something_else_now_starts_now(tmp_path: Path) -> None:
    clock = VirtualClock()
    seen: list[Tick] = []
    daily = interval_schedule("bot.it", 86400)
    async with ticking(tmp_path, daily, clock=clock, seen=seen):
        pass
    often = interval_schedule("bot.it", 60)
    async with ticking(tmp_path, often, clock=clock, seen=seen) as (bot, _):
        await bot.later(61)
    assert len(seen) == 1


async def test_a_schedule_that_is_called_otherwise_now_goes_on(tmp_path: Path) -> None:
    clock = VirtualClock()
    seen: list[Tick] = []
    old = interval_schedule("bot.it", 3600)
    async with ticking(tmp_path, old, clock=clock, seen=seen) as (bot, _):
        await bot.later(1800)
    new = msgspec.structs.replace(old, name="it", was=("bot.it",))
    async with ticking(tmp_path, new, clock=clock, seen=seen) as (bot, _):
        await bot.later(1860)
    assert [tick.schedule for tick in seen] == ["it"]


async def test_a_clock_that_goes_back_neither_stops_nor_repeats_a_schedule(tmp_path: Path) -> None:
    clock = VirtualClock()
    seen: list[Tick] = []
    noon = cron_schedule("bot.daily", "0 13 * * *", tz="UTC")
    async with ticking(tmp_path, noon, clock=clock, seen=seen) as (bot, _):
        await bot.later(3700)
        assert len(seen) == 1
        clock.set(clock.now() - timedelta(hours=2))
        await bot.later(2 * 3600)
        assert len(seen) == 1
        await bot.later(86400)
    assert [tick.at.day for tick in seen] == [11, 12]


async def test_a_clock_in_1970_only_plans_anew(tmp_path: Path) -> None:
    clock = VirtualClock()
    seen: list[Tick] = []
    async with ticking(tmp_path, HOURLY, clock=clock, seen=seen) as (bot, _):
        clock.set(clock.now().replace(year=1970))
        await bot.later(2 * 3600 + 120)
    assert len(seen) == 2


async def test_ticks_wait_for_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tick] = []
    async with ticking(tmp_path, HOURLY, seen=seen) as (bot, _):
        whole = bot.store.progress.fire
        faults: list[Exception] = [StoreUnavailable("full")] * 2

        async def fire(*args: Any, **named: Any) -> Any:
            if faults:
                raise faults.pop()
            return await whole(*args, **named)

        monkeypatch.setattr(bot.store.progress, "fire", fire)
        await bot.later(3600)
        assert seen == []
        await bot.later(3)
    assert len(seen) == 1


async def test_an_account_that_is_added_is_ticked_from_then_on(tmp_path: Path) -> None:
    seen: list[Tick] = []
    async with ticking(tmp_path, HOURLY, seen=seen) as (bot, scheduler):
        await bot.later(1800)
        for _ in range(2):
            await scheduler.add("2")
        await bot.later(3600 + 60)
    assert [tick.account_id for tick in seen] == [BOT, "2"]
    assert seen[1].at - seen[0].at == timedelta(minutes=30)


async def test_the_first_tick_of_an_account_that_is_added_comes_on_time(tmp_path: Path) -> None:
    seen: list[Tick] = []
    often = interval_schedule("bot.often", 5)
    async with ticking(tmp_path, often, accounts=(), seen=seen) as (bot, scheduler):
        await bot.later(1)
        await scheduler.add("2")
        await bot.later(6)
    assert [tick.account_id for tick in seen] == ["2"]


async def test_a_missed_time_waits_until_x_tells_its_own(tmp_path: Path) -> None:
    clock = VirtualClock()
    seen: list[Tick] = []
    schedule = interval_schedule("bot.hourly", 3600, catch_up="latest")
    async with ticking(tmp_path, schedule, clock=clock, seen=seen):
        pass
    clock.set(clock.now() + timedelta(hours=5, minutes=30))
    proven = ProvenTime(clock)
    async with ticking(tmp_path, schedule, clock=clock, seen=seen, proven=proven) as (bot, _):
        await bot.later(600)
        assert seen == []
        proven.note(clock.now())
        await bot.later(2)
    assert len(seen) == 1


async def test_a_clock_months_ahead_at_a_start_fires_nothing_early(tmp_path: Path) -> None:
    clock = VirtualClock()
    seen: list[Tick] = []
    schedule = interval_schedule("bot.hourly", 3600, catch_up="all")
    async with ticking(tmp_path, schedule, clock=clock, seen=seen) as (bot, _):
        await bot.later(1800)
    right = clock.now()
    clock.set(right + timedelta(days=100))
    proven = ProvenTime(clock)
    async with ticking(tmp_path, schedule, clock=clock, seen=seen, proven=proven) as (bot, _):
        proven.note(right)
        await bot.later(1700)
        assert seen == []
        await bot.later(3700)
    assert [tick.at - right for tick in seen] == [
        timedelta(minutes=30),
        timedelta(minutes=90),
    ]


async def test_until_x_tells_its_time_a_time_that_comes_in_this_run_fires(tmp_path: Path) -> None:
    clock = VirtualClock()
    seen: list[Tick] = []
    proven = ProvenTime(clock)
    async with ticking(tmp_path, HOURLY, clock=clock, seen=seen, proven=proven) as (bot, _):
        await bot.later(3601)
    assert len(seen) == 1


@pytest.mark.parametrize(("catch_up", "fired"), [("skip", 0), ("latest", 1), ("all", 5)])
async def test_times_that_passed_while_the_machine_slept_are_caught_up_by_the_rule(
    tmp_path: Path, catch_up: Any, fired: int
) -> None:
    seen: list[Tick] = []
    schedule = interval_schedule("bot.hourly", 3600, catch_up=catch_up)
    async with ticking(tmp_path, schedule, seen=seen) as (bot, _):
        await bot.clock.stand_still(timedelta(hours=5, minutes=30))
        await bot.later(10)
        assert len(seen) == fired
        await bot.later(1800)
    # The next one comes on its time again, once.
    assert len(seen) == fired + 1


async def test_a_schedule_that_was_changed_is_planned_by_what_it_says_now(tmp_path: Path) -> None:
    clock = VirtualClock()
    seen: list[Tick] = []
    noon = cron_schedule("bot.daily", "0 15 * * *", tz="UTC")
    async with ticking(tmp_path, noon, clock=clock, seen=seen):
        pass
    evening = cron_schedule("bot.daily", "0 18 * * *", tz="UTC")
    async with ticking(tmp_path, evening, clock=clock, seen=seen) as (bot, _):
        await bot.later(24 * 3600)
    assert [tick.at.hour for tick in seen] == [18]


async def test_a_jitter_delays_the_run_and_not_the_time_of_the_tick(tmp_path: Path) -> None:
    jittered = interval_schedule("bot.hourly", 3600, jitter=1800)
    seen: list[Tick] = []
    async with ticking(tmp_path, jittered, seen=seen) as (bot, _):
        began = bot.clock.now()
        due = began + timedelta(hours=1)
        delay = jittered.delay(due, account_id=BOT)
        assert delay > timedelta(seconds=10)
        await bot.later(3600 + delay.total_seconds() - 5)
        assert seen == []
        await bot.later(10)
        assert [tick.at for tick in seen] == [due]
        await bot.later(12 * 3600)
    assert [tick.at - began for tick in seen][:12] == [timedelta(hours=n) for n in range(1, 13)]


async def test_a_restart_within_the_jitter_neither_loses_nor_repeats_a_time(
    tmp_path: Path,
) -> None:
    clock = VirtualClock()
    jittered = interval_schedule("bot.hourly", 3600, jitter=3600)
    seen: list[Tick] = []
    for _ in range(20):
        async with ticking(tmp_path, jittered, clock=clock, seen=seen) as (bot, _):
            await bot.later(1700)
    times = [tick.at for tick in seen]
    assert len(times) >= 8
    assert [after - before for before, after in pairwise(times)] == [timedelta(hours=1)] * (
        len(times) - 1
    )


async def test_a_new_jitter_keeps_the_planned_time_and_is_told_in_the_row(tmp_path: Path) -> None:
    clock = VirtualClock()
    seen: list[Tick] = []
    async with ticking(tmp_path, HOURLY, clock=clock, seen=seen) as (bot, _):
        (before,) = await bot.store.progress.schedules(BOT)
        await bot.later(600)
    jittered = interval_schedule("bot.hourly", 3600, jitter=60)
    async with ticking(tmp_path, jittered, clock=clock, seen=seen) as (bot, _):
        (after,) = await bot.store.progress.schedules(BOT)
    assert after.next_at == before.next_at
    assert after.spec == "every 3600 s, up to 60 s later"
