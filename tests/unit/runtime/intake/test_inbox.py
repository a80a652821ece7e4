"""What is recorded is durable before `record` returns, and duplicates fall out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from botkit.errors import LeaseLost, StoreUnavailable
from botkit.leases.lease import Lease
from botkit.model.events import GrantRevoked, Mention, Signal
from botkit.model.hearing import Checkpoint
from botkit.runtime.dispatch.done_batch import DoneBatch
from botkit.runtime.intake.inbox import Inbox
from botkit.runtime.writes.checks.budget import Budget, BudgetLimits
from botkit.sandbox.harness.clock import VirtualClock
from botkit.storage import open_store
from tests.unit.runtime.fakes import BOT, mention

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence
    from pathlib import Path
    from typing import Any

    from botkit.model.records import RunEnd
    from botkit.runtime.intake.lanes import Job

_MINUTE = timedelta(minutes=1)
NOW = datetime(2025, 12, 11, 12, tzinfo=UTC)


class Heap:
    """Takes jobs and keeps them."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.stored: list[Job] = []
        self.done_batch = DoneBatch(
            clock=VirtualClock(),
            commit=self.never,
            held=lambda: 0,
            stored=self.stored.append,
            settled=lambda: None,
        )

    async def never(self, ends: Sequence[RunEnd]) -> None:
        raise AssertionError(ends)

    def offer(self, jobs: Iterable[Job]) -> None:
        self.jobs.extend(jobs)

    def starts_at_once(self, account_id: str, lanes: Sequence[str]) -> list[bool]:
        return [False for _ in lanes]

    async def let_catch_up(self) -> None:
        return


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Any]:
    clock = VirtualClock()
    async with open_store(f"sqlite:///{tmp_path}/bot.db", clock=clock) as store:
        lease = Lease(store, clock, owner="test")
        await lease.acquire()
        heap = Heap()
        yield heap, store, lease


def inbox_of(parts: Any, **options: Any) -> Inbox:
    heap, store, lease = parts
    options = {"budget": Budget(store, VirtualClock(), BudgetLimits())} | options
    return Inbox(store=store, taker=heap, clock=VirtualClock(), fence=lease.fence, **options)


async def test_new_events_go_on_as_they_were_decoded_and_duplicates_do_not(parts: Any) -> None:
    heap, store, _ = parts
    inbox = inbox_of(parts)
    event = mention()
    assert await inbox.record([event, event], account_id=BOT, source="stream") == 1
    assert await inbox.record([event], account_id=BOT, source="poll") == 0
    assert [job.event for job in heap.jobs] == [event]
    assert heap.jobs[0].event is event
    row = (await store.events.get("post/100/0"))[0]
    assert (row.source, row.kind, row.lane) == ("stream", "mention", "conversation/100")
    assert inbox.recorded == 1


async def test_the_checkpoint_moves_with_the_events(parts: Any) -> None:
    _, store, _ = parts
    inbox = inbox_of(parts)
    moved = Checkpoint(source="mentions", account_id=BOT, cursor="7")
    await inbox.record([mention()], account_id=BOT, source="mentions", checkpoint=moved)
    assert await store.progress.checkpoint("mentions", BOT) == moved
    later = Checkpoint(source="mentions", account_id=BOT, cursor="8")
    assert await inbox.record([], account_id=BOT, source="mentions", checkpoint=later) == 0
    assert await store.progress.checkpoint("mentions", BOT) == later


async def test_one_delivery_is_recorded_in_the_order_in_which_it_happened(parts: Any) -> None:
    heap, _, _ = parts
    newest_first = [mention(str(second), second=second) for second in (3, 2, 1)]
    await inbox_of(parts).record(newest_first, account_id=BOT, source="poll")
    assert [job.key for job in heap.jobs] == ["post/1/0", "post/2/0", "post/3/0"]


async def test_a_full_inbox_takes_no_events_until_there_is_room(parts: Any) -> None:
    _, store, _ = parts
    inbox = inbox_of(parts, limit=2)
    await inbox.record([mention("1"), mention("2")], account_id=BOT, source="stream")
    assert not inbox.full
    inbox.note_waiting(2)
    assert inbox.full
    with pytest.raises(StoreUnavailable, match="The inbox is full; nothing"):
        await inbox.record([mention("3")], account_id=BOT, source="stream")
    moved = Checkpoint(source="stream", account_id=BOT, cursor="7")
    await inbox.record([], account_id=BOT, source="stream", checkpoint=moved)
    inbox.note_waiting(2)
    inbox.note_waiting(1)
    assert await inbox.record([mention("3")], account_id=BOT, source="stream") == 1
    assert len(await store.events.listing()) == 3
    inbox.note_waiting(5)
    assert inbox.full


async def test_an_inbox_says_once_that_it_is_full_and_once_that_it_is_open_again(
    parts: Any,
) -> None:
    inbox = inbox_of(parts, limit=2)
    said: list[list[str]] = []
    for waiting in (1, 2, 3, 1, 0):
        with capture_logs() as lines:
            inbox.note_waiting(waiting)
        said.append([line["event"] for line in lines])
    assert said == [[], ["inbox.full"], [], ["inbox.open_again"], []]


async def test_a_closed_inbox_takes_nothing(parts: Any) -> None:
    _, store, _ = parts
    inbox = inbox_of(parts)
    inbox.close()
    with pytest.raises(StoreUnavailable, match="stopping"):
        await inbox.record([mention()], account_id=BOT, source="stream")
    assert await store.events.listing() == []


async def test_nothing_is_recorded_without_the_lease(parts: Any) -> None:
    heap, store, lease = parts
    inbox = inbox_of(parts)
    await store.leases.acquire("runner", "another", ttl=_MINUTE, ended="test")
    with pytest.raises(LeaseLost, match="not held any more"):
        await inbox.record([mention()], account_id=BOT, source="stream")
    assert heap.jobs == []
    assert lease.fence().owner == "test"


async def test_a_revoked_grant_is_told_once_it_is_durable(parts: Any) -> None:
    heap, store, _ = parts
    told: list[tuple[GrantRevoked, int]] = []

    async def on_revoked(event: GrantRevoked) -> None:
        told.append((event, len(await store.events.listing())))

    inbox = inbox_of(parts, on_revoked=on_revoked)
    revoked = GrantRevoked(account_id=BOT, at=NOW, user_id=BOT)
    await inbox.record([mention(), revoked], account_id=BOT, source="stream")
    await inbox.record([revoked], account_id=BOT, source="stream")
    assert told == [(revoked, 2)]
    assert len(heap.jobs) == 2


async def test_a_signal_does_not_come_from_outside(parts: Any) -> None:
    class Ping(Signal, frozen=True, kw_only=True):
        asked: Mention

    with pytest.raises(TypeError, match="emit it from a handler"):
        await inbox_of(parts).record([Ping(asked=mention())], account_id=BOT, source="x")
