"""What the parts say of themselves is stored when it changes, and not otherwise."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from botkit.errors import LeaseLost, StoreUnavailable
from botkit.leases.lease import Lease
from botkit.runtime.life.status import Reports
from botkit.sandbox.harness.clock import VirtualClock
from botkit.storage import open_store
from botkit.system import SystemClock
from tests.unit.runtime.living import gone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from botkit.ports import Store


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def store(tmp_path: Path, clock: VirtualClock) -> AsyncIterator[Store]:
    async with open_store(f"sqlite:///{tmp_path}/bot.db", clock=clock) as opened:
        yield opened


@pytest.fixture
async def lease(store: Store, clock: VirtualClock) -> Lease:
    lease = Lease(store, clock, owner="test", lives=gone)
    await lease.acquire()
    return lease


@pytest.fixture
def reports(store: Store, clock: VirtualClock, lease: Lease) -> Reports:
    return Reports(store, clock, lease)


async def test_the_last_word_of_each_part_is_stored(store: Store, reports: Reports) -> None:
    reports("source/activity", "starting")
    reports("source/activity", "live", "hears", {"new": "1"})
    reports("runner", "running")
    assert await store.progress.reports() == []
    await reports.flush()
    stored = {one.part: one for one in await store.progress.reports()}
    assert stored == dict(reports.current)
    assert stored["source/activity"].data == {"new": "1"}


async def test_only_a_change_of_state_is_a_log_line(store: Store, reports: Reports) -> None:
    with capture_logs() as logs:
        reports("a", "live")
        reports("a", "live")
        reports("a", "live", data={"new": "1"})
        reports("a", "wrong", "why")
    assert [(one["part"], one["state"], one["detail"]) for one in logs] == [
        ("a", "live", ""),
        ("a", "wrong", "why"),
    ]
    assert reports.current["a"].state == "wrong"


async def test_nothing_new_is_not_stored(
    store: Store, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    async def report(rows: Any, **_: Any) -> None:
        calls.append(len(rows))

    monkeypatch.setattr(store.progress, "report", report)
    await reports.flush()
    reports("a", "live")
    reports("b", "live")
    await reports.flush()
    reports("a", "live")
    await reports.flush()
    reports("a", "live", data={"new": "2"})
    await reports.flush()
    assert calls == [2, 1]


async def test_how_far_a_source_has_read_is_stored_with_its_state_and_not_at_every_read(
    store: Store, reports: Reports
) -> None:
    async def told() -> str:
        await reports.flush()
        (stored,) = await store.progress.reports()
        assert (stored.state, stored.data["code"]) == ("live", "0")
        return stored.data["heard_to"]

    at = datetime(2026, 11, 30, 12, tzinfo=UTC)
    reports.heard("mentions/greeter", at)
    reports("mentions/greeter", "live", data={"code": "0"})
    assert await told() == "2026-11-30T12:00:00Z"
    reports.heard("mentions/greeter", at + timedelta(seconds=14))
    assert await told() == "2026-11-30T12:00:00Z"
    reports.heard("mentions/greeter", at + timedelta(seconds=15))
    assert await told() == "2026-11-30T12:00:15Z"
    reports("mentions/greeter", "live", data={"code": "0"})
    assert await told() == "2026-11-30T12:00:15Z"


async def test_what_could_not_be_stored_is_stored_the_next_time(
    store: Store, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = store.progress.report
    faults: list[Exception] = [StoreUnavailable("full")]

    async def report(rows: Any, **how: Any) -> None:
        if faults:
            reports("b", "newer")
            raise faults.pop()
        await whole(rows, **how)

    monkeypatch.setattr(store.progress, "report", report)
    reports("a", "live")
    reports("b", "live")
    with pytest.raises(StoreUnavailable):
        await reports.flush()
    await reports.flush()
    assert {one.part: one.state for one in await store.progress.reports()} == {
        "a": "live",
        "b": "newer",
    }


async def test_a_clean_end_leaves_no_reports(store: Store, reports: Reports) -> None:
    reports("a", "live")
    await reports.flush()
    reports("a", "wrong")
    await reports.clear()
    await reports.flush()
    assert await store.progress.reports() == []


async def test_a_start_forgets_the_process_before_and_keeps_what_was_said_by_now(
    store: Store, clock: VirtualClock, lease: Lease, reports: Reports
) -> None:
    before = Reports(store, clock, lease)
    before("old", "live")
    await before.flush()
    reports("login/greeter", "DEAD")
    await reports.begin()
    await reports.flush()
    assert [one.part for one in await store.progress.reports()] == ["login/greeter"]


async def test_the_wait_for_parts_ends_when_each_has_been_live(
    store: Store, reports: Reports
) -> None:
    waiting = asyncio.ensure_future(reports.wait_live(["a", "b"]))  # noqa: TID251 - awaited below
    for part, state in (("a", "live"), ("b", "waiting"), ("a", "waiting")):
        reports(part, state)
        await SystemClock().sleep(0)
        assert not waiting.done()
    reports("b", "live")
    await waiting
    await reports.wait_live(["b"])


async def test_a_process_that_lost_its_lease_does_not_touch_its_successors_reports(
    store: Store, clock: VirtualClock, reports: Reports
) -> None:
    reports("activity/default", "live")
    await reports.flush()
    lease = Lease(store, clock, owner="successor", lives=gone)
    await lease.acquire()
    successor = Reports(store, clock, lease)
    await successor.begin()
    successor("activity/default", "waiting", "X is away")
    await successor.flush()

    reports("activity/default", "wrong")
    with pytest.raises(LeaseLost):
        await reports.flush()
    for end in (reports.begin, reports.clear):
        with pytest.raises(LeaseLost):
            await end()
    (left,) = await store.progress.reports()
    assert (left.state, left.detail) == ("waiting", "X is away")


async def test_a_process_that_gave_its_lease_back_reports_nothing(
    lease: Lease, reports: Reports
) -> None:
    await lease.release()
    reports("a", "live")
    with pytest.raises(LeaseLost):
        await reports.flush()


async def test_reports_are_stored_even_when_the_lease_could_not_be_renewed_in_time(
    store: Store, clock: VirtualClock, lease: Lease, reports: Reports
) -> None:
    reports("a", "live")
    await clock.advance(60)
    assert not lease.is_good
    await reports.flush()
    assert [one.part for one in await store.progress.reports()] == ["a"]


async def test_a_part_is_not_called_live_for_longer_than_its_report_is_good_for(
    clock: VirtualClock, reports: Reports
) -> None:
    reports("mentions/greeter", "live", good_for_s=46)
    reports("http", "live")
    await clock.advance(45)
    reports.expire()
    assert reports.current["mentions/greeter"].state == "live"
    await clock.advance(1)
    with capture_logs() as logs:
        reports.expire()
        reports.expire()
    silent = reports.current["mentions/greeter"]
    assert (silent.state, silent.data) == ("waiting", {"code": "4"})
    assert silent.detail.startswith("X has not answered since ")
    assert len(logs) == 1
    assert reports.current["http"].state == "live"
    reports("mentions/greeter", "live", good_for_s=46)
    await clock.advance(40)
    reports("mentions/greeter", "waiting", "refused")
    await clock.advance(40)
    reports.expire()
    assert reports.current["mentions/greeter"].detail == "refused"


@pytest.mark.parametrize("state", ["live", "partly"])
async def test_a_bot_hears_when_one_part_is_live_and_each_has_tried_to_be(
    reports: Reports, state: str
) -> None:
    waiting = asyncio.ensure_future(reports.wait_heard(["a", "b"]))  # noqa: TID251 - awaited below
    for part, said in (("a", state), ("b", "starting"), ("a", "waiting"), ("b", "waiting")):
        reports(part, said)
        await SystemClock().sleep(0)
        assert not waiting.done()
    reports("a", state)
    await waiting
