"""A write is in the journal before its bytes leave, and no step is sent twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from botkit.errors import (
    AlreadyReplied,
    DuplicateText,
    Forbidden,
    InvalidGrant,
    MissingScope,
    NotDeclared,
    NotFound,
    Parked,
    PaymentRequired,
    RateLimited,
    TransportError,
    Unauthorized,
)
from botkit.model.messages import Message
from botkit.model.posts import Post
from botkit.model.records import (
    DeadLetter,
    Fence,
    NewEvent,
    NewWrite,
    RunDead,
    StoredWrite,
    WriteMove,
    WritePolicy,
    WriteState,
)
from botkit.model.tokens import CredentialKind
from botkit.protocol.api.responses import Response
from botkit.runtime.writes.steps import Step
from tests.unit.runtime.writing import (
    LOST,
    ME,
    RESET,
    T0,
    Office,
    delete_step,
    duplicate,
    mention,
    message_step,
    open_office,
    park,
    parked,
    post_step,
    reply_step,
    server_error,
    suspended,
    usd,
)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as office:
        yield office


async def waits(office: Office, step: Step) -> Parked:
    with pytest.raises(Parked) as raised:
        await office.outbox.perform(step)
    return raised.value


async def test_a_reply_is_sent_and_gives_the_post_that_x_made(office: Office) -> None:
    step = reply_step()
    write = await office.outbox.perform(step)
    made = msgspec.json.decode(write.result or b"", type=Post)
    assert (made.id, made.text) == (office.x.posts[0]["id"], "Hello @ada!")
    assert made.author_id == ME
    assert made.in_reply_to_post_id == step.target
    assert made.conversation_id == step.target
    stored = await office.row(step)
    assert (stored.state, stored.result) == (WriteState.CONFIRMED, write.result)
    assert [attempt.outcome for attempt in stored.attempts] == ["confirmed"]
    assert office.wrote[0].result_id == made.id
    assert office.wrote[0].verdict.summons == "yes"


async def test_a_post_is_the_first_of_its_own_conversation(office: Office) -> None:
    write = await office.outbox.perform(post_step())
    made = msgspec.json.decode(write.result or b"", type=Post)
    assert made.conversation_id == made.id
    assert made.in_reply_to_post_id is None


async def test_a_message_gives_the_message_that_x_made(office: Office) -> None:
    write = await office.outbox.perform(message_step())
    made = msgspec.json.decode(write.result or b"", type=Message)
    assert (made.id, made.text, made.sender_id) == (write.result_id, "One moment", ME)


async def test_nobody_needs_to_watch(office: Office) -> None:
    office.outbox._on_wrote = None
    assert (await office.outbox.perform(post_step())).state is WriteState.CONFIRMED
    assert office.wrote == []


async def test_the_row_is_sending_while_the_bytes_are_on_their_way(office: Office) -> None:
    office.x.gate = asyncio.Event()
    step = reply_step()
    handler = office.spawn(office.outbox.perform(step))
    await office.x.asked.wait()
    assert await office.state(step) is WriteState.SENDING
    office.x.gate.set()
    await handler
    assert await office.state(step) is WriteState.CONFIRMED


async def test_a_step_that_happened_returns_what_it_returned_whatever_the_text_is_now(
    office: Office,
) -> None:
    first = await office.outbox.perform(reply_step("Hello @ada!"))
    office.start()
    again = await office.outbox.perform(reply_step("Another text"))
    assert again.result == first.result
    assert len(office.x.sent) == 1


async def test_of_two_replies_to_one_interaction_side_by_side_one_is_sent(office: Office) -> None:
    first, second = reply_step("Hello"), reply_step("Hello again", n=1)
    outcomes = await asyncio.gather(
        office.outbox.perform(first), office.outbox.perform(second), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, AlreadyReplied)]
    assert len(refused) == 1
    assert len(office.x.posts) == 1
    states = {await office.state(first), await office.state(second)}
    assert states == {WriteState.CONFIRMED, WriteState.REJECTED}


async def test_one_text_side_by_side_is_sent_once(office: Office) -> None:
    steps = [post_step(n=n) for n in range(3)]
    outcomes = await asyncio.gather(
        *(office.outbox.perform(step) for step in steps), return_exceptions=True
    )
    assert sum(isinstance(outcome, DuplicateText) for outcome in outcomes) == 2
    assert len(office.x.posts) == 1


async def test_no_lock_is_kept_for_what_is_over(office: Office) -> None:
    await asyncio.gather(*(office.outbox.perform(post_step(f"text {n}", n=n)) for n in range(5)))
    assert len(office.guard._lock) == 0
    assert office.outbox._sends == {}


async def test_a_refusal_of_the_guard_is_raised_again_though_the_reason_is_gone(
    office: Office,
) -> None:
    await office.outbox.perform(post_step())
    again = post_step(n=1)
    with pytest.raises(DuplicateText) as first:
        await office.outbox.perform(again)
    office.clock.move(timedelta(days=2).total_seconds())
    office.start()
    with pytest.raises(DuplicateText) as second:
        await office.outbox.perform(again)
    assert str(second.value) == str(first.value)
    row = await office.row(again)
    assert (row.state, row.attempts) == (WriteState.REJECTED, ())
    assert len(office.x.sent) == 1


async def test_an_event_that_a_person_retries_asks_again_what_was_refused(office: Office) -> None:
    step = reply_step()
    event = NewEvent(
        account_id=ME, key=step.event_key, kind="mention", lane="l", body=b"{}", at=T0
    )
    (seq,) = await office.store.events.append([event])
    assert seq is not None
    office.x.holdings = {CredentialKind.OAUTH2: ("tweet.read", "users.read")}
    with pytest.raises(MissingScope):
        await office.outbox.perform(step)
    letter = DeadLetter(
        account_id=ME,
        key=step.event_key,
        kind="mention",
        reason="refused",
        error="",
        trace="",
        handler="greet",
        attempts=1,
        at=T0,
    )
    await office.store.events.settle([RunDead(seq=seq, letter=letter)], fence=office.lease)
    office.x.holdings = {CredentialKind.OAUTH2: ("tweet.read", "tweet.write", "users.read")}
    with pytest.raises(MissingScope):
        await office.outbox.perform(step)
    await office.store.events.revive(ME, step.event_key)
    assert (await office.outbox.perform(step)).state is WriteState.CONFIRMED


async def test_what_a_person_cancelled_stays_cancelled(office: Office) -> None:
    office.x.script = [TransportError("no route", kind="connect")]
    step = reply_step()
    await waits(office, step)
    await office.store.writes.move(
        step.id, WriteMove(to=WriteState.REJECTED, reason="cancelled by the operator"), now=T0
    )
    with pytest.raises(Forbidden, match="cancelled by the operator"):
        await office.outbox.perform(step)


async def test_a_capability_that_is_not_declared_sends_nothing(office: Office) -> None:
    office.may = frozenset({"post"})
    office.start()
    with pytest.raises(NotDeclared):
        await office.outbox.perform(reply_step())
    assert office.x.sent == []


async def test_a_final_no_of_x_is_raised_now_and_in_every_later_run(office: Office) -> None:
    no = Forbidden(
        "You may not reply.",
        request="POST /2/tweets",
        status=403,
        title="Forbidden",
        detail="not allowed",
        problem_type="about:blank",
        codes=(433,),
        hint="The author restricted who may reply.",
    )
    office.x.script = [no]
    step = reply_step()
    with pytest.raises(Forbidden) as first:
        await office.outbox.perform(step)
    assert first.value is no
    office.start()
    with pytest.raises(Forbidden) as second:
        await office.outbox.perform(step)
    assert vars(second.value) == vars(no)
    assert str(second.value) == str(no)
    assert len(office.x.sent) == 1


async def test_a_lost_answer_parks_and_the_timeline_confirms_it(office: Office) -> None:
    office.x.script = [LOST]
    step = reply_step()
    parked_for = await waits(office, step)
    assert parked_for.waiting_for == f"write/{step.id}"
    assert await office.state(step) is WriteState.UNCERTAIN
    await office.read_until_settled()
    write = await office.outbox.perform(step)
    assert write.result_id == office.x.posts[0]["id"]
    assert len(office.x.sent) == 1


async def test_an_uncertain_write_waits_at_least_until_its_next_read(office: Office) -> None:
    office.x.script = [RESET]
    step = reply_step()
    await waits(office, step)
    for _ in range(3):
        office.clock.move(await office.reconciler.settle_due() or 0.0)
        await office.reconciler.settle_due()
    row = await office.row(step)
    assert row.next_read_at is not None
    again = await waits(office, step)
    assert again.until is not None
    assert again.until > row.next_read_at
    assert len(office.x.sent) == 1


async def test_a_write_that_did_not_happen_is_sent_again_by_policy(office: Office) -> None:
    office.x.script = [RESET]
    step = reply_step()
    await waits(office, step)
    await office.read_until_settled()
    assert await office.state(step) is WriteState.QUEUED
    write = await office.outbox.perform(step)
    assert [post["id"] for post in office.x.posts] == [write.result_id]
    assert len(write.attempts) == 2


async def test_under_hold_a_write_that_is_not_shown_waits_for_a_person(office: Office) -> None:
    office.x.script = [RESET]
    step = reply_step(policy=WritePolicy.HOLD)
    await waits(office, step)
    await office.read_until_settled()
    assert await office.state(step) is WriteState.UNRESOLVED
    held = await waits(office, step)
    assert held.waiting_for == f"write/{step.id}"
    assert held.until == office.clock.now() + timedelta(hours=1)
    assert len(office.x.sent) == 1


async def test_under_resend_an_unknown_outcome_is_sent_again_without_reading(
    office: Office,
) -> None:
    office.x.script = [RESET]
    step = reply_step(policy=WritePolicy.RESEND)
    assert (await waits(office, step)).waiting_for == "network"
    assert await office.state(step) is WriteState.QUEUED
    await office.outbox.perform(step)
    assert office.x.looked == []
    assert len(office.x.posts) == 1


async def test_a_delete_is_sent_again_without_reading_and_gone_is_done(office: Office) -> None:
    office.x.script = [server_error(), NotFound("gone", status=404)]
    step = delete_step()
    assert (await waits(office, step)).waiting_for == "network"
    write = await office.outbox.perform(step)
    assert (write.state, write.result_id) == (WriteState.CONFIRMED, step.target)
    assert office.x.looked == []


async def test_a_delete_that_x_carries_out_is_done(office: Office) -> None:
    write = await office.outbox.perform(delete_step())
    assert write.state is WriteState.CONFIRMED


async def test_a_reply_to_a_post_that_is_gone_is_refused(office: Office) -> None:
    office.x.script = [NotFound("gone", status=404)]
    step = reply_step()
    with pytest.raises(NotFound):
        await office.outbox.perform(step)
    assert await office.state(step) is WriteState.REJECTED


async def test_a_duplicate_after_a_lost_answer_is_found_and_confirmed(office: Office) -> None:
    office.x.script = [LOST, duplicate()]
    step = reply_step(policy=WritePolicy.RESEND)
    await waits(office, step)
    assert (await waits(office, step)).waiting_for == f"write/{step.id}"
    await office.read_until_settled()
    write = await office.outbox.perform(step)
    assert [post["id"] for post in office.x.posts] == [write.result_id]
    assert len(office.x.sent) == 2


@pytest.mark.parametrize("policy", list(WritePolicy))
async def test_a_duplicate_that_is_not_ours_is_refused_and_never_loops(
    office: Office, policy: WritePolicy
) -> None:
    office.x.script = [duplicate()]
    step = post_step(policy=policy)
    await waits(office, step)
    await office.read_until_settled()
    with pytest.raises(Forbidden) as refused:
        await office.outbox.perform(step)
    assert refused.value.codes == (187,)
    assert "Change the text" in str(refused.value)
    assert len(office.x.sent) == 1


@pytest.mark.parametrize(
    ("error", "waiting_for"),
    [
        (TransportError("refused", kind="connect"), "network"),
        (PaymentRequired("no credits", status=402), "credits"),
        (Unauthorized("dead", status=401), "login"),
        (InvalidGrant("dead"), "login"),
        (RateLimited("slow down", status=429), "rate"),
        (Parked("rate"), "rate"),
        (Parked("login"), "login"),
    ],
)
async def test_what_was_surely_not_sent_is_queued_and_sent_when_it_may(
    office: Office, error: BaseException, waiting_for: str
) -> None:
    office.x.script = [error]
    step = reply_step()
    assert (await waits(office, step)).waiting_for == waiting_for
    assert await office.state(step) is WriteState.QUEUED
    assert (await office.outbox.perform(step)).state is WriteState.CONFIRMED
    assert len(office.x.posts) == 1
    assert await office.budget.spent(ME) == (usd("0.010"), usd("0.010"))


async def test_a_429_with_a_time_waits_until_then(office: Office) -> None:
    limited = RateLimited("slow down", status=429)
    limited.retry_at = T0 + timedelta(seconds=30)
    office.x.script = [limited]
    parked = await waits(office, reply_step())
    assert (parked.waiting_for, parked.until) == ("rate", limited.retry_at)


async def test_429s_without_a_time_wait_longer_each_time(office: Office) -> None:
    limited = [RateLimited("slow down", status=429) for _ in range(3)]
    office.x.script = [*limited, TransportError("refused"), RateLimited("again", status=429)]
    step = reply_step()
    spans = []
    for kind in ("rate", "rate", "rate", "network", "rate"):
        parked = await waits(office, step)
        assert parked.waiting_for == kind
        assert parked.until is not None
        spans.append((parked.until - office.clock.now()).total_seconds())
    assert spans[:3] == [60, 120, 240]
    assert spans[4] == 60


async def test_a_network_that_stays_down_is_tried_ever_more_slowly(office: Office) -> None:
    office.x.script = [TransportError("refused") for _ in range(9)]
    step = reply_step()
    spans = []
    for _ in range(9):
        until = (await waits(office, step)).until
        assert until is not None
        spans.append((until - office.clock.now()).total_seconds())
    assert spans[0] < 2
    assert all(45 <= span <= 75 for span in spans[6:])


async def test_a_suspended_account_stops_and_says_so_and_others_go_on(office: Office) -> None:
    office.x.script = [suspended()]
    stopped = await waits(office, post_step())
    assert (stopped.waiting_for, stopped.until) == ("account", T0 + timedelta(hours=1))
    assert await office.state(post_step()) is WriteState.QUEUED
    assert [(part, state) for part, state, _ in office.said] == [(f"account/{ME}", "stopped")]
    assert (await waits(office, post_step("Another", n=1))).waiting_for == "account"
    assert len(office.x.sent) == 1
    await office.outbox.perform(post_step(account_id="42"))
    assert len(office.x.sent) == 2


async def test_an_account_that_is_stopped_between_the_check_and_the_bytes_sends_nothing(
    office: Office,
) -> None:
    begin = office.store.writes.begin

    async def stopped_meanwhile(row: NewWrite, *, now: datetime, fence: Fence) -> StoredWrite:
        office.guard.health.stop(ME, "code 64")
        return await begin(row, now=now, fence=fence)

    office.store.writes.begin = stopped_meanwhile  # type: ignore[method-assign]
    waiting = await waits(office, post_step())
    assert (waiting.waiting_for, waiting.until) == ("account", T0 + timedelta(hours=1))
    assert await office.state(post_step()) is WriteState.QUEUED
    assert office.x.sent == []


async def test_a_login_that_lacks_something_by_the_time_of_the_bytes_is_a_final_no(
    office: Office,
) -> None:
    denied = MissingScope(operation="createPosts", have=[], need=["tweet.write"], cure="setup")
    office.x.script = [denied]
    for _ in range(2):
        with pytest.raises(MissingScope) as raised:
            await office.outbox.perform(post_step())
        assert (raised.value.operation, raised.value.cure) == ("createPosts", "setup")
    assert await office.state(post_step()) is WriteState.REJECTED
    assert await office.budget.spent(ME) == (usd("0"), usd("0"))
    assert len(office.x.sent) == 1


async def test_one_write_tries_a_stopped_account_later_and_all_go_on_when_it_works(
    office: Office,
) -> None:
    office.x.script = [suspended()]
    await waits(office, post_step())
    await park(office, "account")
    office.clock.move(3600)
    office.x.gate = asyncio.Event()
    office.x.asked.clear()
    probe = office.spawn(office.outbox.perform(post_step()))
    await office.x.asked.wait()
    assert (await waits(office, post_step("Another", n=1))).waiting_for == "account"
    assert await parked(office) == 1
    office.x.gate.set()
    await probe
    assert await parked(office) == 0
    assert office.settled == 1
    assert office.said[-1] == (f"account/{ME}", "working", "")
    await office.outbox.perform(post_step("Another", n=1))


async def test_only_after_a_post_the_account_is_looked_at_for_posts_of_others(
    office: Office,
) -> None:
    for step in (message_step(), delete_step()):
        await office.outbox.perform(step)
    assert office.outbox.own_posts._due.empty()
    await office.outbox.perform(post_step())
    assert not office.outbox.own_posts._due.empty()


async def test_an_answer_without_an_id_is_an_unknown_outcome(office: Office) -> None:
    office.x.script = [Response(status=201, data={})]
    step = reply_step()
    await waits(office, step)
    row = await office.row(step)
    assert row.state is WriteState.UNCERTAIN
    assert "without the id" in row.reason


async def test_a_dry_run_sends_nothing_and_says_what_it_would_have_sent(office: Office) -> None:
    office.start(dry_run=True)
    post = await office.outbox.perform(post_step())
    assert msgspec.json.decode(post.result or b"", type=Post).text == "Good morning"
    message = await office.outbox.perform(message_step())
    assert msgspec.json.decode(message.result or b"", type=Message).text == "One moment"
    rows = await office.store.writes.listing()
    assert {(row.state, row.reason) for row in rows} == {(WriteState.EXPIRED, "dry run: not sent")}
    assert all(row.id.startswith("dry-run/") for row in rows)
    assert office.x.sent == []
    office.start()
    assert (await office.outbox.perform(post_step())).state is WriteState.CONFIRMED


async def test_a_dry_run_refuses_what_a_real_one_would(office: Office) -> None:
    office.start(dry_run=True)
    office.x.not_ready = Parked("login")
    assert (await waits(office, reply_step(to=mention()))).waiting_for == "login"
