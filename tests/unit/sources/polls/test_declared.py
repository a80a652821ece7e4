"""Declared sources are read like mentions: from a durable cursor, with gaps where X ends.

The limits (800 posts of a list, 3,200 or 7 days of the home timeline, 7 days of search) are those
of X's pages "Timelines", "List Posts lookup" and "Search Posts".
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from botkit.errors import MalformedAnswer
from botkit.model.events import Mention, PostMatched, PostSeen
from botkit.model.sources import HomeTimeline, ListPosts, OwnPosts, PolledSource, Search
from botkit.protocol.api.ids import snowflake_at
from botkit.sandbox.harness.clock import START
from botkit.sources.polls.declared import OPERATIONS, poll_of, reads_how
from tests.unit.sources.fakes import mention, page

if TYPE_CHECKING:
    from collections.abc import Callable

    from botkit.model.users import Account
    from botkit.ports import Store
    from botkit.sandbox.harness.clock import VirtualClock
    from botkit.sources.polls.posts import PostsPoll
    from tests.unit.sources.fakes import FakeIntake, FakeSender

T = snowflake_at(START)
CATS = Search(query="cats", tag="cats")
A_LIST = ListPosts(list_id="84839422")
EACH = (CATS, OwnPosts(), HomeTimeline(), A_LIST)


def post(post_id: int, text: str = "two cats") -> dict[str, Any]:
    return {"id": str(post_id), "text": text, "author_id": "7"}


@pytest.fixture
def made(
    account: Account, store: Store, ports: dict[str, Any]
) -> Callable[[PolledSource], PostsPoll]:
    def make(source: PolledSource) -> PostsPoll:
        return poll_of(source, account, store=store, why=reads_how(source), **ports)

    return make


@pytest.mark.parametrize("source", EACH, ids=lambda source: source.name)
async def test_each_source_reads_from_now_on_by_its_own_operation(
    source: PolledSource, made: Callable[[PolledSource], PostsPoll], sender: FakeSender
) -> None:
    sender.answers = [page(post(T)), page(post(T + 1))]
    poll = made(source)
    assert await poll.poll() == 0
    assert await poll.poll() == 1
    assert {call.operation for call in sender.calls} == {OPERATIONS[type(source)]}
    since = None if source is A_LIST else str(T)
    assert dict(sender.calls[1].query).get("since_id") == since


async def test_what_a_search_finds_is_a_match_with_its_tag(
    made: Callable[[PolledSource], PostsPoll], sender: FakeSender, intake: FakeIntake
) -> None:
    sender.answers = [page(), page(mention(T, "@greeter cats"))]
    poll = made(CATS)
    await poll.poll()
    await poll.poll()
    (event,) = intake.events
    assert isinstance(event, PostMatched)
    assert (event.tag, event.rule, event.mentions_me) == ("cats", "cats", True)
    assert event.key == f"match/{T}/0/cats"


async def test_a_post_of_a_timeline_is_what_it_says_of_the_account(
    made: Callable[[PolledSource], PostsPoll], sender: FakeSender, intake: FakeIntake
) -> None:
    sender.answers = [page(), page(mention(T + 1), post(T))]
    poll = made(HomeTimeline())
    await poll.poll()
    await poll.poll()
    assert [type(event) for event in intake.events] == [PostSeen, Mention]


async def test_a_list_has_no_since_id_so_the_read_ends_at_a_known_post(
    made: Callable[[PolledSource], PostsPoll], sender: FakeSender, intake: FakeIntake
) -> None:
    sender.answers = [page(post(T)), page(post(T + 1), post(T), next_token="older")]
    for answer in sender.answers:  # X names no newest id of a list
        answer.meta.pop("newest_id")  # type: ignore[union-attr]
    poll = made(A_LIST)
    await poll.poll()
    assert await poll.poll() == 1
    assert len(sender.calls) == 2
    assert "since_id" not in dict(sender.calls[1].query)
    assert len(intake.events) == 1


async def test_a_search_takes_so_many_posts_at_once_and_the_rest_is_a_gap(
    made: Callable[[PolledSource], PostsPoll],
    sender: FakeSender,
    intake: FakeIntake,
    store: Store,
) -> None:
    sender.answers = [
        page(),
        page(*(post(T + n) for n in range(40, 30, -1)), next_token="b"),
        page(*(post(T + n) for n in range(30, 25, -1)), next_token="c"),
    ]
    poll = made(Search(query="cats", tag="cats", most=15))
    await poll.poll()
    assert await poll.poll() == 15
    assert [dict(call.query)["max_results"] for call in sender.calls] == ["10", "15", "10"]
    (gap,) = await store.progress.gaps()
    assert (gap.source, gap.cause, gap.until) == ("search:cats", "reach", intake.events[0].at)  # type: ignore[attr-defined]
    assert "reads 15 posts at once" in gap.reason


async def test_a_search_that_ends_within_its_limit_leaves_no_gap(
    made: Callable[[PolledSource], PostsPoll], sender: FakeSender, store: Store
) -> None:
    sender.answers = [page(), page(*(post(T + n) for n in range(15, 0, -1)))]
    poll = made(Search(query="cats", tag="cats", most=15))
    await poll.poll()
    await poll.poll()
    assert await store.progress.gaps() == []


async def test_what_is_older_than_the_search_reaches_is_a_gap_and_is_not_asked_for(
    made: Callable[[PolledSource], PostsPoll],
    sender: FakeSender,
    store: Store,
    clock: VirtualClock,
) -> None:
    sender.answers = [page(post(T)), page()]
    await made(CATS).poll()
    clock.set(START + timedelta(days=9))
    await made(CATS).poll()
    week_ago = START + timedelta(days=2, minutes=1)
    assert int(dict(sender.calls[1].query)["since_id"]) >= snowflake_at(week_ago)
    (gap,) = await store.progress.gaps()
    assert (gap.source, gap.until) == ("search:cats", week_ago)


async def test_the_posts_read_before_a_bad_page_are_recorded_and_read_again(
    made: Callable[[PolledSource], PostsPoll], sender: FakeSender, intake: FakeIntake
) -> None:
    sender.answers = [
        page(post(T)),
        page(post(T + 2), next_token="b"),
        page(post(T + 1), next_token="b"),
        page(post(T + 2), post(T + 1)),
    ]
    poll = made(CATS)
    await poll.poll()
    with pytest.raises(MalformedAnswer):
        await poll.poll()
    assert len(intake.events) == 2
    assert await poll.poll() == 0
    assert dict(sender.calls[3].query)["since_id"] == dict(sender.calls[1].query)["since_id"]


async def test_a_home_timeline_near_its_reach_is_a_gap(
    made: Callable[[PolledSource], PostsPoll], sender: FakeSender, store: Store
) -> None:
    pages = [
        page(
            *(post(T + 1 + n * 100 + k) for k in range(99, -1, -1)),
            next_token=str(n) if n else None,
        )
        for n in range(30, -1, -1)
    ]
    sender.answers = [page(post(T)), *pages]
    poll = made(HomeTimeline())
    await poll.poll()
    assert await poll.poll() == 3100
    (gap,) = await store.progress.gaps()
    assert (gap.source, gap.cause) == ("home", "reach")


def test_a_source_says_how_often_it_reads_and_at_what_price() -> None:
    assert reads_how(CATS) == "reads every 5 min, 0.005 USD a post, 500 posts at once"
    assert (
        reads_how(OwnPosts(every=timedelta(seconds=30))) == "reads every 0.5 min, 0.005 USD a post"
    )


def test_only_declared_sources_have_polls(account: Account) -> None:
    with pytest.raises(TypeError, match="no poll reads"):
        poll_of(PolledSource(), account)
