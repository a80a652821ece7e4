"""The mentions poll reads from a durable, contiguous cursor and loses nothing on a failure."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from botkit.errors import MalformedAnswer, Parked, RateLimited, ServerError, TransportError
from botkit.model.hearing import Checkpoint
from botkit.protocol.api.ids import snowflake_at
from botkit.sandbox.harness.clock import START
from botkit.sources.polls.mentions import MentionsPoll
from tests.unit.sources.fakes import mention, page, stored_cursor

if TYPE_CHECKING:
    from botkit.model.users import Account
    from botkit.ports import Store
    from botkit.protocol.api.responses import Response
    from botkit.sandbox.harness.clock import VirtualClock
    from tests.unit.sources.fakes import FakeIntake, FakeSender, Reports, Spawn

T = snowflake_at(START)
"""The first id that X can make at the start of virtual time."""
MINUTE = 60_000 << 22


@pytest.fixture
def poll(account: Account, store: Store, ports: dict[str, Any]) -> MentionsPoll:
    interval = timedelta(seconds=60)
    return MentionsPoll(account, store=store, interval=interval, why="no bearer", **ports)


async def test_the_first_run_starts_at_now_and_handles_nothing_old(
    poll: MentionsPoll, sender: FakeSender, intake: FakeIntake
) -> None:
    sender.answers = [page(mention(T)), page()]
    assert await poll.poll() == 0
    assert await poll.poll() == 0
    assert intake.events == []
    assert dict(sender.calls[0].query)["max_results"] == "5"
    assert dict(sender.calls[1].query)["since_id"] == str(T)


async def test_an_account_nobody_ever_mentioned_starts_with_the_first_mention(
    poll: MentionsPoll, sender: FakeSender, intake: FakeIntake
) -> None:
    sender.answers = [page(), page(mention(T))]
    await poll.poll()
    assert await poll.poll() == 1
    assert "since_id" not in dict(sender.calls[1].query)
    assert len(intake.events) == 1


async def test_pages_are_read_to_the_end_and_recorded_oldest_first(
    poll: MentionsPoll, sender: FakeSender, intake: FakeIntake
) -> None:
    sender.answers = [
        page(mention(T)),
        page(mention(T + 4), mention(T + 3), next_token="b"),
        page(mention(T + 2), mention(T + 1)),
        page(),
        page(),
    ]
    await poll.poll()
    assert await poll.poll() == 4
    ids = [event.post.id for event in intake.events]  # type: ignore[attr-defined]
    assert ids == [str(T + n) for n in (1, 2, 3, 4)]
    assert dict(sender.calls[2].query)["pagination_token"] == "b"
    assert dict(sender.calls[3].query)["since_id"] == str(T + 4)
    await poll.poll()
    assert dict(sender.calls[4].query)["since_id"] == str(T)


async def test_each_poll_reads_again_what_x_may_have_shown_since_the_last_one(
    poll: MentionsPoll, sender: FakeSender, intake: FakeIntake, clock: VirtualClock
) -> None:
    newest = T + 10 * MINUTE
    sender.answers = [page(mention(T)), page(mention(newest)), page(mention(newest - 3 * MINUTE))]
    await poll.poll()
    clock.set(START + timedelta(minutes=11))
    await poll.poll()
    clock.set(START + timedelta(minutes=60))  # however long ago the last poll was
    assert await poll.poll() == 1
    assert dict(sender.calls[2].query)["since_id"] == str(T + 6 * MINUTE - 1)
    assert len(intake.events) == 2


async def test_an_account_that_hears_nothing_reads_nothing_again(
    poll: MentionsPoll, sender: FakeSender, clock: VirtualClock
) -> None:
    newest = T + MINUTE
    sender.answers = [page(mention(T)), page(mention(newest)), page(), page()]
    await poll.poll()
    clock.set(START + timedelta(minutes=1))
    await poll.poll()
    for days in (1, 9):
        clock.set(START + timedelta(days=days))
        await poll.poll()
    assert dict(sender.calls[2].query)["since_id"] == str(T)
    assert dict(sender.calls[3].query)["since_id"] == str(newest)


async def test_how_far_was_read_is_by_the_clock_of_x_at_the_first_page(
    poll: MentionsPoll, sender: FakeSender, store: Store
) -> None:
    def at(minute: int, answer: Response) -> Response:
        return replace(answer, date=START + timedelta(minutes=minute))

    later = T + 200 * MINUTE
    sender.answers = [
        at(100, page(mention(T))),
        at(200, page(mention(later), next_token="b")),
        at(201, page(mention(T + 1))),
        at(202, page()),
    ]
    await poll.poll()
    await poll.poll()
    last = await store.progress.checkpoint("mentions", "1")
    assert last is not None
    assert last.read_to == START + timedelta(minutes=195)


async def test_a_poll_that_finds_nothing_writes_to_the_store_once_a_minute_at_most(
    poll: MentionsPoll, sender: FakeSender, store: Store, clock: VirtualClock
) -> None:
    async def read_to() -> timedelta:
        last = await store.progress.checkpoint("mentions", "1")
        assert last is not None
        assert last.read_to is not None
        return last.read_to - START + timedelta(minutes=5)

    sender.answers = [page(mention(T)), page(), page(), page()]
    said: list[float] = []
    for second in (0, 15, 59.9, 60):
        clock.set(START + timedelta(seconds=second))
        await poll.poll()
        said.append((await read_to()).total_seconds())
    assert said == [0, 0, 0, 60]


async def test_a_poll_that_moved_past_posts_that_x_does_not_show_stores_where_it_is(
    poll: MentionsPoll, sender: FakeSender, store: Store
) -> None:
    hidden = replace(page(), meta={"result_count": 0, "newest_id": str(T + 1)})
    sender.answers = [page(mention(T)), hidden]
    await poll.poll()
    assert await poll.poll() == 0
    last = await store.progress.checkpoint("mentions", "1")
    assert last is not None
    assert f'"newest":"{T + 1}"' in last.cursor


async def test_a_cursor_that_stores_hold_is_gone_on_from_and_written_in_the_same_form(
    poll: MentionsPoll, sender: FakeSender, store: Store
) -> None:
    held = Checkpoint(source="mentions", account_id="1", cursor=stored_cursor("mentions"))
    await store.progress.set_checkpoint(held)
    sender.answers = [page(mention(1860000000000000001))]
    assert await poll.poll() == 1
    assert dict(sender.calls[0].query)["since_id"] == "1860000000000000000"
    last = await store.progress.checkpoint("mentions", "1")
    assert last is not None
    assert last.cursor == held.cursor.replace("1860000000000000000", "1860000000000000001")


async def test_a_cursor_of_an_older_version_is_gone_on_from(
    poll: MentionsPoll, sender: FakeSender, store: Store
) -> None:
    text = f'{{"floor":"{T}","newest":"{T + 9}"}}'
    old = Checkpoint(source="mentions", account_id="1", cursor=text)
    await store.progress.set_checkpoint(old)
    sender.answers = [page(mention(T + 10))]
    assert await poll.poll() == 1
    assert dict(sender.calls[0].query)["since_id"] == str(T + 9)


async def test_a_page_that_fails_leaves_the_cursor_where_it_was(
    poll: MentionsPoll, sender: FakeSender, intake: FakeIntake
) -> None:
    failure = RateLimited("429", status=429)
    sender.answers = [
        page(mention(T)),
        page(mention(T + 2), next_token="b"),
        failure,
        page(mention(T + 2), mention(T + 1)),
    ]
    await poll.poll()
    with pytest.raises(RateLimited):
        await poll.poll()
    assert intake.events == []
    assert await poll.poll() == 2
    assert dict(sender.calls[3].query)["since_id"] == str(T)


async def test_a_further_page_is_tried_again_before_those_that_were_read_are_given_up(
    poll: MentionsPoll, sender: FakeSender, intake: FakeIntake, clock: VirtualClock
) -> None:
    sender.answers = [
        page(mention(T)),
        page(mention(T + 2), next_token="b"),
        ServerError("503", status=503),
        MalformedAnswer("html", status=200),
        page(mention(T + 1)),
        ServerError("503", status=503),
        page(),
        ServerError("503", status=503),
    ]
    await poll.poll()
    polling = asyncio.get_running_loop().create_task(poll.poll())
    await clock.advance(3.2)
    assert polling.done()
    assert await polling == 2
    assert [dict(call.query).get("pagination_token") for call in sender.calls[1:]] == [
        None,
        *["b"] * 3,
        *[None] * 2,
    ]
    with pytest.raises(ServerError):
        await poll.poll()


async def test_an_inbox_that_cannot_record_leaves_the_cursor_too(
    poll: MentionsPoll,
    sender: FakeSender,
    intake: FakeIntake,
    clock: VirtualClock,
    spawn: Spawn,
) -> None:
    sender.answers = [page(mention(T)), page(mention(T + 1)), page(mention(T + 1)), page()]
    await poll.poll()
    intake.failures = 1
    spawn(poll.run())
    await clock.advance(20)
    assert len(intake.events) == 1


async def test_it_polls_at_its_interval_and_at_once_when_poked(
    poll: MentionsPoll,
    sender: FakeSender,
    clock: VirtualClock,
    spawn: Spawn,
    reports: Reports,
) -> None:
    sender.answers = [page() for _ in range(4)]
    spawn(poll.run())
    await clock.advance(1)
    assert len(sender.calls) == 1
    await clock.advance(70)
    assert len(sender.calls) == 2
    poll.poke()
    await clock.advance(0.1)
    assert len(sender.calls) == 3
    assert reports.said[-1] == ("mentions/greeter", "live", "no bearer")


async def test_fault_21_failures_back_off_and_say_why(
    poll: MentionsPoll,
    sender: FakeSender,
    clock: VirtualClock,
    spawn: Spawn,
    reports: Reports,
) -> None:
    sender.answers = [TransportError("down"), TransportError("down"), page(), page()]
    spawn(poll.run())
    await clock.advance(0.1)
    assert reports.said == [("mentions/greeter", "waiting", "down")]
    assert reports.codes["mentions/greeter"] == "4"
    await clock.advance(6)
    assert len(sender.calls) == 2
    await clock.advance(5)
    assert len(sender.calls) == 2
    await clock.advance(7)
    assert reports.said[-1][1] == "live"
    assert reports.codes["mentions/greeter"] == ""
    assert reports.good_for_s["mentions/greeter"] == pytest.approx(60 * 1.1 + 30)


async def test_a_login_that_waits_is_waited_for(
    poll: MentionsPoll,
    sender: FakeSender,
    clock: VirtualClock,
    spawn: Spawn,
    reports: Reports,
) -> None:
    sender.answers = [
        Parked("rate", until=clock.now() + timedelta(seconds=100)),
        Parked("login"),
        page(),
    ]
    spawn(poll.run())
    await clock.advance(80)
    assert reports.said == [("mentions/greeter", "waiting", "waits for rate")]
    assert len(sender.calls) == 1
    await clock.advance(50)
    assert len(sender.calls) == 3
    assert reports.said[1:] == [
        ("mentions/greeter", "waiting", "waits for login"),
        ("mentions/greeter", "live", "no bearer"),
    ]


async def test_fault_30_pages_that_lead_nowhere_do_not_keep_from_the_handlers_what_was_read(
    poll: MentionsPoll, sender: FakeSender, intake: FakeIntake
) -> None:
    sender.answers = [
        page(mention(T)),
        page(mention(T + 2), next_token="b"),
        page(mention(T + 1), next_token="b"),
        page(),
    ]
    await poll.poll()
    with pytest.raises(MalformedAnswer):
        await poll.poll()
    assert len(intake.events) == 2
    await poll.poll()
    assert dict(sender.calls[3].query)["since_id"] == str(T)


async def test_a_post_with_an_id_that_is_none_does_not_stop_the_poll(
    poll: MentionsPoll, sender: FakeSender, intake: FakeIntake
) -> None:
    odd = mention(T) | {"id": "abc"}
    sender.answers = [page(odd), page(odd, mention(T)), page()]
    await poll.poll()
    assert await poll.poll() == 2
    await poll.poll()
    assert "since_id" not in dict(sender.calls[1].query)
    assert len(intake.events) == 2
