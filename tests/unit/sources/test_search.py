"""Recent search reads what the mentions timeline does not show, within its reach and budget."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from botkit.errors import Forbidden, Parked, ServerError
from botkit.model.hearing import GapRow
from botkit.protocol.api.ids import snowflake_at
from botkit.sandbox.harness.clock import START
from botkit.sources.search import RecentSearch, for_mentions
from tests.unit.sources.fakes import mention, page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from botkit.model.users import Account
    from botkit.sandbox.harness.clock import VirtualClock
    from botkit.sources.gaps import Gaps
    from tests.unit.sources.fakes import FakeIntake, FakeSender

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
HOLE = GapRow(
    source="mentions",
    account_id="1",
    since=START - 3 * HOUR,
    until=START - HOUR,
    cause="reach",
    tried="mentions",
    reason="X's mentions timeline reaches back 800 posts",
)


class Purse:
    """Allows what it is told to, and remembers what was asked for."""

    def __init__(self) -> None:
        self.asked: list[Decimal] = []
        self.empty = False

    async def __call__(self, account_id: str, price_usd: Decimal) -> None:
        assert account_id == "1"
        self.asked.append(price_usd)
        if self.empty:
            raise Parked("budget", until=START + HOUR)


@pytest.fixture
def purse() -> Purse:
    return Purse()


@pytest.fixture
def search(
    account: Account,
    sender: FakeSender,
    intake: FakeIntake,
    gaps: Gaps,
    clock: VirtualClock,
    purse: Purse,
) -> RecentSearch:
    return RecentSearch(
        account,
        for_mentions(account.username),
        sender=sender,
        intake=intake,
        gaps=gaps,
        clock=clock,
        late=5 * MINUTE,
        allow=purse,
    )


def at(*hours_ago: float) -> Sequence[int]:
    return [snowflake_at(START - hours * HOUR) for hours in hours_ago]


async def test_a_gap_is_asked_for_by_its_bounds_and_closed_when_all_of_it_was_read(
    search: RecentSearch, sender: FakeSender, intake: FakeIntake, gaps: Gaps, purse: Purse
) -> None:
    await gaps.open(HOLE)
    newer, older = at(1.5, 2)
    sender.answers = [
        page(mention(newer), next_token="b"),
        page(next_token="c"),  # a page may be empty before the last
        page(mention(older)),
    ]
    assert not await search.fill()
    assert await gaps.of("1") == []
    assert len(intake.events) == 2
    query = dict(sender.calls[0].query)
    assert query["query"] == "@greeter -is:retweet -from:greeter"
    assert query["since_id"] == str(snowflake_at(START - 3 * HOUR) - 1)
    assert query["until_id"] == str(snowflake_at(START - HOUR + timedelta(milliseconds=1)))
    assert [dict(call.query).get("next_token") for call in sender.calls] == [None, "b", "c"]
    assert purse.asked == [Decimal("0.5")] * 3


@pytest.mark.parametrize("other", [{"source": "messages"}, {"until": None}, {"cause": "stopped"}])
async def test_a_gap_that_grows_or_that_a_poll_reads_or_of_another_source_is_not_searched_for(
    search: RecentSearch, sender: FakeSender, gaps: Gaps, other: dict[str, Any]
) -> None:
    await gaps.open(replace(HOLE, **other))
    assert not await search.fill()
    assert sender.calls == []
    assert len(await gaps.of("1")) == 1


async def test_what_was_read_stays_read_when_a_later_page_fails(
    search: RecentSearch, sender: FakeSender, gaps: Gaps, clock: VirtualClock
) -> None:
    await gaps.open(HOLE)
    (newer,) = at(2)
    sender.answers = [page(mention(newer), next_token="b"), ServerError("503", status=503)]
    assert not await search.fill()
    (left,) = await gaps.of("1")
    assert (left.since, left.until) == (HOLE.since, START - 2 * HOUR)
    assert left.reason == HOLE.reason
    assert not await search.fill()  # not at once
    clock.set(START + 2 * MINUTE)
    sender.answers = [page()]
    await search.fill()
    assert await gaps.of("1") == []


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (Forbidden("403", status=403, detail="no search"), "X refuses the search: 403"),
        (Parked("login"), "the search waits for login"),
    ],
)
async def test_why_nothing_is_read_stands_in_the_gap_and_it_is_tried_again_in_an_hour(
    problem: BaseException,
    words: str,
    search: RecentSearch,
    sender: FakeSender,
    gaps: Gaps,
    clock: VirtualClock,
) -> None:
    await gaps.open(HOLE)
    sender.answers = [problem, problem, page()]
    await search.fill()
    (left,) = await gaps.of("1")
    assert left.reason == words
    clock.set(START + 59 * MINUTE)
    await search.fill()
    assert len(sender.calls) == 1
    for hours in (1, 2.1):
        clock.set(START + hours * HOUR)
        await search.fill()
    assert await gaps.of("1") == []


async def test_a_page_that_the_budget_does_not_allow_is_not_asked_for(
    search: RecentSearch, sender: FakeSender, gaps: Gaps, purse: Purse, clock: VirtualClock
) -> None:
    purse.empty = True
    await gaps.open(HOLE)
    await search.fill()
    (left,) = await gaps.of("1")
    assert left.reason == "the search waits for budget until 2025-12-11T13:00:00Z"
    assert sender.calls == []
    purse.empty = False
    clock.set(START + HOUR)
    sender.answers = [page()]
    await search.fill()
    assert await gaps.of("1") == []


async def test_only_so_much_is_read_at_once_and_the_rest_soon(
    search: RecentSearch, sender: FakeSender, gaps: Gaps
) -> None:
    await gaps.open(HOLE)
    ids = at(*(1 + n / 100 for n in range(20)))
    sender.answers = [page(mention(i), next_token=str(i)) for i in ids]
    assert await search.fill()
    (left,) = await gaps.of("1")
    assert left.until == START - HOUR * 1.19
    sender.answers = [page()]
    assert not await search.fill()
    assert await gaps.of("1") == []


async def test_what_x_may_not_show_yet_is_not_searched_for(
    search: RecentSearch, sender: FakeSender, gaps: Gaps, clock: VirtualClock
) -> None:
    await gaps.open(replace(HOLE, until=START - 4 * MINUTE))
    await gaps.open(replace(HOLE, source="messages", cause="stopped"))
    for _ in range(2):
        await search.fill()
    assert sender.calls == []
    (young,) = [gap for gap in await gaps.of("1") if gap.source == "mentions"]
    assert young.reason == (
        f"{HOLE.reason}; recent search comes next, as soon as X shows all of that time"
    )
    clock.set(START + MINUTE)
    sender.answers = [page()]
    await search.fill()
    assert [gap.source for gap in await gaps.of("1")] == ["messages"]


async def test_what_is_older_than_a_week_stays_open_and_is_not_asked_for_again(
    search: RecentSearch, sender: FakeSender, gaps: Gaps
) -> None:
    week = timedelta(days=7)
    await gaps.open(replace(HOLE, since=START - 2 * week))
    sender.answers = [page()]
    await search.fill()
    (left,) = await gaps.of("1")
    assert left.until == START - week + MINUTE
    assert left.tried == "mentions, search"
    assert left.reason == f"{HOLE.reason}; X's recent search reaches back 7 days"
    await search.fill()
    await search.fill()
    assert await gaps.of("1") == [left]
    assert len(sender.calls) == 1
