"""What may be spent is never exceeded, not by steps side by side and not over a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from botkit.errors import Parked, StoreUnavailable
from botkit.protocol.api import requests
from botkit.runtime.writes.budget import Budget, BudgetLimits
from botkit.sandbox.harness.clock import VirtualClock
from botkit.storage import open_store
from tests.unit.runtime.writing import (
    LOST,
    ME,
    RESET,
    Office,
    open_office,
    post_step,
    turn,
    usd,
)

PRICE = usd("0.015")


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as office:
        yield office


def limited(office: Office, **limits: Decimal | None) -> Budget:
    office.limits = BudgetLimits(**limits)
    office.start()
    return office.budget


async def test_what_fits_exactly_may_be_spent(office: Office) -> None:
    budget = limited(office, day_usd=PRICE)
    await budget.check(ME, PRICE)
    budget.charge(ME, PRICE)
    with pytest.raises(Parked):
        await budget.check(ME, usd("0.001"))


async def test_a_full_hour_waits_for_the_next_hour(office: Office) -> None:
    budget = limited(office, hour_usd=PRICE)
    budget.charge(ME, PRICE)
    with pytest.raises(Parked) as parked:
        await budget.check(ME, PRICE)
    assert parked.value.waiting_for == "budget"
    assert parked.value.until == datetime(2026, 11, 23, 13, tzinfo=UTC)
    office.clock.move(1800)
    await budget.check(ME, PRICE)


async def test_a_full_day_waits_for_the_next_day(office: Office) -> None:
    budget = limited(office, hour_usd=PRICE, day_usd=PRICE)
    budget.charge(ME, PRICE)
    office.clock.move(7200)
    with pytest.raises(Parked) as parked:
        await budget.check(ME, PRICE)
    assert parked.value.until == datetime(2026, 11, 24, tzinfo=UTC)
    office.clock.move(timedelta(hours=10).total_seconds())
    await budget.check(ME, PRICE)


async def test_without_limits_and_without_price_nothing_is_refused(office: Office) -> None:
    budget = limited(office, day_usd=None)
    budget.charge(ME, usd("1000"))
    await budget.check(ME, usd("1000"))
    assert await budget.spent(ME) == (usd("1000"), usd("1000"))
    await limited(office, day_usd=Decimal(0)).check(ME, Decimal(0))


async def test_accounts_have_a_budget_each(office: Office) -> None:
    budget = limited(office, day_usd=PRICE)
    budget.charge("42", PRICE)
    await budget.check(ME, PRICE)
    with pytest.raises(Parked):
        await budget.check("42", PRICE)


async def test_what_is_spent_is_known_after_a_restart(office: Office) -> None:
    budget = limited(office, day_usd=PRICE)
    budget.charge(ME, PRICE)
    await budget.flush()
    office.start()
    assert await office.budget.spent(ME) == (PRICE, PRICE)
    with pytest.raises(Parked):
        await office.budget.check(ME, PRICE)


async def test_what_is_reserved_is_free_again_after_the_block(office: Office) -> None:
    budget = limited(office, day_usd=2 * PRICE)
    async with budget.reserved(ME, PRICE), budget.reserved(ME, PRICE):
        with pytest.raises(Parked):
            await budget.check(ME, PRICE)
    assert budget._reserved == {}
    await budget.check(ME, 2 * PRICE)


@pytest.mark.parametrize("outcome", [None, LOST])
async def test_steps_side_by_side_never_spend_more_than_there_is(
    office: Office, outcome: str | None
) -> None:
    limited(office, day_usd=3 * PRICE)
    office.x.script = [outcome] * 20
    steps = [post_step(f"text {n}", n=n) for n in range(20)]
    outcomes = await asyncio.gather(
        *(office.outbox.perform(step) for step in steps), return_exceptions=True
    )
    assert len(office.x.sent) == 3
    assert await office.budget.spent(ME) == (3 * PRICE, 3 * PRICE)
    waiting = [str(end) for end in outcomes if isinstance(end, Parked) and str(end) == "budget"]
    assert len(waiting) == 17


async def test_what_was_not_carried_out_for_sure_costs_nothing(office: Office) -> None:
    limited(office, day_usd=PRICE)
    office.x.script = [Parked("rate"), RESET]
    with pytest.raises(Parked, match="rate"):
        await office.outbox.perform(post_step())
    assert await office.budget.spent(ME) == (0, 0)
    with pytest.raises(Parked, match="write/"):
        await office.outbox.perform(post_step())
    assert await office.budget.spent(ME) == (PRICE, PRICE)


async def test_calls_that_read_are_noted_and_writes_are_the_outbox_own(office: Office) -> None:
    office.budget.note(ME, requests.get_me(), usd("0.010"))
    office.budget.note(ME, requests.create_post("hi"), PRICE)
    assert await office.budget.spent(ME) == (usd("0.010"), usd("0.010"))
    await office.budget.flush()
    (entry,) = await office.store.ledger.spent(ME, since=office.clock.now())
    assert (entry.reads_usd, entry.writes_usd) == (usd("0.010"), Decimal(0))


async def test_it_stores_by_itself_what_was_noted(office: Office) -> None:
    running = office.spawn(office.budget.run())
    for _ in range(2):
        office.budget.note(ME, requests.get_me(), usd("0.010"))
        while office.budget._unstored:
            await turn()
    assert not running.done()
    (entry,) = await office.store.ledger.spent(ME, since=office.clock.now())
    assert entry.reads_usd == usd("0.020")


async def test_what_the_store_does_not_take_is_kept_and_counted(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = office.store.ledger.spend

    async def full(*args: Any, **more: Any) -> None:
        raise StoreUnavailable("disk full")

    office.budget.charge(ME, PRICE)
    monkeypatch.setattr(office.store.ledger, "spend", full)
    await office.budget.flush()
    assert await office.budget.spent(ME) == (PRICE, PRICE)
    monkeypatch.setattr(office.store.ledger, "spend", real)
    await office.budget.flush()
    assert office.budget._unstored == {}
    assert await office.budget.spent(ME) == (PRICE, PRICE)


async def test_what_is_booked_while_it_is_stored_is_not_forgotten(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = office.store.ledger.spend

    async def spend(*args: Any, **more: Any) -> None:
        if not office.budget._unstored[ME, office.clock.now().replace(minute=0)][0]:
            office.budget.note(ME, requests.get_me(), usd("0.010"))
        await real(*args, **more)

    monkeypatch.setattr(office.store.ledger, "spend", spend)
    office.budget.charge(ME, PRICE)
    await office.budget.flush()
    assert await office.budget.spent(ME) == (PRICE + usd("0.010"), PRICE + usd("0.010"))
    await office.budget.flush()
    assert office.budget._unstored == {}
    assert await office.budget.spent(ME) == (PRICE + usd("0.010"), PRICE + usd("0.010"))


async def test_yesterdays_unstored_sums_are_not_todays(office: Office) -> None:
    office.budget.charge(ME, PRICE)
    office.clock.move(3600)
    assert await office.budget.spent(ME) == (Decimal(0), PRICE)
    office.clock.move(timedelta(hours=12).total_seconds())
    assert await office.budget.spent(ME) == (Decimal(0), Decimal(0))


async def test_what_x_takes_for_events_is_booked_and_nothing_for_free_ones(
    tmp_path: Path,
) -> None:
    clock = VirtualClock()
    async with open_store(f"sqlite:///{tmp_path}/bot.db", clock=clock) as store:
        budget = Budget(store, clock, BudgetLimits())
        budget.note_events("1", Decimal("0.010"))
        budget.note_events("1", Decimal(0))
        await budget.flush()
        assert await budget.spent("1") == (Decimal("0.010"), Decimal("0.010"))
        assert len(await store.ledger.spent("1", since=clock.now() - timedelta(hours=1))) == 1
