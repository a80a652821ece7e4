"""Events get to handlers in order, in bounded slots, and survive stops and kills."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from botkit.errors import (
    Drop,
    LeaseLost,
    Parked,
    Retry,
    StoreUnavailable,
)
from botkit.model.events import Mention
from botkit.model.records import EventState
from botkit.model.users import User
from tests.unit.runtime.fakes import (
    ADA,
    Gate,
    bench,
    botkit_raises,
    calm,
    mention,
    start,
    turns,
    wired,
)

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from botkit.ports import Scope


KEY = "post/100/0"


async def test_the_same_event_twice_is_handled_once(tmp_path: Path) -> None:
    gate = Gate()
    gate.open("100")
    async with bench(tmp_path, wired(gate)) as bot:
        await bot.handle(mention())
        await bot.handle(mention(), mention())
    assert gate.order == ["100"]


async def test_one_lane_is_handled_in_order_and_others_beside_it(tmp_path: Path) -> None:
    gate = Gate()
    async with bench(tmp_path, wired(gate)) as bot:
        await bot.record(
            mention("1", conversation="a", second=1),
            mention("2", conversation="a", second=2),
            mention("3", conversation="b", second=3),
        )
        await calm(bot)
        assert gate.inside == ["1", "3"]
        gate.open("1")
        await calm(bot)
        assert gate.inside == ["3", "2"]
        gate.open("2", "3")
        await bot.idle()


async def test_no_more_handlers_run_at_once_than_there_are_slots(tmp_path: Path) -> None:
    gate = Gate()
    async with bench(tmp_path, wired(gate), slots=2) as bot:
        await bot.record(*(mention(str(n), second=n) for n in range(5)))
        await calm(bot)
        assert gate.inside == ["0", "1"]
        gate.open(*"01234")
        await bot.idle()
    assert gate.order == list("01234")


async def test_fault_38_what_does_not_fit_into_memory_stays_in_the_store_and_is_handled_in_order(
    tmp_path: Path,
) -> None:
    gate = Gate()
    async with bench(tmp_path, wired(gate), capacity=4) as bot:
        for n in range(12):
            async with asyncio.TaskGroup() as group:
                group.create_task(bot.record(mention(str(n), conversation="one", second=n)))
                await bot.clock.advance(0.1)
            assert bot.dispatcher.inbox_reader.held <= 4
        assert bot.clock.monotonic() < 2
        gate.open(*(str(n) for n in range(12)))
        await bot.idle()
    assert gate.order == [str(n) for n in range(12)]


async def test_a_failed_event_does_not_hold_its_lane(tmp_path: Path) -> None:
    order: list[str] = []

    async def fussy(event: Mention, scope: Scope) -> None:
        order.append(event.id)
        if event.id == "1" and order.count("1") == 1:
            raise Retry

    async with bench(tmp_path, wired(fussy)) as bot:
        await bot.handle(
            mention("1", conversation="a", second=1), mention("2", conversation="a", second=2)
        )
        assert order == ["1", "2"]
        await bot.later(5)
    assert order == ["1", "2", "1"]


async def test_a_parked_event_frees_its_slot_and_runs_when_the_cause_is_gone(
    tmp_path: Path,
) -> None:
    logins: list[str] = []

    async def waits(event: Mention, scope: Scope) -> None:
        if not logins:
            botkit_raises(Parked("login"))

    async with bench(tmp_path, wired(waits), slots=1) as bot:
        await bot.handle(mention())
        row = (await bot.store.events.get(KEY))[0]
        assert (row.waiting_for, row.attempts) == ("login", 0)
        logins.append("back")
        await bot.store.events.unpark("login")
        bot.dispatcher.inbox_reader.rescan()
        await bot.idle()
    assert bot.outcomes == ["parked", "done"]


async def test_nothing_is_lost_while_the_store_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[str] = []

    async def counts(event: Mention, scope: Scope) -> None:
        runs.append(event.id)
        if len(runs) == 1:
            botkit_raises(StoreUnavailable("disk full"))

    async with bench(tmp_path, wired(counts)) as bot:
        whole = bot.store.events.settle
        marks = bot.store.events.mark_running
        faults: list[Exception] = [StoreUnavailable("disk full")] * 3

        async def faulty_settle(*args: Any, **named: Any) -> None:
            if faults:
                raise faults.pop()
            await whole(*args, **named)

        async def faulty_marks(*args: Any, **named: Any) -> None:
            if len(faults) == 3:
                raise faults.pop()
            await marks(*args, **named)

        monkeypatch.setattr(bot.store.events, "settle", faulty_settle)
        monkeypatch.setattr(bot.store.events, "mark_running", faulty_marks)
        await bot.record(mention())
        await bot.later(30)
        row = (await bot.store.events.get(KEY))[0]
    assert runs == ["100", "100"]
    assert row.state is EventState.DONE
    assert bot.outcomes == ["done"]


async def test_a_worker_that_lost_the_lease_ends_the_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def greet(event: Mention, scope: Scope) -> None:
        botkit_raises(LeaseLost("taken"))

    with pytest.raises(LeaseLost):  # noqa: PT012 - it comes out of the block
        async with bench(tmp_path, wired(greet)) as bot:
            await bot.record(mention())
            await asyncio.Event().wait()
    assert bot.outcomes == []


async def test_events_left_by_a_kill_are_handled_at_the_next_start(tmp_path: Path) -> None:
    gate = Gate()
    async with bench(tmp_path, wired(gate)) as bot:
        await bot.record(mention())
        await calm(bot)
        assert gate.inside == ["100"]
    gate.open("100")
    async with bench(tmp_path, wired(gate), started=False) as bot:
        left = await bot.store.events.count_unclean(fence=bot.lease.fence())
        assert [one.unclean for one in left] == [1]
        start(bot)
        await bot.idle()
    assert gate.order == ["100", "100"]
    assert bot.outcomes == ["done"]


async def test_of_those_that_ran_when_the_process_died_a_few_run_at_a_time_and_others_beside_them(
    tmp_path: Path,
) -> None:
    gate = Gate()
    async with bench(tmp_path, wired(gate)) as bot:
        await bot.record(*(mention(str(n), second=n) for n in range(6)))
        await calm(bot)
        assert gate.inside == list("012345")
    gate.order.clear()
    gate.inside.clear()
    async with bench(tmp_path, wired(gate), started=False) as bot:
        await bot.store.events.count_unclean(fence=bot.lease.fence())
        start(bot)
        await calm(bot)
        assert gate.inside == list("0123")
        await bot.record(mention("new", second=9))
        await calm(bot)
        assert gate.inside == [*"0123", "new"]
        gate.open("2")
        await calm(bot)
        assert gate.inside == [*"013", "new", "4"]
    async with bench(tmp_path, wired(gate), started=False) as bot:
        left = await bot.store.events.count_unclean(fence=bot.lease.fence())
        assert {one.key: one.unclean for one in left} == {
            "post/0/0": 2,
            "post/1/0": 2,
            "post/3/0": 2,
            "post/4/0": 2,
            "post/new/0": 1,
        }


async def test_suspects_do_not_take_the_slots_of_others_while_they_wait(tmp_path: Path) -> None:
    gate = Gate()
    async with bench(tmp_path, wired(gate)) as bot:
        await bot.record(*(mention(str(n), second=n) for n in range(8)))
        await calm(bot)
    gate.inside.clear()
    async with bench(tmp_path, wired(gate), started=False, slots=5) as bot:
        await bot.store.events.count_unclean(fence=bot.lease.fence())
        await bot.record(mention("8", second=8), mention("9", second=9))
        start(bot)
        await calm(bot)
        assert gate.inside == [*"0123", "8"]
        gate.open(*"0123456789")
        await bot.idle()


async def test_more_poison_than_slots_leaves_every_slot_free(tmp_path: Path) -> None:
    poison = {str(n) for n in range(12)}
    inside: list[str] = []
    together = asyncio.Barrier(3)

    async def eats(event: Mention, scope: Scope) -> None:
        if event.id in poison:
            raise Drop("poison")
        inside.append(event.id)
        await together.wait()

    async with bench(tmp_path, wired(eats), slots=3) as bot:
        await bot.record(*(mention(one, second=int(one)) for one in sorted(poison)))
        await bot.idle()
        # As many run side by side as ever, of other lanes and of those that were poisoned.
        good = (mention(str(n), second=n - 80) for n in (100, 101, 102))
        await bot.record(*good)
        await bot.idle()
    assert sorted(inside) == ["100", "101", "102"]


async def test_after_many_events_no_more_run_side_by_side_than_there_are_slots(
    tmp_path: Path,
) -> None:
    gate = Gate()
    early = [str(n) for n in range(9)]
    gate.open(*early)
    async with bench(tmp_path, wired(gate), slots=3) as bot:
        await bot.record(*(mention(one, second=int(one)) for one in early))
        await bot.idle()
        gate.inside.clear()
        await bot.record(*(mention(str(n), second=n) for n in range(10, 18)))
        await calm(bot)
        assert gate.inside == ["10", "11", "12"]
        gate.open(*map(str, range(10, 18)))
        await bot.idle()


async def test_an_event_that_took_the_process_down_twice_does_not_run_a_third_time(
    tmp_path: Path,
) -> None:
    gate = Gate()
    for _ in range(2):
        async with bench(tmp_path, wired(gate), started=False) as bot:
            await bot.store.events.count_unclean(fence=bot.lease.fence())
            start(bot)
            await bot.record(mention())
            await calm(bot)
    gate.open("101")
    async with bench(tmp_path, wired(gate), started=False) as bot:
        await bot.store.events.count_unclean(fence=bot.lease.fence())
        await bot.record(mention("101"))
        start(bot)
        await bot.idle()
        dead = await bot.store.events.dead()
    assert gate.order == ["100", "100", "101"]
    assert [(one.key, one.reason) for one in dead] == [(KEY, "crashed")]


async def test_events_that_are_buried_at_a_start_leave_every_slot_free(tmp_path: Path) -> None:
    together, inside = asyncio.Barrier(3), list[str]()

    async def eats(event: Mention, scope: Scope) -> None:
        inside.append(event.id)
        await together.wait()

    async with bench(tmp_path, wired(eats), slots=3, started=False) as bot:
        await bot.record(*(mention(str(n), second=n) for n in (1, 2, 3)))
        await bot.dispatcher.stop(0)
    async with bench(tmp_path, wired(eats), slots=3, started=False) as bot:
        fence, events = bot.lease.fence(), bot.store.events
        for _ in range(2):
            due = (await events.due(bot.clock.now())).items
            await events.mark_running([one.seq for one in due], fence=fence)
            assert len(await events.count_unclean(fence=fence)) == 3
        start(bot)
        await bot.idle()
        await bot.record(*(mention(str(n), second=n) for n in (7, 8, 9)))
        await bot.idle()
        assert len(await events.dead()) == 3
    assert sorted(inside) == ["7", "8", "9"]


async def test_stopping_lets_handlers_finish(tmp_path: Path) -> None:
    gate = Gate()
    async with bench(tmp_path, wired(gate)) as bot:
        await bot.record(mention("1", conversation="a"), mention("2", conversation="a", second=1))
        await calm(bot)
        async with asyncio.TaskGroup() as group:
            stopping = group.create_task(bot.dispatcher.stop(8))
            await turns()
            gate.open("1", "2")
        assert stopping.result() == []
        left = (await bot.store.events.due(bot.clock.now())).items
    assert gate.order == ["1"]
    assert [one.key for one in left] == ["post/2/0"]


async def test_stopping_cancels_what_does_not_finish_and_its_event_runs_at_the_next_start(
    tmp_path: Path,
) -> None:
    gate = Gate()
    async with bench(tmp_path, wired(gate), slots=1) as bot:
        await bot.record(mention())
        await calm(bot)
        async with asyncio.TaskGroup() as group:
            stopping = group.create_task(bot.dispatcher.stop(8))
            await bot.clock.advance(9)
        assert stopping.result() == []
        assert bot.outcomes == []
        left = await bot.store.events.count_unclean(fence=bot.lease.fence())
        assert left == []
        due = (await bot.store.events.due(bot.clock.now())).items
    assert [(one.key, one.unclean, one.attempts) for one in due] == [(KEY, 0, 0)]


async def test_stopping_does_not_wait_for_a_handler_that_swallows_its_cancellation(
    tmp_path: Path,
) -> None:
    release = asyncio.Event()

    async def deaf(event: Mention, scope: Scope) -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    async with bench(tmp_path, wired(deaf)) as bot:
        await bot.record(mention())
        await calm(bot)
        async with asyncio.TaskGroup() as group:
            stopping = group.create_task(bot.dispatcher.stop(8))
            await bot.clock.advance(10)
        assert stopping.result() == ["deaf"]
        release.set()
        await turns()


async def test_what_cannot_be_given_back_at_the_stop_is_said_and_survived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    async with bench(tmp_path, wired(gate)) as bot:
        await bot.record(mention())
        await calm(bot)

        async def settle(*args: Any, **named: Any) -> None:
            raise StoreUnavailable("full")

        monkeypatch.setattr(bot.store.events, "settle", settle)
        assert await bot.dispatcher.stop(0) == []
        assert bot.outcomes == []


async def test_an_event_waits_for_its_author_and_keeps_its_place(tmp_path: Path) -> None:
    gate = Gate()
    gate.open("1", "2")
    nameless = User(id=ADA.id, username="", name="")
    async with bench(tmp_path, wired(gate)) as bot:
        await bot.handle(
            mention("1", conversation="a", author=nameless, missing=("author",), second=1),
            mention("2", conversation="a", second=2),
        )
    assert gate.order == ["1", "2"]
    assert bot.lookup.calls == [[ADA.id]]
    assert isinstance(bot.ended[0].event, Mention)
    assert bot.ended[0].event.author == ADA


async def test_reading_the_inbox_goes_on_after_the_store_was_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    gate.open("100")
    async with bench(tmp_path, wired(gate), started=False) as bot:
        whole = bot.store.events.due
        faults: list[Exception] = [StoreUnavailable("locked")]

        async def due(*args: Any, **named: Any) -> Any:
            if faults:
                raise faults.pop()
            return await whole(*args, **named)

        monkeypatch.setattr(bot.store.events, "due", due)
        await bot.record(mention())
        start(bot)
        await calm(bot)
        assert gate.order == []
        await bot.later(2)
    assert gate.order == ["100"]


async def test_a_worker_that_is_gone_is_replaced(tmp_path: Path) -> None:
    gate = Gate()
    gate.open("100", "101")
    async with bench(tmp_path, wired(gate)) as bot:
        await bot.handle(mention())
        bot.dispatcher._slots[0].worker.cancel()
        await calm(bot)
        await bot.handle(mention("101"))
    assert gate.order == ["100", "101"]


async def test_the_commit_that_records_an_event_says_that_its_handler_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    async with bench(tmp_path, wired(gate), slots=2) as bot:
        marked: list[list[int]] = []
        whole = bot.store.events.mark_running

        async def mark_running(seqs: list[int], **named: Any) -> None:
            marked.append(seqs)
            await whole(seqs, **named)

        monkeypatch.setattr(bot.store.events, "mark_running", mark_running)
        await calm(bot)
        await bot.record(
            mention("1", conversation="a", second=1),
            mention("2", conversation="a", second=2),
            mention("3", conversation="b", second=3),
            mention("4", conversation="c", second=4),
        )
        await calm(bot)
        assert gate.inside == ["1", "3"]
        assert marked == []
        gate.open("1", "2", "3", "4")
        await bot.idle()
    assert sorted(seq for seqs in marked for seq in seqs) == [2, 4]


async def test_an_event_that_was_about_to_run_at_the_stop_is_not_held_against_it(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path, wired(Gate()), started=False) as bot:
        bot.tasks.start(bot.dispatcher.inbox_reader.run(), "inbox_reader")
        await calm(bot)
        await bot.record(mention())
        await bot.dispatcher.stop(0)
        await bot.record(mention("101"))
        assert await bot.store.events.count_unclean(fence=bot.lease.fence()) == []
        due = (await bot.store.events.due(bot.clock.now())).items
    assert sorted(one.key for one in due) == [KEY, "post/101/0"]


async def test_a_stop_while_events_are_marked_is_not_held_against_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(tmp_path, wired(Gate()), started=False) as bot:
        await bot.record(mention())
        await bot.dispatcher.stop(0)
    async with bench(tmp_path, wired(Gate()), started=False) as bot:
        mark, marked = bot.store.events.mark_running, asyncio.Event()

        async def slow(*args: Any, **named: Any) -> None:
            await mark(*args, **named)
            marked.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(bot.store.events, "mark_running", slow)
        start(bot)
        await marked.wait()
        await bot.dispatcher.stop(0)
        assert await bot.store.events.count_unclean(fence=bot.lease.fence()) == []


async def test_a_stop_before_a_worker_takes_what_is_marked_is_not_held_against_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    async with bench(tmp_path, wired(gate), started=False) as bot:
        await bot.record(mention())
        await bot.dispatcher.stop(0)
    async with bench(tmp_path, wired(gate), started=False) as bot, asyncio.TaskGroup() as group:
        mark, stopped = bot.store.events.mark_running, asyncio.Event()

        async def stop() -> None:
            await bot.dispatcher.stop(0)
            stopped.set()

        async def stopped_after(*args: Any, **named: Any) -> None:
            await mark(*args, **named)
            group.create_task(stop())

        monkeypatch.setattr(bot.store.events, "mark_running", stopped_after)
        start(bot)
        await stopped.wait()
        assert await bot.store.events.count_unclean(fence=bot.lease.fence()) == []
        assert [one.key for one in (await bot.store.events.due(bot.clock.now())).items] == [KEY]
    assert gate.inside == []


async def test_done_marks_wait_for_a_commit_that_is_made_anyway_but_not_for_long(
    tmp_path: Path,
) -> None:
    gate = Gate()
    gate.open("2")
    async with bench(tmp_path, wired(gate)) as bot:
        await bot.record(mention("1"), mention("2"))
        await calm(bot)
        assert await bot.note(mention("2")) == ""
        await bot.clock.advance(0.01)
        assert await bot.note(mention("2")) == "gate"
        gate.open("1")
        await bot.idle()


BOB = User(id="77", username="bob", name="Bob")


@pytest.mark.parametrize("started", [True, False])
async def test_a_flood_of_one_author_keeps_no_other_author_waiting(
    tmp_path: Path, *, started: bool
) -> None:
    order: list[str] = []

    async def handle(event: Mention, scope: Scope) -> None:
        order.append(event.post.id)
        await bot.clock.sleep(1)

    floods = [mention(f"{1000 + n}") for n in range(120)]
    wiring = wired(handle)
    async with bench(tmp_path, wiring, slots=4, capacity=40, started=started) as bot:
        await bot.record(*floods)
        await bot.record(mention("5000", author=BOB))
        if not started:
            start(bot)
        await bot.later(10)
        assert "5000" in order[:12]
        await bot.later(100)
        await bot.idle()
    assert sorted(order) == sorted([*(event.post.id for event in floods), "5000"])
    assert [one for one in order if one != "5000"] == [event.post.id for event in floods]


async def test_a_conversation_stays_in_order_behind_a_flood(tmp_path: Path) -> None:
    order: list[str] = []

    async def handle(event: Mention, scope: Scope) -> None:
        order.append(event.post.id)

    async with bench(tmp_path, wired(handle), slots=2, capacity=16, started=False) as bot:
        await bot.record(*(mention(f"{1000 + n}") for n in range(10)))
        await bot.record(mention("2000", conversation="c"))
        await bot.record(mention("2001", conversation="c", author=BOB))
        start(bot)
        await bot.idle()
    assert order.index("2000") < order.index("2001")
