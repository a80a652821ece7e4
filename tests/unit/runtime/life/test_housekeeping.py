"""What is old is forgotten, and what somebody may still ask for is not."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from botkit.model.bookings import Booking
from botkit.model.hearing import GapRow
from botkit.model.records import StoredUser, WriteMove, WriteState
from botkit.runtime.life.lifecycle import KEEP_FOR, RuntimePace
from botkit.sandbox.harness.clock import VirtualClock
from botkit.storage.sql import prune
from botkit.waiting.proven_time import ProvenTime
from tests.storage.conformance.bench import lease, write
from tests.unit.runtime.fakes import BOT, Gate, mention, wired
from tests.unit.runtime.living import greeting, running

if TYPE_CHECKING:
    from pathlib import Path


async def test_old_events_are_forgotten_and_young_ones_kept(tmp_path: Path) -> None:
    wiring, _ = greeting()
    clock = VirtualClock()
    calm = RuntimePace(poll_s=60, lease_ttl_s=300, lease_renew_s=100)
    async with running(tmp_path, wiring, clock=clock, pace=calm) as alive:
        await alive.bench.handle(*(mention(str(n)) for n in range(1, 1200)))
        clock.set(clock.now() + timedelta(days=6))
        await alive.bench.handle(mention("9001"))
        await clock.advance(3700)
        assert len(await alive.bench.store.events.listing(limit=5000)) == 1200
        clock.set(clock.now() + timedelta(days=1))
        await clock.advance(3700)
        left = await alive.bench.store.events.listing(limit=5000)
    assert [one.key for one in left] == ["post/9001/0"]


async def test_writes_are_kept_for_ninety_days(tmp_path: Path) -> None:
    wiring, _ = greeting()
    days = timedelta(days=1)
    async with running(tmp_path, wiring) as alive:
        store, now = alive.bench.store, alive.clock.now()
        fence = await lease(store, "test")
        for age in (89, 91):
            at = now - age * days
            await store.writes.begin(write(str(age)), now=at, fence=fence)
            sure = WriteMove(to=WriteState.CONFIRMED, result_id=str(age), result=b"{}")
            await store.writes.move(str(age), sure, now=at, fence=fence)
        await store.prune(KEEP_FOR, now=now)
        left = await store.writes.listing()
    assert [row.id for row in left] == ["89"]


async def test_users_gaps_and_spending_are_kept_as_long_as_somebody_asks(tmp_path: Path) -> None:
    wiring, _ = greeting()
    days = timedelta(days=1)
    async with running(tmp_path, wiring) as alive:
        store, now = alive.bench.store, alive.clock.now()
        for age in (1, 3, 100):
            at = now - age * days
            user = StoredUser(id=str(age), username="u", body=b"{}", fetched_at=at)
            await store.accounts.cache_users([user])
            gap = GapRow(source="s", account_id=BOT, since=at, until=at, state="closed")
            await store.progress.open_gap(gap)
            await store.ledger.book([Booking(account_id=BOT, at=at, reads_usd=Decimal(1))])
        await store.prune(KEEP_FOR, now=now)
        long_ago = now - 365 * days
        users = await store.accounts.cached_users(["1", "3", "100"], since=long_ago)
        gaps = await store.progress.gaps()
        spent = await store.ledger.spent(BOT, since=long_ago)
    assert [user.id for user in users] == ["1"]
    assert [now - gap.since for gap in gaps] == [3 * days, 1 * days]
    assert len(spent) == 2


async def test_while_much_is_held_the_inbox_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[bool] = []
    async with running(tmp_path, wired(Gate()), hears_changes=False) as alive:
        inbox_reader = alive.bench.dispatcher.inbox_reader
        monkeypatch.setattr(inbox_reader, "rescan", lambda: looks.append(inbox_reader.has_room))
        await alive.clock.at_rest()
        await alive.runtime._look_around()
        assert looks[-1:] == [True]
        await alive.bench.record(*(mention(str(n), conversation=str(n)) for n in range(70)))
        await alive.clock.at_rest()
        assert not inbox_reader.has_room
        looks.clear()
        await alive.runtime._look_around()
    assert looks == []


async def test_nothing_is_forgotten_before_x_has_told_its_time(tmp_path: Path) -> None:
    clock = VirtualClock()
    right = clock.now()
    clock.set(right + timedelta(days=100))
    wiring, _ = greeting()
    calm = RuntimePace(poll_s=60, lease_ttl_s=300, lease_renew_s=100)
    proven = ProvenTime(clock)
    async with running(tmp_path, wiring, clock=clock, pace=calm, proven=proven) as alive:
        events = alive.bench.store.events
        clock.set(right)
        await alive.bench.handle(mention())
        clock.set(right + timedelta(days=100))
        await clock.advance(2 * 3600)
        assert len(await events.listing()) == 1
        proven.note(right)
        await clock.advance(2 * 3600)
        await alive.bench.handle(mention("101"))  # the newest event of all stays in any case
        assert len(await events.listing()) == 2
        proven.note(right + timedelta(days=8))
        await clock.advance(2 * 3600)
        assert [one.key for one in await events.listing()] == ["post/101/0"]


async def test_a_run_that_left_some_to_the_next_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prune, "_FEWEST", 2)
    wiring, _ = greeting()
    clock = VirtualClock()
    calm = RuntimePace(poll_s=60, lease_ttl_s=300, lease_renew_s=100)
    with capture_logs() as lines:
        async with running(tmp_path, wiring, clock=clock, pace=calm) as alive:
            events = alive.bench.store.events
            await alive.bench.handle(*(mention(str(n)) for n in range(1, 6)))
            clock.set(clock.now() + timedelta(days=8))
            await clock.advance(3660)
            left = [len(await events.listing())]
            await clock.advance(3660)
            left.append(len(await events.listing()))
            await clock.advance(3660)
            left.append(len(await events.listing()))
    assert left == [3, 1, 1]
    bounded = [line for line in lines if line["event"] == "prune.bounded"]
    assert [(line["events"], line["writes"]) for line in bounded] == [(2, 0), (2, 0)]
