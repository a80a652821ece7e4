"""What the account wrote without this store is found, and nothing is answered twice for it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest
from structlog.testing import capture_logs

from botkit.errors import (
    AlreadyReplied,
    Forbidden,
    LeaseLost,
    Parked,
    StoreUnavailable,
    TransportError,
)
from botkit.model.hearing import Checkpoint
from botkit.model.posts import Post
from botkit.model.records import WriteMove, WriteState
from botkit.model.users import Account
from botkit.protocol.api import requests
from botkit.runtime.writes.lookups import write_lookup
from botkit.runtime.writes.lookups.own_posts import OwnPosts
from tests.unit.runtime.fakes import turns
from tests.unit.runtime.writing import (
    LOST,
    ME,
    Office,
    mention,
    message_step,
    open_office,
    post_step,
    reply_step,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime
    from pathlib import Path

    from botkit.protocol.api.requests import Request
    from botkit.protocol.api.responses import Response
    from botkit.runtime.writes.steps import Step

FIRST = "1999000000000000500"


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """A store in which an account wrote a post once, and a new process."""
    async with open_office(tmp_path) as office:
        await office.outbox.perform(post_step("The first of all", event_key="tick/morning/0"))
        office.start()
        office.x.sent.clear()
        yield office


@pytest.fixture
async def fresh(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as office:
        yield office


def elsewhere(office: Office, text: str, *, to: str = FIRST) -> str:
    """The account writes, and not through this store; return the post's id."""
    request = requests.create_post(text, in_reply_to=to or None)
    data = office.x.carry_out(request).data
    return str(data["id"])


async def waits(office: Office, step: Step) -> Parked:
    with pytest.raises(Parked) as raised:
        await office.outbox.perform(step)
    return raised.value


def own_reads(office: Office) -> int:
    return sum(request.operation == "getUsersPosts" for request in office.x.looked)


async def test_a_reply_that_is_there_already_is_the_result_of_the_step(office: Office) -> None:
    there = elsewhere(office, "An answer of another text")
    write = await office.outbox.perform(reply_step("Hello @ada!"))
    assert write.state is WriteState.CONFIRMED
    assert msgspec.json.decode(write.result or b"", type=Post).text == "An answer of another text"
    assert (write.result_id, office.x.sent) == (there, [])
    again = await office.outbox.perform(reply_step("A third text"))
    assert again.result_id == there
    assert await office.store.own_posts.count(ME) == 0


async def test_of_two_answers_each_is_the_result_of_one_step(office: Office) -> None:
    there = [elsewhere(office, "One"), elsewhere(office, "Two")]
    made = [(await office.outbox.perform(reply_step("x", n=n))).result_id for n in (0, 1)]
    assert made == there
    assert office.x.sent == []


async def test_a_post_that_answers_nobody_is_found_by_its_text_only(office: Office) -> None:
    there = elsewhere(office, "Good morning", to="")
    other = await office.outbox.perform(post_step("Good evening"))
    same = await office.outbox.perform(post_step("Good morning", event_key="tick/morning/2"))
    assert other.result_id != there
    assert same.result_id == there
    assert len(office.x.sent) == 1


async def test_a_post_from_before_an_event_is_not_what_the_event_would_post(
    office: Office,
) -> None:
    elsewhere(office, "Good morning", to="")
    tomorrow = office.clock.now() + timedelta(days=1)
    step = post_step("Good morning", event_key="tick/morning/2", happened_at=tomorrow)
    await office.outbox.perform(step)
    assert len(office.x.sent) == 1


async def test_an_event_that_is_replayed_by_hand_is_answered_anew(office: Office) -> None:
    elsewhere(office, "One")
    await office.own_posts.ready(ME)
    assert await office.own_posts.found(reply_step("Again", run=1)) is None
    assert await office.own_posts.found(reply_step("Again")) is not None


async def test_a_post_that_a_write_turned_out_to_have_made_is_no_result_of_another(
    office: Office,
) -> None:
    there = elsewhere(office, "One")
    await office.own_posts.ready(ME)
    other = reply_step("One", event_key="post/7/0")
    await office.store.writes.begin(other.to_write(), now=office.clock.now(), fence=office.lease)
    sure = WriteMove(to=WriteState.CONFIRMED, result_id=there, result=b"{}")
    await office.store.writes.move(other.id, sure, now=office.clock.now(), fence=office.lease)
    assert await office.own_posts.found(reply_step("Two")) is None


async def test_a_post_that_may_be_of_a_write_without_an_answer_is_not_taken_for_strange(
    office: Office,
) -> None:
    office.x.script = [LOST]
    step = reply_step("Hello @ada!")
    await waits(office, step)
    office.start()
    await office.own_posts.ready(ME)
    assert await office.store.own_posts.count(ME) == 0
    await office.read_until_settled()
    assert await office.state(step) is WriteState.CONFIRMED


async def test_a_write_that_was_never_sent_hides_no_post(office: Office) -> None:
    there = elsewhere(office, "Hello @ada!")
    step = reply_step("Hello @ada!")
    await office.store.writes.put_aside(
        step.to_write(),
        WriteState.QUEUED,
        reason="",
        now=office.clock.now(),
        fence=office.lease,
    )
    assert (await office.outbox.perform(step)).result_id == there
    assert office.x.sent == []


async def test_the_look_is_said_with_the_number_of_posts(office: Office) -> None:
    await office.store.accounts.put(Account(id=ME, username="greeter", name="", app="default"))
    elsewhere(office, "One")
    elsewhere(office, "Two")
    with capture_logs() as lines:
        await office.own_posts.ready(ME)
        await office.own_posts.ready(ME)
    assert [line["posts"] for line in lines if line["event"] == "store.behind"] == [2]
    ((part, state, detail),) = office.said
    assert (part, state) == ("store_copy/greeter", "behind")
    assert detail.startswith("X shows 2 newer posts of the account that this store does not have")
    assert own_reads(office) == 1


async def test_what_was_kept_is_not_read_and_said_again_at_the_next_start(office: Office) -> None:
    elsewhere(office, "One")
    await office.own_posts.ready(ME)
    office.said.clear()
    office.start()
    await office.own_posts.ready(ME)
    assert office.said == []
    assert (await office.outbox.perform(reply_step("Two"))).result_id == office.x.posts[1]["id"]


async def test_a_store_that_never_heard_anything_asks_for_nothing(fresh: Office) -> None:
    elsewhere(fresh, "By hand, long ago")
    await fresh.outbox.perform(reply_step())
    assert own_reads(fresh) == 0
    assert len(fresh.x.sent) == 1


async def test_a_store_that_heard_but_never_wrote_reads_back_to_its_last_poll(
    fresh: Office,
) -> None:
    elsewhere(fresh, "Long before")
    fresh.clock.move(3600)
    last = Checkpoint(source="mentions", account_id=ME, cursor="{}", read_to=fresh.clock.now())
    await fresh.store.progress.set_checkpoint(last)
    fresh.x.page_size = 1
    for n in range(3):
        elsewhere(fresh, f"Number {n}")
    await fresh.own_posts.ready(ME)
    assert own_reads(fresh) == 4
    assert await fresh.store.progress.gaps() == []


async def test_a_store_that_heard_but_never_wrote_asks_for_one_page(fresh: Office) -> None:
    await fresh.store.progress.set_checkpoint(
        Checkpoint(source="mentions", account_id=ME, cursor="{}")
    )
    fresh.x.page_size = 1
    elsewhere(fresh, "One")
    newest = elsewhere(fresh, "Two")
    await fresh.own_posts.ready(ME)
    assert own_reads(fresh) == 1
    assert [post.post_id for post in await fresh.store.own_posts.to(ME, FIRST)] == [newest]


async def test_until_x_can_be_asked_a_write_waits_and_x_is_not_asked_all_the_time(
    office: Office,
) -> None:
    office.x.reads = [TransportError("no", request="GET /2/users/:id/tweets")]
    waiting = await waits(office, reply_step())
    assert waiting.waiting_for == "timeline"
    assert waiting.until == office.clock.now() + timedelta(seconds=30)
    await waits(office, reply_step())
    assert (own_reads(office), office.x.sent) == (1, [])
    office.clock.move(31)
    await office.outbox.perform(reply_step())
    assert (own_reads(office), len(office.x.sent)) == (2, 1)


async def test_an_account_whose_posts_x_does_not_show_writes_all_the_same(office: Office) -> None:
    office.x.reads = [Forbidden("X answered with 403.", status=403)]
    with capture_logs() as lines:
        await office.outbox.perform(reply_step())
    assert next(line["event"] for line in lines) == "own_posts.not_read"
    assert len(office.x.sent) == 1


async def test_while_the_store_cannot_be_used_nothing_is_decided(office: Office) -> None:
    office.x.reads = [StoreUnavailable("full")]
    with pytest.raises(StoreUnavailable):
        await office.own_posts.ready(ME)
    await office.own_posts.ready(ME)
    assert own_reads(office) == 2


async def test_two_writes_at_once_ask_x_once(office: Office) -> None:
    await asyncio.gather(office.own_posts.ready(ME), office.own_posts.ready(ME))
    assert own_reads(office) == 1


async def test_a_message_waits_for_no_post(office: Office) -> None:
    await office.outbox.perform(message_step())
    assert own_reads(office) == 0


@asynccontextmanager
async def looking(office: Office, *accounts: str) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.ensure_future(office.own_posts.run(accounts))  # noqa: TID251 - a test drives it
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(holds: Callable[[], object]) -> None:
    """Let the other tasks, and the store's thread, go on until that holds."""
    async with asyncio.timeout(30):
        while not holds():
            await turns(1)


async def wrote(office: Office, number: int, *, rival: bool = False) -> None:
    """Answer a post, with `rival` at the same moment as a copy does, and look for that."""

    def both(request: Request) -> Response:
        response = office.x.carry_out(request)
        elsewhere(office, f"From elsewhere {number}", to=f"19990000000000005{number:02}")
        return response

    office.x.script = [both] if rival else []
    reads = own_reads(office)
    await office.outbox.perform(targeting(number))
    await until(lambda: own_reads(office) > reads)


def targeting(number: int) -> Step:
    return reply_step(f"Hello {number}", to=mention(f"19990000000000005{number:02}"))


async def test_at_the_start_each_account_is_looked_at(office: Office) -> None:
    office.x.reads = [TransportError("no", request="GET"), StoreUnavailable("full")]
    await office.store.progress.set_checkpoint(
        Checkpoint(source="mentions", account_id="43", cursor="{}")
    )
    with capture_logs() as lines:

        def later() -> list[str]:
            return [line["account"] for line in lines if line["event"] == "own_posts.later"]

        async with looking(office, ME, "43", ME):
            await until(lambda: len(later()) == 3)
    assert later() == [ME, "43", ME]


async def test_a_start_without_the_lease_ends_at_once(office: Office) -> None:
    office.x.reads = [LeaseLost("gone")]
    async with looking(office, ME) as task:
        with pytest.raises(LeaseLost):
            await task


async def test_a_copy_that_answered_later_than_the_other_stops(office: Office) -> None:
    await office.own_posts.ready(ME)
    theirs = elsewhere(office, "From elsewhere", to="1999000000000000501")
    async with looking(office) as task:
        await wrote(office, 1)
        with pytest.raises(LeaseLost, match="A copy of this store runs elsewhere") as lost:
            await task
    ours = office.x.posts[-1]["id"]
    assert f"post {theirs} answers 1999000000000000501 as post {ours} does" in str(lost.value)
    assert lost.value.exit_code == 5


async def test_a_copy_that_answered_first_stops_at_the_second_time(office: Office) -> None:
    async with looking(office) as task:
        await wrote(office, 1, rival=True)
        await until(lambda: office.said)
        ((part, state, detail),) = office.said
        assert (part, state) == (f"store_copy/{ME}", "copied")
        assert detail.endswith("Stop it.")
        assert not task.done()
        office.clock.move(11)
        await wrote(office, 2, rival=True)
        with pytest.raises(LeaseLost):
            await task


async def test_the_one_that_was_there_first_says_so_and_goes_on(office: Office) -> None:
    async with looking(office) as task:
        await wrote(office, 1)
        await until(lambda: office.own_posts._doubts[ME].is_first)
        for number in (2, 3):
            office.clock.move(301)
            await wrote(office, number, rival=True)
            await until(lambda number=number: len(office.said) == number - 1)
        assert not task.done()
    assert [state for _, state, _ in office.said] == ["copied", "copied"]


async def test_what_a_person_writes_beside_the_bot_is_no_copy(office: Office) -> None:
    await office.own_posts.ready(ME)
    elsewhere(office, "By hand", to="")
    elsewhere(office, "By hand to somebody else", to="1999000000000000777")
    async with looking(office) as task:
        await wrote(office, 1)
        await until(lambda: office.own_posts._doubts[ME].is_first)
        assert not task.done()
    assert office.said == []


async def test_a_busy_account_is_looked_at_every_five_minutes(office: Office) -> None:
    async with looking(office):
        await wrote(office, 1)
        await until(lambda: office.own_posts._doubts[ME].is_first)
        for number in range(2, 30):
            office.clock.move(30)
            await office.outbox.perform(targeting(number))
        await until(lambda: own_reads(office) == 4)
        await turns(100)
    assert own_reads(office) == 4  # at the start, and three in 15 minutes


async def test_a_look_that_fails_is_not_the_end(office: Office) -> None:
    await office.own_posts.ready(ME)
    with capture_logs() as lines:
        async with looking(office) as task:
            office.x.reads = [TransportError("no", request="GET")]
            await wrote(office, 1)
            await until(lambda: any(line["event"] == "own_posts.later" for line in lines))
            assert not task.done()


async def test_a_look_that_finds_the_lease_gone_ends(office: Office) -> None:
    await office.own_posts.ready(ME)
    async with looking(office) as task:
        office.x.reads = [LeaseLost("gone")]
        await wrote(office, 1)
        with pytest.raises(LeaseLost, match="gone"):
            await task


async def test_without_somebody_to_tell_it_is_logged(office: Office) -> None:
    elsewhere(office, "One")
    quiet = OwnPosts(
        store=office.store, sender=office.x, clock=office.clock, fence=lambda: office.lease
    )
    with capture_logs() as lines:
        await quiet.ready(ME)
    assert [line["event"] for line in lines] == ["store.behind"]


def far_behind(office: Office, *, shown: int = write_lookup._NEAR_REACH) -> None:
    """The account has written more, and not through this store, than X shows."""
    for n in range(shown):
        elsewhere(office, f"Number {n}", to="")
    office.clock.move(60)


def before(office: Office) -> datetime:
    return office.clock.now() - timedelta(hours=1)


async def refusal(office: Office, step: Step) -> AlreadyReplied:
    with pytest.raises(AlreadyReplied) as refused:
        await office.outbox.perform(step)
    return refused.value


async def test_what_x_does_not_show_any_more_may_have_been_answered_and_is_refused(
    office: Office,
) -> None:
    far_behind(office)
    step = reply_step(happened_at=before(office))
    refused = await refusal(office, step)
    assert str(refused).startswith(f"Post {step.target} may have been answered or posted by 2026")
    assert "`botkit events gaps --close 1`" in refused.hint
    assert (await office.row(step)).state is WriteState.REJECTED
    assert "This may have been" in str(
        await refusal(office, post_step(event_key="tick/morning/1", happened_at=before(office)))
    )
    assert office.x.sent == []


async def test_what_happened_after_the_oldest_post_that_x_shows_is_answered(
    office: Office,
) -> None:
    far_behind(office)
    step = reply_step(happened_at=office.clock.now())
    assert (await office.outbox.perform(step)).state is WriteState.CONFIRMED
    other = post_step("Without an event", event_key="", happened_at=None)
    assert (await office.outbox.perform(other)).state is WriteState.CONFIRMED


async def test_what_x_shows_is_the_result_however_far_behind_the_store_is(office: Office) -> None:
    there = elsewhere(office, "An answer of another text")
    far_behind(office)
    write = await office.outbox.perform(reply_step(happened_at=before(office)))
    assert write.result_id == there


async def test_the_next_process_refuses_it_too_and_opens_no_second_gap(office: Office) -> None:
    far_behind(office)
    refused = reply_step(happened_at=before(office))
    await refusal(office, refused)
    office.start()
    await refusal(
        office, reply_step(to=mention("1999000000000000501"), happened_at=before(office))
    )
    (gap,) = await office.store.progress.gaps()
    assert (gap.source, gap.state, gap.cause) == ("own_posts", "open", "reach")
    assert gap.until is not None
    assert gap.since <= gap.until


async def test_a_gap_that_was_opened_before_a_kill_is_not_opened_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(account_id: str, strange: list[Post]) -> None:
        raise StoreUnavailable("killed")

    far_behind(office)
    with monkeypatch.context() as dying:
        dying.setattr(office.outbox.own_posts, "_keep", die)
        with pytest.raises(StoreUnavailable):
            await office.outbox.own_posts.ready(ME)
    office.start()
    await office.outbox.own_posts.ready(ME)
    assert len(await office.store.progress.gaps()) == 1


async def test_a_person_lets_it_be_answered_by_running_it_again_or_closing_the_gap(
    office: Office,
) -> None:
    far_behind(office)
    step = reply_step(happened_at=before(office))
    await refusal(office, step)
    again = msgspec.structs.replace(step, run=1)
    assert (await office.outbox.perform(again)).state is WriteState.CONFIRMED
    (gap,) = await office.store.progress.gaps()
    await office.store.progress.change_gap(msgspec.structs.replace(gap, state="given up"))
    other = reply_step(to=mention("1999000000000000502"), happened_at=before(office))
    assert (await office.outbox.perform(other)).state is WriteState.CONFIRMED


async def test_fewer_posts_than_x_shows_leave_no_gap(office: Office) -> None:
    far_behind(office, shown=write_lookup._NEAR_REACH - 1)
    await office.outbox.own_posts.ready(ME)
    assert await office.store.progress.gaps() == []
