"""What the parts say of themselves is stored when it changes, and not otherwise."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from botkit.errors import StoreUnavailable
from botkit.runtime.life.status import Reports
from botkit.sandbox.harness.clock import VirtualClock
from botkit.storage import open_store
from botkit.system import SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from botkit.ports import Store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(f"sqlite:///{tmp_path}/bot.db", clock=VirtualClock()) as opened:
        yield opened


async def test_the_last_word_of_each_part_is_stored(store: Store) -> None:
    reports = Reports(store, VirtualClock())
    reports("source/activity", "starting")
    reports("source/activity", "live", "hears", {"new": "1"})
    reports("runner", "running")
    assert await store.progress.reports() == []
    await reports.flush()
    stored = {one.part: one for one in await store.progress.reports()}
    assert stored == dict(reports.current)
    assert stored["source/activity"].data == {"new": "1"}


async def test_only_a_change_of_state_is_a_log_line(store: Store) -> None:
    reports = Reports(store, VirtualClock())
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


async def test_nothing_new_is_not_stored(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    reports = Reports(store, VirtualClock())
    calls: list[int] = []

    async def report(rows: Any) -> None:
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


async def test_what_could_not_be_stored_is_stored_the_next_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports = Reports(store, VirtualClock())
    whole = store.progress.report
    faults: list[Exception] = [StoreUnavailable("full")]

    async def report(rows: Any) -> None:
        if faults:
            reports("b", "newer")
            raise faults.pop()
        await whole(rows)

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


async def test_a_clean_end_leaves_no_reports(store: Store) -> None:
    reports = Reports(store, VirtualClock())
    reports("a", "live")
    await reports.flush()
    reports("a", "wrong")
    await reports.clear()
    await reports.flush()
    assert await store.progress.reports() == []


async def test_a_start_forgets_the_process_before_and_keeps_what_was_said_by_now(
    store: Store,
) -> None:
    before = Reports(store, VirtualClock())
    before("old", "live")
    await before.flush()
    reports = Reports(store, VirtualClock())
    reports("login/greeter", "DEAD")
    await reports.begin()
    await reports.flush()
    assert [one.part for one in await store.progress.reports()] == ["login/greeter"]


async def test_the_wait_for_parts_ends_when_each_has_been_live(store: Store) -> None:
    reports = Reports(store, VirtualClock())
    waiting = asyncio.ensure_future(reports.wait_live(["a", "b"]))  # noqa: TID251 - awaited below
    for part, state in (("a", "live"), ("b", "waiting"), ("a", "waiting")):
        reports(part, state)
        await SystemClock().sleep(0)
        assert not waiting.done()
    reports("b", "live")
    await waiting
    await reports.wait_live(["b"])
