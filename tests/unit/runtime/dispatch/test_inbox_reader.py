"""What is held in memory is bounded, never twice, and never forgotten."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from botkit.model.records import Fence, InboxItem, InboxPage
from botkit.runtime.dispatch.inbox_reader import InboxReader
from botkit.runtime.intake.lanes import Job
from botkit.sandbox.harness.clock import VirtualClock
from botkit.waiting.proven_time import ProvenTime
from tests.unit.runtime.fakes import XAgrees, turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

FENCE = Fence("runner", "test", 1)
NOW = datetime(2025, 12, 11, tzinfo=UTC)


class Shelf:
    """An inbox that answers when it is told to."""

    def __init__(self) -> None:
        self.rows: dict[int, datetime | None] = {}
        self.items: list[InboxItem] = []
        self.asked: list[int] = []
        self.open = asyncio.Event()
        self.open.set()

    async def due(self, now: datetime, *, after_seq: int = 0, limit: int = 500) -> InboxPage:
        self.asked.append(after_seq)
        found = [
            item(seq)
            for seq, at in sorted(self.rows.items())
            if seq > after_seq and (at is None or at <= now)
        ] + self.items
        later = [at for at in self.rows.values() if at is not None and at > now]
        await self.open.wait()
        return InboxPage(items=found[:limit], next_at=min(later, default=None))


def item(seq: int) -> InboxItem:
    return InboxItem(
        seq=seq, account_id="1", key=str(seq), kind="k", lane=str(seq), body=b"", at=NOW
    )


def job(seq: int) -> Job:
    return Job.from_item(item(seq))


class Setting:
    def __init__(self, capacity: int, *, is_proven: bool = True) -> None:
        self.clock = VirtualClock()
        self.proven = XAgrees(self.clock) if is_proven else ProvenTime(self.clock)
        self.shelf = Shelf()
        self.taken: list[int] = []
        self.owners: dict[int, str] = {}
        store: Any = type("Store", (), {"events": self.shelf})
        self.inbox_reader = InboxReader(
            store=store,
            clock=self.clock,
            take=lambda one: self.taken.append(one.seq),
            owner_of=lambda one: self.owners.get(one.seq, one.lane),
            capacity=capacity,
            proven=self.proven,
        )


@asynccontextmanager
async def fed(capacity: int = 10, *rows: int, is_proven: bool = True) -> AsyncIterator[Setting]:
    setting = Setting(capacity, is_proven=is_proven)
    setting.shelf.rows = dict.fromkeys(rows)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(setting.inbox_reader.run())
        await turns()
        yield setting
        running.cancel()


async def test_what_was_there_at_the_start_is_read() -> None:
    async with fed(10, 1, 2, 3) as on:
        assert on.taken == [1, 2, 3]
        assert on.inbox_reader.held == 3
        assert on.inbox_reader.has_room
        assert not on.inbox_reader.idle


async def test_what_is_offered_twice_is_held_once() -> None:
    async with fed() as on:
        on.inbox_reader.offer([job(1), job(1)])
        on.inbox_reader.rescan()
        on.shelf.rows[1] = None
        await turns()
    assert on.taken == [1]


async def test_what_does_not_fit_is_read_in_order_when_there_is_room() -> None:
    async with fed(4) as on:
        on.shelf.rows = dict.fromkeys(range(1, 10))
        on.inbox_reader.offer([job(seq) for seq in range(1, 10)])
        assert on.taken == [1, 2, 3, 4]
        for seq in (1, 2):
            on.inbox_reader.release(job(seq))
            del on.shelf.rows[seq]
        await turns()
        assert on.taken == [1, 2, 3, 4, 5, 6]
        on.shelf.rows[10] = None
        on.inbox_reader.offer([job(10)])
        for seq in range(3, 11):
            on.inbox_reader.release(job(seq))
            on.shelf.rows.pop(seq, None)
            await turns()
    assert on.taken == list(range(1, 11))


async def test_a_source_is_let_wait_a_moment_when_memory_is_nearly_full() -> None:
    async with fed(8) as on:
        on.inbox_reader.offer([job(seq) for seq in range(1, 6)])
        await on.inbox_reader.let_catch_up()
        on.inbox_reader.offer([job(6)])
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(on.inbox_reader.let_catch_up())
            await turns()
            for seq in range(1, 4):
                on.inbox_reader.release(job(seq))
            await turns()
            assert not waiting.done()
            on.inbox_reader.release(job(4))
        assert on.clock.monotonic() == 0


async def test_a_source_never_waits_for_slow_handlers() -> None:
    async with fed(8) as on:
        on.inbox_reader.offer([job(seq) for seq in range(1, 9)])
        async with asyncio.TaskGroup() as group:
            group.create_task(on.inbox_reader.let_catch_up())
            await on.clock.advance(0.05)
        assert on.inbox_reader.held == 8
        assert not on.inbox_reader.overflowed
        await on.inbox_reader.let_catch_up()
        for seq in range(1, 9):
            on.inbox_reader.release(job(seq))
        on.inbox_reader.offer([job(seq) for seq in range(9, 17)])
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(on.inbox_reader.let_catch_up())
            await turns()
            assert not waiting.done()
            await on.clock.advance(0.05)


async def test_a_reading_of_many_pages_brings_everything_once() -> None:
    async with fed(5000, *range(1, 1203)) as on:
        await turns(10)
        assert on.taken == list(range(1, 1203))
        assert on.shelf.asked[:3] == [0, 500, 1000]


async def test_what_ended_while_it_was_read_is_not_taken_again() -> None:
    async with fed() as on:
        on.shelf.rows[1] = None
        on.inbox_reader.offer([job(1)])
        on.shelf.open.clear()
        on.inbox_reader.rescan()
        await turns()
        on.inbox_reader.release(job(1))
        del on.shelf.rows[1]
        assert not on.inbox_reader.idle
        on.shelf.open.set()
        await on.inbox_reader.wait_idle()
    assert on.taken == [1]


async def test_what_comes_while_it_is_read_is_not_left_behind() -> None:
    async with fed(1, 1, 2) as on:
        assert on.taken == [1]
        on.shelf.open.clear()
        on.inbox_reader.release(job(1))
        del on.shelf.rows[1]
        await turns()
        on.inbox_reader.offer([job(3)])
        on.shelf.rows[3] = None
        on.shelf.open.set()
        await turns()
        assert on.taken == [1, 2]
        on.inbox_reader.release(job(2))
        del on.shelf.rows[2]
        await turns()
    assert on.taken == [1, 2, 3]


async def test_a_reading_that_is_cut_off_is_made_again() -> None:
    setting = Setting(10)
    setting.shelf.rows[1] = None
    setting.shelf.open.clear()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(setting.inbox_reader.run())
        await turns()
        running.cancel()
    setting.shelf.open.set()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(setting.inbox_reader.run())
        await turns()
        running.cancel()
    assert setting.taken == [1]


async def test_what_becomes_due_later_is_read_at_its_time() -> None:
    async with fed() as on:
        soon = on.clock.now() + timedelta(seconds=5)
        on.shelf.rows[1] = soon
        on.inbox_reader.later(soon)
        on.inbox_reader.later(soon + timedelta(seconds=50))
        await on.clock.advance(4)
        assert on.taken == []
        await on.clock.advance(1)
        assert on.taken == [1]


async def test_what_is_due_already_is_read_at_once() -> None:
    async with fed() as on:
        on.shelf.rows[1] = None
        on.inbox_reader.later(on.clock.now())
        await turns()
    assert on.taken == [1]


async def test_a_time_learned_while_a_page_is_read_is_not_forgotten() -> None:
    setting = Setting(10)
    setting.shelf.open.clear()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(setting.inbox_reader.run())
        await turns()
        soon = setting.clock.now() + timedelta(seconds=5)
        setting.inbox_reader.later(soon)
        setting.shelf.rows[1] = soon
        setting.shelf.open.set()
        await setting.clock.advance(6)
        running.cancel()
    assert setting.taken == [1]


async def test_the_wall_clock_may_jump_over_a_time() -> None:
    async with fed() as on:
        far = on.clock.now() + timedelta(days=2)
        on.shelf.rows[1] = far
        on.inbox_reader.later(far)
        await turns()
        on.clock.set(far)
        await on.clock.advance(61)
    assert on.taken == [1]


async def test_another_processs_times_are_noticed() -> None:
    async with fed() as on:
        on.shelf.rows[1] = on.clock.now() + timedelta(seconds=90)
        await on.clock.advance(100)
    assert on.taken == [1]


async def test_idle_is_told_to_all_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    async with fed(10, 1, 2) as on:
        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(on.inbox_reader.wait_idle()) for _ in range(2)]
            await turns()
            on.inbox_reader.release(job(1))
            await turns()
            assert not any(task.done() for task in waiting)
            on.shelf.rows.clear()
            on.inbox_reader.release(job(2))
        assert on.inbox_reader.idle


async def test_a_signal_for_later_waits_until_x_supports_its_time() -> None:
    async with fed(is_proven=False) as on:
        began = on.clock.now()
        on.shelf.items = [
            replace(item(1), source="emit", not_before=began - timedelta(days=1)),
            replace(item(2), source="emit", not_before=began, attempts=1),
            replace(item(3), source="emit", not_before=began, waiting_for="rate"),
            replace(item(4), not_before=began),
        ]
        on.inbox_reader.rescan()
        await turns()
        assert on.taken == [2, 3, 4]  # what waits by botkit's own plan does not wait for X
        on.proven.note(began - timedelta(days=30))  # the clock is a month ahead
        await on.clock.advance(70)
        assert on.taken == [2, 3, 4]
        on.proven.note(began)
        await on.clock.advance(70)
    assert on.taken == [2, 3, 4, 1]


FLOOD = range(1, 31)


@asynccontextmanager
async def flooded() -> AsyncIterator[Setting]:
    """A memory of 16 with a flood of thirty events by one author, and room for four of them."""
    async with fed(16) as on:
        on.owners = dict.fromkeys(FLOOD, "flood")
        on.shelf.rows = dict.fromkeys(FLOOD)
        yield on


async def test_a_flood_of_one_author_leaves_room_for_those_behind_it() -> None:
    async with flooded() as on:
        on.inbox_reader.offer([job(seq) for seq in FLOOD])
        on.inbox_reader.offer([job(31)])
        assert on.taken == [1, 2, 3, 4, 31]
        assert not on.inbox_reader.overflowed or on.inbox_reader.held < 16


async def test_a_flood_that_stands_in_the_store_is_read_past_and_then_in_order() -> None:
    async with flooded() as on:
        on.shelf.rows[31] = None
        on.inbox_reader.rescan()
        await turns()
        assert on.taken == [1, 2, 3, 4, 31]
        on.inbox_reader.rescan()
        on.inbox_reader.offer([job(9)])
        await turns()
        assert on.taken == [1, 2, 3, 4, 31]
        for seq in (31, *FLOOD):
            assert seq in on.taken
            on.shelf.rows.pop(seq)
            on.inbox_reader.release(job(seq))
            await turns()
        assert on.taken == [1, 2, 3, 4, 31, *range(5, 31)]
        assert on.inbox_reader.idle
