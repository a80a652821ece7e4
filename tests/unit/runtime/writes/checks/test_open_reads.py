"""A read whose answer was lost is read again on its day, or booked at the most it can have cost."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from botkit.errors import ServerError, StoreUnavailable, TransportError
from botkit.model.bookings import Booking
from botkit.protocol.api import requests
from botkit.protocol.api.ids import snowflake_at
from botkit.protocol.api.raw_calls import raw_call
from botkit.protocol.rules import pricing
from botkit.protocol.rules.pricing import Charge
from botkit.runtime.writes.checks.budget import Budget, BudgetLimits
from botkit.runtime.writes.checks.open_reads import OpenReads
from botkit.sandbox.harness.clock import VirtualClock
from botkit.sandbox.harness.pauses import ProcessLife, gated_store, threads_counted
from botkit.storage import open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from botkit.model.bookings import OpenRead
    from botkit.ports import Store
    from botkit.protocol.api.requests import Request

ME = "1"
MORNING = datetime(2026, 11, 23, 9, tzinfo=UTC)
LATE = datetime(2026, 11, 23, 23, 59, 50, tzinfo=UTC)
DAY = timedelta(days=1)
MENTIONS = requests.get_mentions(ME, since_id="17", max_results=100)
ADA = requests.get_users(["7"])
FREE = Charge()


def posts(*ids: int) -> Charge:
    return Charge(each_usd=Decimal("0.005"), resources=tuple(f"Posts: Read/{i}" for i in ids))


class Day:
    """The reads of one process, and an X that answers as it is told."""

    def __init__(self, store: Store, clock: VirtualClock) -> None:
        self.store = store
        self.clock = clock
        self.answers: list[Charge | Exception] = []
        self.sent: list[tuple[datetime, str]] = []
        self.restart()

    def restart(self) -> None:
        """Begin a new process that remembers nothing."""
        self.budget = Budget(self.store, self.clock, BudgetLimits())
        self.reads = OpenReads(self.store, self.clock, self.budget)

    async def read(self, request: Request, answer: Charge | None) -> OpenRead | None:
        """Read something; without an answer it is lost."""
        read = await self.reads.begin(request, account_id=ME, app="default")
        if answer is not None:
            self.budget.note(ME, answer, app="default")
        if read is not None:
            self.reads.end(read, answer)
        await self.budget.flush()
        return read

    async def send(self, request: Request, *, account_id: str = "") -> Any:
        """Answer a read that is sent again."""
        self.sent.append((self.clock.now(), request.path))
        answer = self.answers.pop(0) if self.answers else TransportError("no", kind="reset")
        charge = None if isinstance(answer, TransportError) else answer
        await self.read(request, FREE if isinstance(charge, Exception) else charge)
        if isinstance(answer, Exception):
            raise answer

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Let the lost reads be settled inside the block."""
        running = asyncio.get_running_loop().create_task(self.reads.run(self))  # type: ignore[arg-type]  # only its `send` is called
        try:
            yield
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    async def rows(self) -> Sequence[OpenRead]:
        return await self.store.ledger.open_reads()

    async def booked(self) -> Decimal:
        entries = await self.store.ledger.spent(since=MORNING - DAY)
        return sum((entry.reads_usd for entry in entries), Decimal(0))


@pytest.fixture
async def day(tmp_path: Path) -> AsyncIterator[Day]:
    clock = VirtualClock(MORNING)
    with threads_counted(clock):
        async with open_store(f"sqlite:///{tmp_path}/bot.db", clock=clock) as store:
            yield Day(gated_store(store, ProcessLife(clock)), clock)


async def test_a_read_with_an_answer_leaves_nothing(day: Day) -> None:
    await day.read(MENTIONS, posts(20, 21))
    assert await day.rows() == []
    assert await day.booked() == Decimal("0.010")


async def test_a_read_is_on_record_before_it_is_sent(day: Day) -> None:
    read = await day.reads.begin(MENTIONS, account_id=ME, app="default")
    assert await day.rows() == [read]
    assert read is not None
    assert read.most_usd == Decimal("0.500")


async def test_writes_and_free_reads_are_not_recorded(day: Day) -> None:
    assert await day.read(requests.create_post("hi"), FREE) is None
    assert await day.read(requests.get_usage(), FREE) is None


async def test_what_is_known_to_be_charged_today_is_not_recorded_again(day: Day) -> None:
    charge = Charge(each_usd=Decimal("0.010"), resources=("User: Read/7",))
    assert await day.read(ADA, charge)
    assert await day.read(ADA, charge) is None
    day.clock.set(MORNING + DAY)
    assert await day.read(ADA, charge)


async def test_equal_reads_one_after_the_other_need_one_record(day: Day) -> None:
    first = await day.reads.begin(MENTIONS, account_id=ME, app="default")
    assert first is not None
    day.reads.end(first, posts())
    await day.reads.begin(MENTIONS, account_id=ME, app="default")
    await day.budget.flush()
    assert await day.rows() == [first]


async def test_a_lost_read_is_sent_again_a_minute_later_and_shows_its_charge(day: Day) -> None:
    day.answers = [posts(20)]
    async with day.running():
        await day.clock.at_rest()
        await day.read(MENTIONS, None)
        await day.clock.advance(59)
        assert day.sent == []
        await day.clock.advance(2)
        assert day.sent == [(MORNING + timedelta(seconds=60), MENTIONS.path)]
    assert await day.rows() == []
    assert await day.booked() == Decimal("0.005")


async def test_an_equal_read_settles_a_lost_one(day: Day) -> None:
    async with day.running():
        await day.read(MENTIONS, None)
        await day.clock.advance(10)
        await day.read(MENTIONS, posts(20))
        await day.clock.advance(timedelta(hours=1))
    assert day.sent == []
    assert await day.rows() == []


async def test_a_refusal_costs_nothing_but_does_not_tell_what_a_lost_answer_cost(
    day: Day,
) -> None:
    await day.read(MENTIONS, FREE)
    assert await day.rows() == []
    await day.read(MENTIONS, None)
    await day.read(MENTIONS, FREE)
    assert len(await day.rows()) == 1


async def test_it_is_tried_again_less_and_less_and_often_before_midnight(day: Day) -> None:
    day.answers = [ServerError("no", request="", status=503)]
    await day.read(MENTIONS, None)
    async with day.running():
        await day.clock.advance(timedelta(hours=14, minutes=59))
    since = [int((at - MORNING).total_seconds()) for at, _ in day.sent]
    assert since[:6] == [60, 360, 1260, 4860, 8460, 12060]
    midnight = timedelta(hours=15).total_seconds()
    assert midnight - since[-1] < 120
    assert len(await day.rows()) == 1


async def test_a_new_process_reads_again_what_an_earlier_one_left_open(day: Day) -> None:
    await day.reads.begin(MENTIONS, account_id=ME, app="default")
    day.restart()
    day.answers = [posts(20)]
    day.clock.set(MORNING + timedelta(seconds=91))
    async with day.running():
        await day.clock.at_rest()
    assert len(day.sent) == 1
    assert await day.booked() == Decimal("0.005")
    assert await day.rows() == []


async def test_what_another_process_is_reading_is_left_to_it(day: Day) -> None:
    read = await day.reads.begin(MENTIONS, account_id=ME, app="default")
    day.restart()
    async with day.running():
        await day.clock.advance(80)
        assert day.sent == []
        assert await day.read(MENTIONS, FREE) is not None  # its refusal says nothing of the other
        assert await day.rows() == [read]


async def test_what_another_process_has_settled_is_forgotten(day: Day) -> None:
    read = await day.read(MENTIONS, None)
    assert read is not None
    await day.store.ledger.book([Booking(account_id=ME, at=MORNING, settles=read)])
    async with day.running():
        await day.clock.advance(300)
    assert day.sent == []
    assert day.reads._lost == {}


async def test_after_midnight_a_named_resource_is_booked_on_the_day_of_the_read(day: Day) -> None:
    day.clock.set(LATE)
    await day.read(requests.get_users(["7", "8"]), None)
    await day.store.ledger.book(
        [
            Booking(
                account_id="2",
                at=MORNING,
                app="default",
                resource="User: Read/8",
                reads_usd=Decimal("0.010"),
            )
        ]
    )
    day.restart()
    day.clock.set(LATE + DAY)
    with capture_logs() as logs:
        async with day.running():
            await day.clock.at_rest()
    assert day.sent == []
    (entry,) = await day.store.ledger.spent(ME, since=MORNING - DAY)
    assert (entry.hour, entry.reads_usd) == (LATE.replace(minute=0, second=0), Decimal("0.010"))
    assert [row.given_up for row in await day.rows()] == [True]
    (line,) = [line for line in logs if line["event"] == "read.given_up"]
    assert (line["request"], line["most_usd"]) == ("GET /2/users", "0.020")


async def test_a_read_over_midnight_may_still_get_its_answer(day: Day) -> None:
    day.clock.set(LATE)
    read = await day.reads.begin(ADA, account_id=ME, app="default")
    assert read is not None
    async with day.running():
        await day.clock.advance(30)
        assert await day.rows() == [read]
        day.reads.end(read, FREE)
        await day.budget.flush()
        await day.clock.advance(timedelta(hours=1))
    assert await day.booked() == 0
    assert await day.rows() == []


async def test_after_midnight_a_poll_shows_what_a_lost_one_can_have_cost(day: Day) -> None:
    old, new = snowflake_at(LATE), snowflake_at(LATE + timedelta(hours=1))
    day.clock.set(LATE)
    await day.read(MENTIONS, None)
    await day.read(requests.get_mentions(ME, since_id="16", max_results=100), None)
    day.restart()
    day.clock.set(LATE + timedelta(hours=2))
    async with day.running():
        await day.clock.at_rest()
        later = requests.get_mentions(ME, since_id="18", max_results=100)
        await day.read(later, posts(new))  # it begins after the lost ones
        await day.read(requests.get_users(["7"]), FREE)
        await day.read(MENTIONS, FREE)
        assert len(await day.rows()) == 2
        await day.read(MENTIONS, posts(new, old))
        await day.read(MENTIONS, posts())
        await day.clock.advance(1)
        given_up = {row.request: row.most_usd for row in await day.rows() if row.given_up}
        assert list(given_up.values()) == [Decimal("0.005")]
        await day.clock.advance(601)
    assert sorted(row.most_usd for row in await day.rows()) == [
        Decimal("0.005"),
        Decimal("0.500"),
    ]
    hours = {entry.hour: entry.reads_usd for entry in await day.store.ledger.spent(since=LATE)}
    assert hours[LATE.replace(minute=0, second=0)] == Decimal("0.505")


async def test_a_full_page_of_the_next_day_may_have_pushed_off_what_was_read(day: Day) -> None:
    old, new = snowflake_at(LATE), snowflake_at(LATE + timedelta(hours=1))
    page = requests.get_mentions(ME, since_id="17", max_results=5)
    day.clock.set(LATE)
    await day.read(page, None)
    day.clock.set(LATE + timedelta(hours=2))
    async with day.running():
        await day.clock.at_rest()
        await day.read(page, posts(new, new + 1, new + 2, old, old - 1))
        await day.clock.advance(1)
    (row,) = await day.rows()
    assert (row.given_up, row.most_usd) == (True, Decimal("0.025"))


async def test_a_poll_that_shows_nothing_of_that_time_closes_the_lost_one(day: Day) -> None:
    day.clock.set(LATE)
    await day.read(MENTIONS, None)
    day.clock.set(LATE + timedelta(hours=2))
    with capture_logs() as logs:
        async with day.running():
            await day.clock.at_rest()
            await day.read(MENTIONS, posts())
            await day.clock.advance(1)
    assert await day.rows() == []
    assert await day.booked() == 0
    assert "read.given_up" not in {line["event"] for line in logs}


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (MENTIONS, requests.get_mentions("2", since_id="17", max_results=100)),
        (MENTIONS, requests.get_mentions(ME, since_id="17", max_results=50)),
        (
            requests.get_mentions(ME, since_id="17", pagination_token="t", max_results=100),
            requests.get_mentions(ME, since_id="17", pagination_token="t", max_results=100),
        ),
    ],
)
async def test_only_the_first_page_of_the_same_list_shows_it(
    day: Day, earlier: Request, later: Request
) -> None:
    day.clock.set(LATE)
    await day.read(earlier, None)
    day.clock.set(LATE + timedelta(hours=2))
    async with day.running():
        await day.clock.at_rest()
        await day.read(later, posts())
        other = await day.reads.begin(MENTIONS, account_id="2", app="default")
        assert other is not None
        day.reads.end(other, posts())
        await day.budget.flush()
        await day.clock.advance(1)
        assert [row.given_up for row in await day.rows()] == [False]
        await day.clock.advance(601)
    assert [row.most_usd for row in await day.rows()] == [Decimal("0.500")]


async def test_a_call_that_x_charges_each_time_is_booked_and_not_sent_again(day: Day) -> None:
    trends = raw_call("getTrendsByWoeid", path={"woeid": "1"}, query=None)
    assert not pricing.is_by_resource(trends)
    await day.read(trends, None)
    await day.clock.advance(1)
    await day.read(trends, None)
    with capture_logs() as logs:
        async with day.running():
            await day.clock.advance(timedelta(hours=1))
            await day.read(MENTIONS, posts())  # a read of another kind
    assert day.sent == []
    assert await day.booked() == Decimal("0.020")
    assert [row.given_up for row in await day.rows()] == [True, True]
    assert all("getTrendsByWoeid" in line["request"] for line in logs if "most_usd" in line)


async def test_the_charge_of_such_a_call_of_yesterday_is_not_told_by_another(day: Day) -> None:
    trends = raw_call("getTrendsByWoeid", path={"woeid": "1"}, query=None)
    day.clock.set(LATE)
    await day.read(trends, None)
    day.clock.set(LATE + timedelta(hours=2))
    async with day.running():
        await day.clock.at_rest()
        await day.read(MENTIONS, posts())
        await day.clock.advance(601)
    assert await day.booked() == Decimal("0.010")


async def test_a_store_that_cannot_record_a_read_does_not_stop_it(
    day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(read: OpenRead) -> bool:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(day.store.ledger, "open_read", refuse)
    with capture_logs() as logs:
        await day.read(MENTIONS, posts(20))
    assert [line["event"] for line in logs] == ["read.not_recorded"]
    assert await day.booked() == Decimal("0.005")


async def test_a_store_that_is_away_delays_what_is_read_again(
    day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    await day.read(MENTIONS, None)
    day.answers = [posts(20)]
    real, faults = day.store.ledger.open_reads, [StoreUnavailable("the disk is full")] * 3

    async def away() -> Sequence[OpenRead]:
        if faults:
            raise faults.pop()
        return await real()

    monkeypatch.setattr(day.store.ledger, "open_reads", away)
    with capture_logs() as logs:
        async with day.running():
            await day.clock.at_rest()
            await day.clock.advance(120)
    assert [line["event"] for line in logs] == ["store.unavailable", "store.available_again"]
    assert await day.booked() == Decimal("0.005")
