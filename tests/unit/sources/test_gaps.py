"""What may have been missed is recorded with its bounds, told, and closed when it was read."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from botkit.errors import ServerError, StoreUnavailable
from botkit.model.hearing import BY_HAND, Checkpoint, GapRow
from botkit.protocol.api.ids import snowflake_at
from botkit.sandbox.harness.clock import START
from botkit.sources.gaps import Gaps
from tests.unit.sources.fakes import mention, page
from tests.unit.sources.polls.test_mentions import poll
from tests.unit.sources.polls.test_messages import messages
from tests.unit.sources.polls.test_messages import poll as messages_poll

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from botkit.model.users import Account
    from botkit.ports import Store
    from botkit.protocol.api.responses import Response
    from botkit.sandbox.harness.clock import VirtualClock
    from botkit.sources.polls.mentions import MentionsPoll
    from botkit.sources.polls.messages import MessagesPoll
    from tests.unit.sources.fakes import FakeIntake, FakeSender, Reports

__all__ = ["messages_poll", "poll"]

MINUTE = timedelta(minutes=1)
T = snowflake_at(START)
CUT = GapRow(source="activity", account_id="1", since=START, cause="disconnected")


def timeline(newest: int, count: int, *, apart_ms: int = 10) -> list[Response]:
    """The pages of so many mentions, one made every few milliseconds up to the newest."""
    made = [newest - n * (apart_ms << 22) for n in range(count)]
    pages = [made[at : at + 100] for at in range(0, count, 100)]
    tokens = [*(f"page{n}" for n in range(1, len(pages))), None]
    return [
        page(*map(mention, ids), next_token=token)
        for ids, token in zip(pages, tokens, strict=True)
    ]


def last_read(read_to: object, newest: int = T) -> Checkpoint:
    text = f'{{"floor":"1","newest":"{newest}"}}'
    return Checkpoint(source="mentions", account_id="1", cursor=text, read_to=read_to)  # type: ignore[arg-type]


async def test_a_start_opens_a_gap_from_what_was_read_last_and_the_first_poll_closes_it(
    poll: MentionsPoll,
    spawn: Callable[[Coroutine[Any, Any, None]], None],
    sender: FakeSender,
    store: Store,
    clock: VirtualClock,
    reports: Reports,
) -> None:
    await store.progress.set_checkpoint(last_read(START - 90 * MINUTE))
    sender.answers = [ServerError("503", status=503), page(), page()]
    spawn(poll.run())
    await clock.advance(1)
    (gap,) = await store.progress.gaps()
    assert (gap.since, gap.until) == (START - 90 * MINUTE, START)
    assert (gap.source, gap.cause, gap.state) == ("mentions", "stopped", "open")
    said = [detail for part, state, detail in reports.said if (part, state) == (GREETERS, "open")]
    (detail,) = said
    assert detail.startswith(
        "what was made from 2025-12-11T10:30:00Z to 2025-12-11T12:00:00Z may be missing: "
    )
    await clock.advance(20)
    (gap,) = await store.progress.gaps()
    assert (gap.state, gap.reason) == ("closed", "read by mentions/greeter")
    assert (GREETERS, "none", "") in reports.said
    await clock.advance(70)
    assert len(await store.progress.gaps()) == 1


GREETERS = "gaps/greeter"


async def test_a_gap_that_the_first_poll_closes_at_once_is_not_told(
    poll: MentionsPoll,
    spawn: Callable[[Coroutine[Any, Any, None]], None],
    sender: FakeSender,
    store: Store,
    clock: VirtualClock,
    reports: Reports,
) -> None:
    await store.progress.set_checkpoint(last_read(START - MINUTE))
    sender.answers = [page()]
    spawn(poll.run())
    await clock.advance(1)
    assert [gap.state for gap in await store.progress.gaps()] == ["closed"]
    assert {part for part, *_ in reports.said} == {"mentions/greeter"}


async def test_a_gap_is_told_by_the_poll_that_covers_it_and_by_no_other(
    poll: MentionsPoll,
    messages_poll: MessagesPoll,
    spawn: Callable[[Coroutine[Any, Any, None]], None],
    sender: FakeSender,
    gaps: Gaps,
    clock: VirtualClock,
    account: Account,
    reports: Reports,
) -> None:
    gap = await gaps.open(replace(CUT, source="messages", cause="stopped", until=START))
    sender.answers = [page(), ServerError("503", status=503)]
    with capture_logs() as lines:
        spawn(poll.run())
        await clock.advance(1)
        await gaps.look_again([account])
        assert "gap.open" not in [line["event"] for line in lines]
        assert (GREETERS, "none", "") not in reports.said
        spawn(messages_poll.run())
        await clock.advance(1)
    assert [line["gap"] for line in lines if line["event"] == "gap.open"] == [gap.id]
    assert [state for part, state, _ in reports.said if part == GREETERS] == ["open"]


async def test_the_end_of_a_gap_is_told_in_whole_seconds_that_cut_nothing(
    gaps: Gaps, account: Account, reports: Reports
) -> None:
    await gaps.open(replace(CUT, until=START + timedelta(milliseconds=17)))
    with capture_logs() as lines:
        await gaps.tell(account)
    assert [line["until"] for line in lines] == ["2025-12-11T12:00:01Z"]
    ((_, _, detail),) = reports.said
    assert " to 2025-12-11T12:00:01Z may be missing" in detail


async def test_a_gap_of_a_source_that_no_poll_covers_is_told_by_each_poll(
    poll: MentionsPoll,
    spawn: Callable[[Coroutine[Any, Any, None]], None],
    sender: FakeSender,
    gaps: Gaps,
    clock: VirtualClock,
    reports: Reports,
) -> None:
    await gaps.open(replace(CUT, source="messages", cause="stopped", until=START))
    sender.answers = [page()]
    spawn(poll.run())
    await clock.advance(1)
    assert [state for part, state, _ in reports.said if part == GREETERS] == ["open"]


async def test_a_poll_that_gets_as_much_as_x_shows_leaves_open_what_lies_before(
    poll: MentionsPoll, sender: FakeSender, store: Store, intake: FakeIntake, gaps: Gaps
) -> None:
    read_to, newest = START - 60 * MINUTE, snowflake_at(START)
    await store.progress.set_checkpoint(last_read(read_to, newest=1))
    await gaps.open(replace(CUT, since=read_to, until=START))
    sender.answers = timeline(newest, 800)
    assert await poll.poll() == 800
    hole, cut = await store.progress.gaps()
    assert cut.state == "closed"
    assert (hole.since, hole.until) == (read_to, intake.events[0].at)  # type: ignore[attr-defined]
    assert (hole.state, hole.cause, hole.tried) == ("open", "reach", "mentions")
    assert hole.reason == "X's mentions timeline reaches back 800 posts"
    last = await store.progress.checkpoint("mentions", "1")
    assert last is not None
    assert str(newest) in last.cursor


async def test_no_gap_begins_before_the_bot_began_to_hear(
    poll: MentionsPoll, sender: FakeSender, store: Store, intake: FakeIntake
) -> None:
    floor = snowflake_at(START - 30 * MINUTE)
    text = f'{{"floor":"{floor}","newest":"{floor}"}}'
    await store.progress.set_checkpoint(replace(last_read(START - 60 * MINUTE), cursor=text))
    sender.answers = timeline(snowflake_at(START), 800)
    await poll.poll()
    (hole,) = await store.progress.gaps()
    assert hole.since == START - 30 * MINUTE + timedelta(milliseconds=1)
    assert hole.until == intake.events[0].at  # type: ignore[attr-defined]


async def test_posts_that_x_counts_and_does_not_show_hide_no_gap(
    poll: MentionsPoll, sender: FakeSender, store: Store
) -> None:
    await store.progress.set_checkpoint(last_read(None, newest=T - 1))
    sender.answers = timeline(T + (60_000 << 22), 750)
    await poll.poll()
    (hole,) = await store.progress.gaps()
    assert hole.cause == "reach"
    assert hole.since == START - timedelta(milliseconds=1)


@pytest.mark.parametrize(("count", "newest"), [(699, 1), (800, T - 1)])
async def test_a_long_read_that_came_down_to_what_is_known_leaves_no_gap(
    count: int, newest: int, poll: MentionsPoll, sender: FakeSender, store: Store
) -> None:
    await store.progress.set_checkpoint(last_read(START - 60 * MINUTE, newest=newest))
    sender.answers = [*timeline(T + (799 * 10 << 22) - 1, count), page()]
    await poll.poll()
    assert await store.progress.gaps() == []


async def test_what_left_the_reach_of_x_while_a_poll_read_its_pages_is_a_gap(
    poll: MentionsPoll, sender: FakeSender, store: Store, intake: FakeIntake
) -> None:
    read_to, first, later = START - 60 * MINUTE, snowflake_at(START), snowflake_at(START + MINUTE)
    await store.progress.set_checkpoint(last_read(read_to, newest=1))
    sender.answers = [*timeline(first, 300), *timeline(later, 450)]
    assert await poll.poll() == 750
    assert dict(sender.calls[3].query)["since_id"] == str(first)
    (hole,) = await store.progress.gaps()
    assert (hole.state, hole.cause) == ("open", "reach")
    oldest_of_later = intake.events[300]
    assert (hole.since, hole.until) == (read_to, oldest_of_later.at)  # type: ignore[attr-defined]


async def test_a_burst_of_which_all_is_shown_to_the_end_leaves_no_gap(
    poll: MentionsPoll, sender: FakeSender, store: Store
) -> None:
    await store.progress.set_checkpoint(last_read(START - 60 * MINUTE, newest=1))
    later = snowflake_at(START + MINUTE)
    sender.answers = [
        *timeline(snowflake_at(START), 300),
        *timeline(later, 300),
        *timeline(later + (60_000 << 22), 90),
    ]
    assert await poll.poll() == 690
    assert (await store.progress.gaps(), sender.answers) == ([], [])


async def test_a_reading_of_pages_without_posts_is_not_read_again(
    poll: MentionsPoll, sender: FakeSender, store: Store
) -> None:
    await store.progress.set_checkpoint(last_read(START - 60 * MINUTE, newest=1))
    sender.answers = [page(next_token="b"), page()]
    assert await poll.poll() == 0
    assert await store.progress.gaps() == []


async def test_while_the_inbox_takes_nothing_the_gap_grows_and_is_one(
    poll: MentionsPoll, sender: FakeSender, store: Store, intake: FakeIntake
) -> None:
    await store.progress.set_checkpoint(last_read(START - 60 * MINUTE, newest=1))
    intake.failures = 2
    for n in range(3):
        sender.answers = timeline(snowflake_at(START + n * MINUTE), 800)
        if n < 2:
            with pytest.raises(StoreUnavailable):
                await poll.poll()
    await poll.poll()
    (hole,) = await store.progress.gaps()
    assert hole.since == START - 60 * MINUTE
    assert hole.until == intake.events[0].at  # type: ignore[attr-defined]


async def test_messages_that_are_too_old_for_x_to_show_them_are_a_gap(
    messages_poll: MessagesPoll, sender: FakeSender, store: Store
) -> None:
    read_to = START - timedelta(days=40)
    last = Checkpoint(source="messages", account_id="1", cursor="50 1", read_to=read_to)
    await store.progress.set_checkpoint(last)
    sender.answers = [messages(70, 60)]
    assert await messages_poll.poll() == 2
    (hole,) = await store.progress.gaps()
    assert (hole.since, hole.until) == (read_to, START - timedelta(days=30))
    assert hole.reason == "X shows direct messages of the last 30 days"


async def test_gaps_of_one_cause_that_touch_become_one(gaps: Gaps, store: Store) -> None:
    one = await gaps.open(replace(CUT, until=START + MINUTE))
    assert (await gaps.open(replace(CUT, since=START + MINUTE, until=START + 9 * MINUTE))).id == (
        one.id
    )
    assert (await gaps.open(replace(CUT, since=START - MINUTE))).until is None
    apart = await gaps.open(replace(CUT, cause="stopped", until=START + MINUTE))
    assert apart.id != one.id
    other = await gaps.open(replace(CUT, account_id="2", until=START + MINUTE))
    later = await gaps.open(replace(other, since=START + 2 * MINUTE, until=START + 3 * MINUTE))
    assert len({one.id, apart.id, other.id, later.id}) == 4
    rows = {row.id: row for row in await store.progress.gaps()}
    assert (rows[one.id].since, rows[one.id].until) == (START - MINUTE, None)


async def test_gaps_that_two_polls_open_at_once_at_the_start_are_both_held(gaps: Gaps) -> None:
    one, other = await asyncio.gather(
        gaps.open(replace(CUT, source="mentions", cause="stopped", until=START)),
        gaps.open(replace(CUT, source="messages", cause="stopped", until=START)),
    )
    assert {gap.id for gap in await gaps.of("1")} == {one.id, other.id}


async def test_only_a_read_that_went_past_its_end_closes_a_gap(gaps: Gaps) -> None:
    growing = await gaps.open(CUT)
    later = await gaps.open(replace(CUT, cause="stopped", until=START + MINUTE))
    await gaps.covered("1", sources=("activity",), until=START, how="read")
    await gaps.covered("1", sources=("messages",), until=START + MINUTE, how="read")
    assert await gaps.of("1") == [growing, later]
    await gaps.covered("1", sources=("activity",), until=START + MINUTE, how="read")
    assert await gaps.of("1") == [growing]


async def test_what_only_the_stream_brings_is_given_up_with_a_word(
    store: Store, clock: VirtualClock, reports: Reports, intake: FakeIntake, account: Account
) -> None:
    gaps = Gaps(store, clock=clock, report=reports, intake=intake, unreadable="quotes")
    await gaps.open(replace(CUT, until=START))
    await gaps.open(replace(CUT, source="mentions", cause="stopped", until=START))
    await gaps.open(replace(CUT, source="messages", cause="stopped", until=START))
    everything = ("mentions", "activity", "messages")
    with capture_logs() as lines:
        await gaps.covered("1", sources=everything, until=START, how="read by a")
        await gaps.tell(account)
        await gaps.tell(account)
    rows = await store.progress.gaps()
    states = {gap.source: (gap.state, gap.reason) for gap in rows}
    why = "read by a, but for quotes, which no timeline of X shows"
    assert states == {
        "messages": ("closed", "read by a"),
        "mentions": ("given up", why),
        "activity": ("given up", why),
    }
    assert [(line["event"], line["why"]) for line in lines] == [("gap.closed", why)] * 2
    told = {(event.number, event.missed_by) for event in intake.events}  # type: ignore[attr-defined]
    assert told == {(gap.id, gap.source) for gap in rows if gap.source != "messages"}
    for event in intake.events:
        assert (event.state, event.reason, event.next_step) == ("given up", why, "")  # type: ignore[attr-defined]


async def test_a_gap_that_grew_when_the_process_ended_grows_no_more(
    gaps: Gaps, store: Store, clock: VirtualClock, reports: Reports
) -> None:
    await gaps.open(CUT)
    clock.set(START + MINUTE)
    later = Gaps(store, clock=clock, report=reports)
    assert [gap.until for gap in await later.of("1")] == [START + MINUTE]


async def test_an_open_gap_is_one_line_in_the_log_until_its_reason_changes(
    gaps: Gaps, account: Account, reports: Reports
) -> None:
    gap = await gaps.open(replace(CUT, until=START, reason="down"))
    await gaps.open(replace(CUT, cause="reach", until=START, reason="800"))
    with capture_logs() as lines:
        await gaps.tell(account)
        await gaps.tell(account)
        await gaps.change(replace(gap, reason="out of credit"))
        await gaps.tell(account)
        await gaps.close(gap, "read")
        await gaps.tell(account)
    assert [(each["event"], each["why"]) for each in lines] == [
        ("gap.open", "down"),
        ("gap.open", "800"),
        ("gap.open", "out of credit"),
        ("gap.closed", "read"),
    ]
    assert "and 1 more" in reports.said[0][2]
    assert "more" not in reports.said[-1][2]


async def test_what_a_person_closed_by_command_is_told_as_over(
    gaps: Gaps, store: Store, account: Account, reports: Reports
) -> None:
    await gaps.look_again([account])
    gap = await gaps.open(replace(CUT, until=START))
    await gaps.tell(account)
    await gaps.look_again([account])
    assert reports.said[-1][1] == "open"
    await store.progress.change_gap(replace(gap, state="given up"))
    with capture_logs() as lines:
        await gaps.look_again([account])
    assert [(each["event"], each["why"]) for each in lines] == [("gap.closed", BY_HAND)]
    assert reports.said[-1] == (GREETERS, "none", "")
    assert await gaps.of("1") == []


async def test_a_store_that_cannot_be_read_does_not_end_a_poll(
    gaps: Gaps, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(account_id: str) -> list[GapRow]:
        raise StoreUnavailable(account_id)

    monkeypatch.setattr(gaps, "of", full)
    with capture_logs() as lines:
        await gaps.tell_after_failure(account)
    assert [each["event"] for each in lines] == ["gap.not_recorded"]
