"""What may be spent is never exceeded, not by steps side by side and not over a restart."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from botkit.errors import Parked, StoreUnavailable
from botkit.model.bookings import Booking, OpenRead
from botkit.protocol.rules.pricing import Charge
from botkit.runtime.writes.checks.budget import Budget, BudgetLimits
from tests.unit.runtime.writing import (
    LOST,
    ME,
    RESET,
    T0,
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


def post(*ids: str) -> Charge:
    return Charge(each_usd=usd("0.005"), resources=tuple(f"Posts: Read/{one}" for one in ids))


def note(office: Office, *ids: str, account_id: str = ME, app: str = "default") -> None:
    office.budget.note(account_id, post(*ids), app=app)


async def test_what_is_read_is_booked_apart_from_what_is_written(office: Office) -> None:
    note(office, "1", "2")
    office.budget.charge(ME, PRICE)
    assert await office.budget.spent(ME) == (PRICE + usd("0.010"), PRICE + usd("0.010"))
    (entry,) = await office.store.ledger.spent(ME, since=office.clock.now())
    assert (entry.reads_usd, entry.writes_usd) == (usd("0.010"), PRICE)


async def test_what_is_free_is_not_booked(office: Office) -> None:
    office.budget.note(ME, Charge(), app="default")
    office.budget.note(ME, Charge(resources=("Posts: Read/1",)), app="default")
    assert not office.budget._unstored
    await office.budget.flush()
    assert await office.store.ledger.spent(ME, since=office.clock.now()) == []


async def test_a_resource_is_booked_once_a_day_of_utc_and_app(office: Office) -> None:
    for _ in range(3):
        note(office, "1")
        await office.budget.flush()
    office.start()  # it is not only known in memory
    note(office, "1", "1")
    assert await office.budget.spent(ME) == (usd("0.005"), usd("0.005"))
    note(office, "1", app="other")
    assert await office.budget.spent(ME) == (usd("0.010"), usd("0.010"))
    note(office, "1", account_id="42")
    assert await office.budget.spent("42") == (0, 0)
    office.clock.move(timedelta(hours=12).total_seconds())  # past 00:00 UTC
    note(office, "1")
    assert await office.budget.spent(ME) == (usd("0.005"), usd("0.005"))


async def test_what_names_no_resource_is_booked_each_time(office: Office) -> None:
    for _ in range(2):
        office.budget.note(ME, Charge(each_usd=usd("0.005"), resources=("",)), app="default")
        await office.budget.flush()
    assert await office.budget.spent(ME) == (usd("0.010"), usd("0.010"))


async def test_writes_of_one_hour_are_added_up_in_one_commit(office: Office) -> None:
    for _ in range(3):
        office.budget.charge(ME, PRICE)
    assert await office.budget.spent(ME) == (3 * PRICE, 3 * PRICE)


async def test_what_names_no_resource_is_added_up_in_one_commit(office: Office) -> None:
    for _ in range(3):
        office.budget.note(ME, Charge(each_usd=usd("0.005"), resources=("",)), app="default")
    assert await office.budget.spent(ME) == (usd("0.015"), usd("0.015"))


async def test_without_a_booking_the_store_is_not_asked_for_a_commit(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def book(*args: Any, **more: Any) -> None:
        raise AssertionError("nothing to book")

    monkeypatch.setattr(office.store.ledger, "book", book)
    await office.budget.flush()
    assert await office.budget.spent(ME) == (0, 0)


async def test_what_was_paid_before_never_stops_a_write(office: Office) -> None:
    budget = limited(office, day_usd=usd("0.020"))
    note(office, "1")
    await budget.flush()
    office.start()
    note(office, "1")  # not stored yet: the limit looks reached
    async with office.budget.reserved(ME, PRICE):
        with pytest.raises(Parked):
            await office.budget.check(ME, usd("0.001"))


async def test_only_so_many_resources_are_known_in_memory(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botkit.runtime.writes.checks.budget._MOST_CHARGED", 2)
    for ids in (("1", "2", "3"), ("4",), ("1",)):
        note(office, *ids)
        await office.budget.flush()
    assert len(office.budget._charged) == 2
    assert await office.budget.spent(ME) == (usd("0.020"), usd("0.020"))


async def test_it_stores_by_itself_what_was_noted(office: Office) -> None:
    running = office.spawn(office.budget.run())
    for one in ("1", "2"):
        note(office, one)
        while office.budget._unstored or office.budget._storing:
            await turn()
    assert not running.done()
    assert office.clock.slept == [0.05, 0.05]  # so that other bookings join the commit
    (entry,) = await office.store.ledger.spent(ME, since=office.clock.now())
    assert entry.reads_usd == usd("0.010")


async def test_what_the_store_does_not_take_is_kept_and_counted(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*args: Any, **more: Any) -> None:
        raise StoreUnavailable("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(office.store.ledger, "book", full)
        office.clock.move(timedelta(hours=11, minutes=30).total_seconds())  # midnight
        office.budget.charge(ME, PRICE)
        office.budget.charge("42", PRICE)
        note(office, "1")
        assert await office.budget.spent(ME) == (usd("0.020"), usd("0.020"))
        office.clock.move(timedelta(days=1).total_seconds())
        assert await office.budget.spent(ME) == (0, 0)
        office.clock.move(-timedelta(days=1).total_seconds())
    assert await office.budget.spent(ME) == (usd("0.020"), usd("0.020"))
    assert office.budget._unstored == {}
    assert await office.budget.spent(ME) == (usd("0.020"), usd("0.020"))


async def test_what_is_booked_while_it_is_stored_is_not_forgotten(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = office.store.ledger.book

    async def book(bookings: Any) -> None:
        monkeypatch.setattr(office.store.ledger, "book", real)
        note(office, "1")
        await real(bookings)

    monkeypatch.setattr(office.store.ledger, "book", book)
    office.budget.charge(ME, PRICE)
    await office.budget.flush()
    assert await office.budget.spent(ME) == (usd("0.020"), usd("0.020"))
    assert office.budget._unstored == {}


async def test_a_booking_that_is_stored_while_the_sum_is_read_is_counted_once(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = limited(office, day_usd=usd("0.030"))
    real = office.store.ledger.spent

    async def spent(*args: Any, **more: Any) -> Any:
        entries = await real(*args, **more)
        await budget.flush()
        return entries

    budget.charge(ME, PRICE)
    monkeypatch.setattr(office.store.ledger, "spent", spent)
    with pytest.raises(Parked):
        await budget.check(ME, usd("0.016"))
    await budget.check(ME, PRICE)


async def test_a_sum_waits_for_the_commit_that_is_under_way(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing_yet(*args: Any, **more: Any) -> list[Any]:
        return []

    budget = limited(office, day_usd=PRICE)
    budget.charge(ME, PRICE)
    with budget.join_commit() as bookings:
        with monkeypatch.context() as patched:
            patched.setattr(office.store.ledger, "spent", nothing_yet)
            asked: asyncio.Task[Any] = office.spawn(budget.spent(ME))
            for _ in range(3):
                await turn()
            assert not asked.done()
        await office.store.ledger.book(bookings)
    assert await asked == (PRICE, PRICE)


async def test_a_sum_does_not_wait_for_a_commit_without_waiting_bookings(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*args: Any, **more: Any) -> list[Any]:
        return []

    monkeypatch.setattr(office.store.ledger, "spent", nothing)
    with office.budget.join_commit():
        asked: asyncio.Task[Any] = office.spawn(office.budget.spent(ME))
        await turn()
        assert asked.done()


async def test_a_commit_that_fails_leaves_the_bookings_to_the_next_but_not_its_own(
    office: Office,
) -> None:
    own = Booking(account_id=ME, at=office.clock.now(), writes_usd=usd("1"))
    note(office, "1")
    for given, resources in (((own,), ["", "Posts: Read/1"]), ((), ["Posts: Read/1"])):
        with contextlib.suppress(StoreUnavailable), office.budget.join_commit(*given) as bookings:
            assert [each.resource for each in bookings] == resources
            raise StoreUnavailable("disk full")
    assert await office.budget.spent(ME) == (usd("0.005"), usd("0.005"))
    with office.budget.join_commit(own) as bookings:
        assert bookings == (own,)


async def test_a_commit_whose_caller_is_cancelled_is_finished_by_the_store(
    office: Office,
) -> None:
    office.budget.charge(ME, PRICE)
    note(office, "1")
    flushing = office.spawn(office.budget.flush())
    await turn()
    flushing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flushing
    assert await office.budget.spent(ME) == (usd("0.020"), usd("0.020"))


async def test_of_a_commit_that_is_cut_off_only_resources_wait_for_the_next(
    office: Office,
) -> None:
    office.budget.charge(ME, PRICE)  # may be stored by now, and would then count twice
    note(office, "1")
    with contextlib.suppress(asyncio.CancelledError), office.budget.join_commit():
        raise asyncio.CancelledError
    assert await office.budget.spent(ME) == (usd("0.005"), usd("0.005"))


async def test_yesterdays_unstored_sums_are_not_todays(office: Office) -> None:
    office.budget.charge(ME, PRICE)
    office.clock.move(3600)
    assert await office.budget.spent(ME) == (Decimal(0), PRICE)
    office.clock.move(timedelta(hours=12).total_seconds())
    assert await office.budget.spent(ME) == (Decimal(0), Decimal(0))


async def test_hearing_has_a_ceiling_of_its_own_until_the_day_is_over(office: Office) -> None:
    budget = limited(office, hearing_day_usd=usd("0.010"))
    budget.charge(ME, usd("5"))
    note(office, "1")
    await budget.check_hearing(ME)
    note(office, "2")
    with pytest.raises(Parked) as parked:
        await budget.check_hearing(ME)
    assert parked.value.waiting_for == "budget"
    assert parked.value.until == datetime(2026, 11, 24, tzinfo=UTC)
    await budget.check_hearing("42")
    office.clock.move(timedelta(hours=12).total_seconds())
    await budget.check_hearing(ME)


async def test_what_was_paid_before_never_ends_the_hearing(office: Office) -> None:
    note(office, "1")
    await office.budget.flush()
    budget = limited(office, hearing_day_usd=usd("0.010"))
    note(office, "1")  # not stored yet: the ceiling looks reached
    await budget.check_hearing(ME)


async def test_hearing_without_a_ceiling_never_ends(office: Office) -> None:
    budget = limited(office)
    office.budget.note(ME, Charge(each_usd=usd("1000"), resources=("",)), app="default")
    await budget.check_hearing(ME)


READ = OpenRead(account_id=ME, app="default", at=T0, request="GET", most_usd=usd("0.500"))


async def test_a_settled_read_is_closed_by_the_next_commit_unless_an_equal_one_begins(
    office: Office,
) -> None:
    budget, ledger = office.budget, office.store.ledger
    await ledger.open_read(READ)
    assert not budget.reopen(READ)
    budget.settle(READ)
    assert budget.reopen(READ)
    await budget.flush()
    assert await ledger.open_reads() == [READ]
    budget.settle(READ)
    with contextlib.suppress(StoreUnavailable), budget.join_commit():
        raise StoreUnavailable("disk full")
    assert await budget.spent(ME) == (Decimal(0), Decimal(0))
    assert await ledger.open_reads() == []


async def test_a_read_stays_settled_if_the_caller_of_the_commit_is_cancelled(
    office: Office,
) -> None:
    office.budget.settle(READ)
    with contextlib.suppress(asyncio.CancelledError), office.budget.join_commit():
        raise asyncio.CancelledError
    assert office.budget.reopen(READ)


async def test_what_is_charged_today_is_known_from_the_commit_on(office: Office) -> None:
    budget, name = office.budget, "Posts: Read/1"
    note(office, "1")
    assert not budget.has_charged([name], app="default")
    await budget.flush()
    assert budget.has_charged([name], app="default")
    assert not budget.has_charged([name, "Posts: Read/2"], app="default")
    assert not budget.has_charged([name], app="other")
    office.clock.move(timedelta(days=1).total_seconds())
    assert not budget.has_charged([name], app="default")
