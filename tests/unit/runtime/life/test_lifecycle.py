"""How a running bot starts, looks after itself, stops, and dies."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from botkit.errors import LeaseLost, Parked, StoreGone, StoreUnavailable
from botkit.leases.lease import Lease
from botkit.model.events import Mention, Tick
from botkit.model.records import EventState, NewWrite, WriteMove, WriteState
from botkit.routing.schedules import interval_schedule
from botkit.runtime.life.lifecycle import Tasks
from botkit.sandbox.harness.clock import VirtualClock
from tests.unit.runtime.fakes import BOT, FakeWiring, botkit_raises, mention, turns
from tests.unit.runtime.living import gone, greeting, running, through

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from botkit.ports import Scope

KEY = "post/100/0"


def hanging(release: asyncio.Event | None = None) -> tuple[FakeWiring, list[str]]:
    seen: list[str] = []
    gate = release or asyncio.Event()

    async def hang(event: Mention, scope: Scope) -> None:
        seen.append("in")
        try:
            await gate.wait()
        finally:
            seen.append("out")

    wiring = FakeWiring()
    wiring.on(Mention, hang)
    return wiring, seen


async def test_a_start_settles_the_past_and_then_hears_and_ticks(tmp_path: Path) -> None:
    wiring, seen = greeting()
    ticks: list[Tick] = []

    async def on_tick(event: Tick, scope: Scope) -> None:
        ticks.append(event)

    wiring.on(Tick, on_tick)
    heard = asyncio.Event()

    async def source() -> None:
        await alive.bench.record(mention())
        heard.set()
        await asyncio.Event().wait()

    minutely = interval_schedule("bot.often", 60)
    async with running(tmp_path, wiring, parts={"stream": source}, schedules=[minutely]) as alive:
        await heard.wait()
        await alive.bench.idle()
        await alive.clock.advance(61)
        reports = {one.part: one.state for one in await alive.bench.store.progress.reports()}
    assert seen == ["100"]
    assert len(ticks) == 1
    assert alive.recovered == [1]
    assert reports == {"runner": "starting"}


async def test_events_of_a_killed_process_are_counted_and_run_again(tmp_path: Path) -> None:
    clock = VirtualClock()
    wiring, seen = hanging()
    async with running(tmp_path, wiring, clock=clock) as alive:
        await alive.bench.record(mention())
        await clock.at_rest()
        alive.runtime.crash()
        assert await alive.runtime.stop() == []
    assert seen == ["in", "out"]
    assert alive.bench.outcomes == []
    wiring, seen = greeting()
    async with running(tmp_path, wiring, clock=clock) as alive:
        await alive.bench.idle()
        row = (await alive.bench.store.events.get(KEY))[0]
    assert seen == ["100"]
    assert row.state is EventState.DONE


async def test_a_crash_writes_nothing_and_keeps_the_lease(tmp_path: Path) -> None:
    wiring, _ = hanging()
    async with running(tmp_path, wiring) as alive:
        await alive.bench.record(mention())
        await alive.clock.at_rest()
        alive.runtime.crash()
        with pytest.raises(LeaseLost):
            alive.bench.lease.fence()
        with pytest.raises(StoreUnavailable):
            await alive.bench.record(mention("101"))
        await turns()
        store = alive.bench.store
        assert await store.leases.holder("runner") == "test"
        assert [one.part for one in await store.progress.reports()] in ([], ["runner"])
        row = (await store.events.get(KEY))[0]
        assert (row.state, row.attempts, row.waiting_for) == (EventState.WAITING, 0, "")


async def test_a_stop_lets_handlers_and_sends_finish_and_gives_the_lease_back(
    tmp_path: Path,
) -> None:
    release = asyncio.Event()
    wiring, seen = hanging(release)
    sent: list[str] = []

    async def send() -> None:
        await alive.clock.sleep(1)
        sent.append("answer")

    async with running(tmp_path, wiring) as alive:
        await alive.bench.record(mention())
        await alive.clock.at_rest()
        alive.bench.tasks.send(send())
        release.set()
        stubborn = await through(alive.clock, alive.runtime.stop())
        store = alive.bench.store
        assert await store.leases.holder("runner") is None
        assert await store.progress.reports() == []
    assert stubborn == []
    assert seen == ["in", "out"]
    assert sent == ["answer"]
    assert alive.bench.outcomes == ["done"]


async def test_a_stop_ends_within_its_deadline_whatever_hangs(tmp_path: Path) -> None:
    wiring, seen = hanging()
    cut: list[str] = []

    async def send() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cut.append("send")

    async with running(tmp_path, wiring) as alive:
        await alive.bench.record(mention())
        await alive.clock.at_rest()
        alive.bench.tasks.send(send())
        began = alive.clock.monotonic()
        await through(alive.clock, alive.runtime.stop(8))
        assert alive.clock.monotonic() - began <= 8.5
        row = (await alive.bench.store.events.get(KEY))[0]
    assert seen == ["in", "out"]
    assert cut == ["send"]
    assert (row.state, row.attempts) == (EventState.WAITING, 0)


async def test_a_stop_takes_nothing_more_in(tmp_path: Path) -> None:
    release = asyncio.Event()
    wiring, _ = hanging(release)
    stopped: list[str] = []

    async def source() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append("stream")

    async with running(tmp_path, wiring, parts={"stream": source}) as alive:
        await alive.bench.record(mention())
        await alive.clock.at_rest()
        async with asyncio.TaskGroup() as group:
            stopping = group.create_task(alive.runtime.stop(8))
            await turns()
            assert stopped == ["stream"]
            with pytest.raises(StoreUnavailable):
                await alive.bench.record(mention("101"))
            release.set()
            await stopping


async def test_a_second_stop_has_nothing_to_do(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def deaf(event: Mention, scope: Scope) -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    wiring = FakeWiring()
    wiring.on(Mention, deaf)
    async with running(tmp_path, wiring) as alive:
        await alive.bench.record(mention())
        await alive.clock.at_rest()
        first = await through(alive.clock, alive.runtime.stop(8))
        ended = alive.clock.monotonic()
        assert await alive.runtime.stop(8) == first == ["deaf"]
        assert alive.clock.monotonic() == ended
        release.set()


async def test_a_stop_survives_a_store_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wiring, _ = greeting()

    async def clear(**_: Any) -> None:
        raise StoreUnavailable("read-only")

    async with running(tmp_path, wiring) as alive:
        monkeypatch.setattr(alive.bench.store.progress, "clear_reports", clear)
        assert await alive.runtime.stop(0) == []


async def test_a_part_that_fails_starts_again_and_takes_nobody_down(tmp_path: Path) -> None:
    wiring, seen = greeting()
    starts: list[float] = []
    clock = VirtualClock()

    async def source() -> None:
        starts.append(clock.monotonic())
        if len(starts) == 4:
            await clock.sleep(100)
        if len(starts) == 6:
            return
        raise ValueError("a line that nobody expected")

    async with running(tmp_path, wiring, clock=clock, parts={"stream": source}) as alive:
        await clock.at_rest()
        assert alive.reports.current["stream"].state == "wrong"
        await clock.advance(300)
        await alive.bench.handle(mention())
    waits = [round(b - a) for a, b in itertools.pairwise(starts)]
    assert len(starts) == 6
    assert waits[0] <= 2
    assert 3 <= waits[1] <= 7
    assert 11 <= waits[2] <= 19
    assert waits[3] <= 102
    assert waits[4] <= 7
    assert seen == ["100"]


async def test_losing_the_lease_ends_everything(tmp_path: Path) -> None:
    wiring, _ = greeting()
    with pytest.raises(LeaseLost):  # noqa: PT012 - it comes out of the block
        async with running(tmp_path, wiring) as alive:
            rival = Lease(alive.bench.store, alive.clock, owner="rival", lives=gone)
            await rival.acquire()
            await alive.clock.advance(4)
            await asyncio.Event().wait()


async def test_a_store_that_was_removed_ends_everything_within_a_second(tmp_path: Path) -> None:
    wiring, _ = greeting()
    with capture_logs() as logs, pytest.raises(StoreGone, match="was removed"):  # noqa: PT012 - as below
        async with running(tmp_path, wiring) as alive:
            await alive.clock.at_rest()
            await asyncio.to_thread(shutil.rmtree, tmp_path)
            await alive.clock.advance(1.1)
            await asyncio.Event().wait()
    (said,) = [line for line in logs if line["event"] == "bot.failed"]
    assert said["log_level"] == "critical"
    assert "restore a backup" in said["why"]


async def test_a_part_that_lost_the_lease_ends_everything(tmp_path: Path) -> None:
    wiring, _ = greeting()

    async def source() -> None:
        raise LeaseLost("taken")

    with pytest.raises(LeaseLost):
        async with running(tmp_path, wiring, parts={"stream": source}):
            await asyncio.Event().wait()


async def test_housekeeping_that_lost_the_lease_ends_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wiring, _ = greeting()

    async def changed() -> bool:
        raise LeaseLost("taken")

    with pytest.raises(LeaseLost):  # noqa: PT012 - it comes out of the block
        async with running(tmp_path, wiring) as alive:
            monkeypatch.setattr(alive.bench.store, "changed", changed)
            await alive.clock.advance(2)
            await asyncio.Event().wait()


@pytest.mark.parametrize("hears_changes", [True, False])
async def test_what_another_process_changed_is_seen_within_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, hears_changes: bool
) -> None:
    wiring, _ = greeting()
    answers = [True]

    async def changed() -> bool:
        return answers.pop() if answers else False

    async with running(tmp_path, wiring, hears_changes=hears_changes) as alive:
        await alive.clock.at_rest()
        monkeypatch.setattr(alive.bench.store, "changed", changed)
        await alive.clock.advance(1.1)
    assert len(alive.changes) == hears_changes


async def test_an_event_that_somebody_set_free_runs_within_a_second(tmp_path: Path) -> None:
    tries: list[str] = []

    async def waits(event: Mention, scope: Scope) -> None:
        tries.append(event.id)
        if len(tries) == 1:
            botkit_raises(Parked("login"))

    wiring = FakeWiring()
    wiring.on(Mention, waits)
    async with running(tmp_path, wiring) as alive:
        await alive.bench.handle(mention())
        await alive.bench.store.events.unpark("login")
        await alive.clock.advance(1.1)
        assert tries == ["100", "100"]


async def test_what_waits_without_a_time_is_tried_at_the_start_and_now_and_then(
    tmp_path: Path,
) -> None:
    clock = VirtualClock()
    tries: list[float] = []

    async def waits(event: Mention, scope: Scope) -> None:
        tries.append(clock.monotonic())
        botkit_raises(Parked("login"))

    wiring = FakeWiring()
    wiring.on(Mention, waits)
    async with running(tmp_path, wiring, clock=clock) as alive:
        await alive.bench.handle(mention())
        await clock.advance(1000)
    assert len(tries) == 2
    assert 900 <= tries[1] <= 902
    async with running(tmp_path, wiring, clock=clock) as alive:
        await alive.bench.idle()
    assert len(tries) == 3


async def test_housekeeping_waits_for_the_store_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wiring, _ = greeting()
    async with running(tmp_path, wiring) as alive:
        await alive.clock.at_rest()
        faults: list[Exception] = [StoreUnavailable("full")] * 2
        whole = alive.bench.store.progress.report

        async def report(*args: Any, **how: Any) -> None:
            if faults:
                raise faults.pop()
            await whole(*args, **how)

        monkeypatch.setattr(alive.bench.store.progress, "report", report)
        alive.reports("stream", "live", "hears")
        await alive.clock.advance(5)
        stored = {one.part: one.detail for one in await alive.bench.store.progress.reports()}
    assert stored["stream"] == "hears"


async def test_what_is_told_of_the_runner_counts_events(tmp_path: Path) -> None:
    wiring, _ = greeting()
    async with running(tmp_path, wiring) as alive:
        await alive.bench.handle(mention(), mention("101"))
        await alive.clock.advance(12)
        (report,) = await alive.bench.store.progress.reports()
    assert (report.part, report.data["done"]) == ("runner", "2")


async def test_a_task_that_fails_ends_the_block_with_its_own_error() -> None:
    with pytest.raises(ValueError, match="broken"):  # noqa: PT012 - it comes out of the block
        async with Tasks() as tasks:
            tasks.start(_breaks(), "part")
            await asyncio.Event().wait()


async def test_a_worker_that_fails_ends_the_block_with_its_own_error() -> None:
    with pytest.raises(ValueError, match="broken"):  # noqa: PT012 - it comes out of the block
        async with Tasks() as tasks:
            worker = tasks.hire(_breaks())
            await asyncio.Event().wait()
    assert worker.done()


async def test_parts_that_find_out_the_same_of_the_store_raise_one_error() -> None:
    with pytest.raises(StoreGone):  # noqa: PT012 - it comes out of the block
        async with Tasks() as tasks:
            tasks.start(_raises(StoreGone("removed")), "one")
            tasks.start(_raises(StoreGone("removed")), "two")
            await asyncio.Event().wait()


async def test_two_failures_come_out_together() -> None:
    with pytest.raises(ExceptionGroup):  # noqa: PT012 - it comes out of the block
        async with Tasks() as tasks:
            tasks.start(_breaks(), "one")
            tasks.start(_breaks(), "two")
            await asyncio.Event().wait()


async def test_the_end_of_the_block_does_not_wait_for_a_worker_that_will_not_end() -> None:
    release = asyncio.Event()

    async def deaf() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    async with Tasks() as tasks:
        worker = tasks.hire(deaf())
        await turns(1)
    assert not worker.done()
    release.set()
    await worker


async def test_what_comes_too_late_is_not_started() -> None:
    began: list[int] = []

    async def late() -> None:
        began.append(1)

    async with Tasks() as tasks:
        pass
    tasks.start(late(), "late")
    await turns()
    assert began == []


async def _breaks() -> None:
    raise ValueError("broken")


async def test_a_part_that_is_added_runs_is_started_again_and_stops_with_the_others(
    tmp_path: Path,
) -> None:
    wiring, _ = greeting()
    said: list[str] = []

    async def late() -> None:
        said.append("runs")
        if len(said) == 1:
            raise ValueError("once")
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            said.append("ends")

    async with running(tmp_path, wiring) as alive:
        alive.runtime.add_part("late", late)
        for _ in range(50):
            await alive.clock.at_rest()
            alive.clock.jump()
            if len(said) == 2:
                break
        assert said == ["runs", "runs"]
    assert said == ["runs", "runs", "ends"]


async def test_a_part_that_is_removed_has_ended_and_the_others_go_on(tmp_path: Path) -> None:
    wiring, _ = greeting()
    ended: list[str] = []

    def waiting(name: str) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                ended.append(name)

        return run

    async with running(tmp_path, wiring) as alive:
        alive.runtime.add_part("one", waiting("one"))
        alive.runtime.add_part("two", waiting("two"))
        await turns()
        await alive.runtime.remove_part("one")
        await alive.runtime.remove_part("nobody")
        assert ended == ["one"]
    assert ended == ["one", "two"]


async def test_a_write_that_no_run_asked_for_again_ends_soon_and_is_named(tmp_path: Path) -> None:
    wiring, _ = greeting()
    async with running(tmp_path, wiring) as alive:
        store = alive.bench.store
        new = NewWrite(
            id="w1", account_id=BOT, operation="createPosts", target="", body=b"", event_key=KEY
        )
        fence = alive.bench.lease.fence()
        await store.writes.begin(new, now=alive.clock.now(), fence=fence)
        await store.writes.move(
            "w1", WriteMove(to=WriteState.QUEUED, reason="429"), now=alive.clock.now(), fence=fence
        )
        await alive.bench.handle(mention())
        with capture_logs() as logs:
            await alive.clock.advance(15)
        row = await store.writes.get("w1")
    assert row is not None
    assert row.state is WriteState.EXPIRED
    assert [one["write"] for one in logs if one["event"] == "write.expired"] == ["w1"]


async def _raises(error: Exception) -> None:
    raise error
