"""Uncertain writes are settled by reading, however often the process dies meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from botkit.errors import (
    BadRequest,
    Conflict,
    LeaseLost,
    Parked,
    RateLimited,
    StoreUnavailable,
    TransportError,
)
from botkit.model.posts import Post
from botkit.model.records import Fence, StoredWrite, WriteMove, WritePolicy, WriteState
from botkit.protocol.api.requests import Request
from botkit.protocol.api.responses import Response
from botkit.runtime.writes.steps import Step
from botkit.runtime.writes.write_outcomes import DUPLICATE
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
    turn,
)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as office:
        yield office


async def doubt(office: Office, step: Step, *told: Any) -> None:
    """Send it with an unknown outcome: `LOST` unless told otherwise."""
    office.x.script = list(told or [LOST])
    with pytest.raises(Parked):
        await office.outbox.perform(step)
    assert await office.state(step) is WriteState.UNCERTAIN


def seconds(row: StoredWrite) -> float:
    assert row.next_read_at is not None
    return (row.next_read_at - T0).total_seconds()


def shown(text: str, **more: Any) -> dict[str, Any]:
    """A post on the timeline that no step of the test made."""
    return {"id": "1999000000000009001", "text": text, "author_id": ME} | more


async def test_a_write_on_the_timeline_is_confirmed_and_its_event_goes_on(office: Office) -> None:
    step = post_step()
    await doubt(office, step)
    await park(office, f"write/{step.id}")
    assert await office.reconciler.settle_due() == 5.0
    assert office.x.looked == []
    office.clock.move(5)
    await office.reconciler.settle_due()
    row = await office.row(step)
    assert (row.state, row.result_id) == (WriteState.CONFIRMED, office.x.posts[0]["id"])
    assert msgspec.json.decode(row.result or b"", type=Post).text == "Good morning"
    assert await parked(office) == 0
    assert office.settled == 1
    assert await office.reconciler.settle_due() is None


async def test_reads_come_5_15_60_and_180_s_after_the_sending(office: Office) -> None:
    step = post_step()
    await doubt(office, step, RESET)
    planned = []
    while await office.state(step) is WriteState.UNCERTAIN:
        planned.append(seconds(await office.row(step)))
        office.clock.current = T0 + timedelta(seconds=planned[-1])
        await office.reconciler.settle_due()
    assert planned == [5, 15, 60, 180]
    row = await office.row(step)
    assert row.state is WriteState.QUEUED
    assert row.reason == "absent: two clean reads did not show it"


async def test_absence_needs_two_clean_reads_60_s_apart_the_last_2_min_after_the_send(
    office: Office,
) -> None:
    step = post_step()
    await doubt(office, step, RESET)
    office.x.reads = [server_error(), server_error(), server_error(), server_error()]
    for at in (5, 15, 60, 180):
        office.clock.current = T0 + timedelta(seconds=at)
        await office.reconciler.settle_due()
        assert await office.state(step) is WriteState.UNCERTAIN
    first_clean = seconds(await office.row(step))
    assert first_clean == 360
    office.clock.current = T0 + timedelta(seconds=first_clean)
    await office.reconciler.settle_due()
    assert await office.state(step) is WriteState.UNCERTAIN
    assert seconds(await office.row(step)) == first_clean + 60
    office.clock.move(60)
    await office.reconciler.settle_due()
    assert await office.state(step) is WriteState.QUEUED


@pytest.mark.parametrize(
    ("later_s", "state"), [(3600, WriteState.UNRESOLVED), (-121, WriteState.QUEUED)]
)
async def test_a_post_that_x_does_not_show_any_more_is_not_taken_for_absent(
    later_s: float, state: WriteState, office: Office
) -> None:
    step = post_step()
    await doubt(office, step, RESET)
    made = T0 + timedelta(seconds=later_s)
    office.x.posts = [
        {
            "id": str(2000000000000000000 + n),
            "text": f"Number {n}",
            "author_id": ME,
            "created_at": made.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        }
        for n in range(2800)
    ]
    office.x.page_size = 1400
    office.clock.current = T0 + timedelta(seconds=4000)
    await office.reconciler.settle_due()
    office.clock.move(60)
    await office.reconciler.settle_due()
    row = await office.row(step)
    assert row.state is state
    if state is WriteState.UNRESOLVED:
        assert row.reason == "X shows an account's newest 3,200 posts, this is older"


async def test_a_read_for_another_row_proves_no_absence_within_2_min(office: Office) -> None:
    step = post_step()
    await doubt(office, step, RESET)
    office.clock.move(5)
    await office.reconciler.settle_due()
    office.clock.move(65)
    other = post_step("Another", n=1)
    await office.store.writes.begin(other.to_write(), now=office.clock.now(), fence=office.lease)
    await office.outbox.recover()
    await office.reconciler.settle_due()
    row = await office.row(step)
    assert (row.state, row.clean_reads) == (WriteState.UNCERTAIN, 2)


@pytest.mark.parametrize(
    "unclean",
    [
        Response(status=200, data=[], errors=({"title": "Not Found Error"},)),
        Response(status=200, data=[{"text": "no id"}]),
        Response(status=200, data=[], meta={"next_token": 7}),
        TransportError("no route"),
        BadRequest("no", status=400),
        Parked("login"),
    ],
)
async def test_a_reading_with_a_hole_proves_nothing(office: Office, unclean: Any) -> None:
    step = post_step()
    await doubt(office, step, RESET)
    for at in (5, 15, 60, 180, 600):
        office.clock.current = T0 + timedelta(seconds=at)
        office.x.reads = [unclean]
        await office.reconciler.settle_due()
    row = await office.row(step)
    assert (row.state, row.clean_reads) == (WriteState.UNCERTAIN, 0)


async def test_a_hole_does_not_hide_what_is_shown(office: Office) -> None:
    step = post_step()
    await doubt(office, step, RESET)
    office.clock.move(5)
    found = shown("Good morning")
    office.x.reads = [
        Response(status=200, data=[found], meta={"next_token": "2"}),
        server_error(),
    ]
    await office.reconciler.settle_due()
    assert (await office.row(step)).result_id == found["id"]


async def test_a_page_token_that_repeats_ends_the_reading_and_proves_nothing(
    office: Office,
) -> None:
    step = post_step()
    await doubt(office, step, RESET)
    office.clock.move(5)
    office.x.reads = [Response(status=200, data=[], meta={"next_token": "x"}) for _ in range(9)]
    await office.reconciler.settle_due()
    assert len(office.x.looked) == 2
    assert (await office.row(step)).clean_reads == 0


async def test_failing_reads_come_ever_more_slowly_and_after_a_day_a_person_decides(
    office: Office,
) -> None:
    step = post_step()
    await doubt(office, step, RESET)
    office.x.reads = [server_error() for _ in range(200)]
    spans = []
    while await office.state(step) is WriteState.UNCERTAIN:
        before = office.clock.now()
        row = await office.row(step)
        assert row.next_read_at is not None
        spans.append((row.next_read_at - before).total_seconds())
        office.clock.current = row.next_read_at
        await office.reconciler.settle_due()
    assert spans[:9] == [5, 10, 45, 120, 180, 180, 360, 720, 900]
    assert len(office.x.looked) < 120
    row = await office.row(step)
    assert row.state is WriteState.UNRESOLVED
    assert "could not be read" in row.reason


async def test_after_a_day_to_the_second_a_person_decides(office: Office) -> None:
    step = post_step()
    await doubt(office, step, RESET)
    office.x.reads = [server_error() for _ in range(20)]
    while (await office.row(step)).reads < 8:
        office.clock.current = (await office.row(step)).next_read_at or office.clock.current
        await office.reconciler.settle_due()
    sent = (await office.row(step)).last_sent_at
    assert sent is not None
    office.clock.current = sent + timedelta(days=1)
    await office.reconciler.settle_due()
    assert await office.state(step) is WriteState.UNRESOLVED


async def test_a_read_for_another_row_does_not_put_off_the_one_that_proves_absence(
    office: Office,
) -> None:
    step, sent = post_step(), office.clock.now()
    await doubt(office, step, RESET)
    office.x.reads = [server_error() for _ in range(3)]
    for at_s in (5, 15, 60, 180):
        office.clock.current = sent + timedelta(seconds=at_s)
        await office.reconciler.settle_due()
    await doubt(office, post_step("another", n=1), RESET)
    office.clock.move(5)
    await office.reconciler.settle_due()
    row = await office.row(step)
    assert (row.clean_reads, row.next_read_at) == (2, sent + timedelta(seconds=240))


async def test_a_write_that_waited_for_days_is_read_before_it_is_given_up(office: Office) -> None:
    step = post_step()
    office.x.carry_out(step.request)
    await office.store.writes.begin(step.to_write(), now=T0, fence=office.lease)
    office.clock.move(timedelta(days=3).total_seconds())
    await office.outbox.recover()
    office.x.reads = [server_error()]
    await office.reconciler.settle_due()
    assert await office.state(step) is WriteState.UNCERTAIN
    await office.read_until_settled()
    assert await office.state(step) is WriteState.CONFIRMED


@pytest.mark.parametrize("kind", ["limited", "parked"])
async def test_a_read_that_has_to_wait_is_not_tried_before(office: Office, kind: str) -> None:
    step = post_step()
    await doubt(office, step, RESET)
    office.clock.move(5)
    until = T0 + timedelta(seconds=600)
    limited = RateLimited("slow down", status=429)
    limited.retry_at = until
    office.x.reads = [limited if kind == "limited" else Parked("rate", until=until)]
    await office.reconciler.settle_due()
    assert seconds(await office.row(step)) == 600


async def test_a_process_that_is_killed_every_second_still_reaches_absent(office: Office) -> None:
    step = post_step()
    await doubt(office, step, RESET)
    for _ in range(200):
        await office.crash()
        await office.outbox.recover()
        await office.reconciler.settle_due()
        if await office.state(step) is not WriteState.UNCERTAIN:
            break
        office.clock.move(1)
    assert await office.state(step) is WriteState.QUEUED
    assert len(office.x.looked) == 4


async def test_after_a_long_stop_absence_is_proven_in_two_reads_a_minute_apart(
    office: Office,
) -> None:
    step = post_step()
    await office.store.writes.begin(step.to_write(), now=T0, fence=office.lease)
    office.clock.move(7200)
    await office.outbox.recover()
    await office.read_until_settled()
    assert await office.state(step) is WriteState.QUEUED
    assert len(office.x.looked) == 2
    assert office.clock.now() - T0 == timedelta(seconds=7260)


async def test_one_read_of_an_account_serves_all_its_rows(office: Office) -> None:
    steps = [post_step(f"text {n}", n=n) for n in range(4)]
    for step in steps:
        await doubt(office, step)
        office.clock.move(1)
    other = post_step(account_id="42")
    await doubt(office, other)
    office.clock.current = T0 + timedelta(seconds=5)
    await office.reconciler.settle_due()
    (read,) = office.x.looked
    assert read.path == f"/2/users/{ME}/tweets"
    assert dict(read.query)["start_time"] == "2026-11-23T12:28:00Z"  # for the one sent first
    assert {await office.state(step) for step in steps} == {WriteState.CONFIRMED}
    assert await office.state(other) is WriteState.UNCERTAIN


async def test_a_timeline_of_many_pages_is_read_to_its_end(office: Office) -> None:
    step = post_step()
    await doubt(office, step)
    for n in range(5):
        office.x.carry_out(post_step(f"noise {n}").request)
    office.x.page_size = 2
    office.clock.move(5)
    await office.reconciler.settle_due()
    assert len(office.x.looked) == 3
    assert await office.state(step) is WriteState.CONFIRMED


async def test_a_post_of_another_write_does_not_count(office: Office) -> None:
    first = post_step()
    await office.outbox.perform(first)
    second = post_step(n=1)
    await office.store.writes.begin(second.to_write(), now=office.clock.now(), fence=office.lease)
    await office.outbox.recover()
    await office.read_until_settled()
    assert await office.state(second) is WriteState.QUEUED


async def test_a_post_from_long_before_the_sending_does_not_count(office: Office) -> None:
    office.x.carry_out(post_step().request)
    office.clock.move(600)
    step = post_step()
    await doubt(office, step, RESET)
    old = post_step("of long ago", n=1)
    await office.store.writes.begin(old.to_write(), now=T0, fence=office.lease)
    await office.store.writes.move(
        old.id,
        WriteMove(to=WriteState.UNCERTAIN, reason="?", next_read_at=office.clock.now()),
        now=T0,
        fence=office.lease,
    )
    await office.reconciler.settle_due()
    assert await office.state(step) is WriteState.UNCERTAIN


async def test_a_post_from_before_the_sending_does_not_count_for_a_write_that_waited_for_it(
    office: Office,
) -> None:
    step = post_step()
    await office.store.writes.put_aside(
        step.to_write(), WriteState.QUEUED, reason="not now", now=T0, fence=office.lease
    )
    office.clock.move(1800)
    office.x.carry_out(step.request)  # by hand, before botkit sent anything
    office.clock.move(1800)
    await doubt(office, step, RESET)
    row = await office.row(step)
    assert (row.created_at, row.first_sent_at) == (T0, T0 + timedelta(hours=1))
    await office.read_until_settled()
    assert await office.state(step) is WriteState.QUEUED


async def test_a_reply_counts_only_under_its_target(office: Office) -> None:
    elsewhere = mention("1999000000000000501")
    office.x.carry_out(reply_step(to=elsewhere).request)
    step = reply_step()
    await doubt(office, step, RESET)
    await office.read_until_settled()
    assert await office.state(step) is WriteState.QUEUED


async def test_a_write_carried_out_twice_is_confirmed_once_and_the_other_reported(
    office: Office,
) -> None:
    step = post_step()
    await doubt(office, step)
    office.x.carry_out(step.request)
    office.clock.move(5)
    await office.reconciler.settle_due()
    first, second = office.x.posts
    assert (await office.row(step)).result_id == first["id"]
    assert [(part, state) for part, state, _ in office.said] == [(f"write/{step.id}", "twice")]
    assert second["id"] in office.said[0][2]
    office.reconciler._report = None
    office.reconciler._report_twice(await office.row(step), [Post(id="1", text="")])
    assert len(office.said) == 1


async def test_two_messages_of_one_text_are_two_messages(office: Office) -> None:
    first, second = message_step("ok"), message_step("ok", n=1)
    await doubt(office, first)
    await doubt(office, second)
    office.clock.move(5)
    await office.reconciler.settle_due()
    found = {(await office.row(step)).result_id for step in (first, second)}
    assert found == {post["id"] for post in office.x.posts}
    assert office.said == []


async def test_what_may_be_of_a_write_under_way_is_not_given_to_another(office: Office) -> None:
    first, second = message_step("ok"), message_step("ok", n=1)
    await doubt(office, first, RESET)
    await office.store.writes.begin(second.to_write(), now=office.clock.now(), fence=office.lease)
    office.x.carry_out(second.request)
    office.clock.move(5)
    await office.reconciler.settle_due()
    row = await office.row(first)
    assert (row.state, row.reads, row.clean_reads) == (WriteState.UNCERTAIN, 1, 0)
    await office.store.writes.move(
        second.id,
        WriteMove(to=WriteState.CONFIRMED, result_id=office.x.posts[0]["id"], result=b"{}"),
        now=office.clock.now(),
        fence=office.lease,
    )
    await office.read_until_settled()
    assert await office.state(first) is WriteState.QUEUED


async def test_eight_accounts_at_most_are_read_at_a_time(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    for account in range(9):
        await doubt(office, post_step(account_id=str(account)))
    reading: list[str] = []
    most: list[int] = []
    real = office.x.send

    async def send(request: Request, *, account_id: str = "") -> Response:
        reading.append(account_id)
        most.append(len(reading))
        await turn()
        reading.remove(account_id)
        return await real(request, account_id=account_id)

    monkeypatch.setattr(office.x, "send", send)
    office.clock.move(5)
    await office.reconciler.settle_due()
    assert (len(most), max(most)) == (9, 8)


async def test_what_may_be_sent_twice_is_sent_again_without_reading(office: Office) -> None:
    same = ("hidePostsReply", "repostPost", "unrepostPost")
    steps = [
        delete_step(),
        post_step(policy=WritePolicy.RESEND),
        *(msgspec.structs.replace(delete_step(), operation=each, handler=each) for each in same),
    ]
    for step in steps:
        await office.store.writes.begin(step.to_write(), now=T0, fence=office.lease)
    await office.outbox.recover()
    await office.reconciler.settle_due()
    assert {await office.state(step) for step in steps} == {WriteState.QUEUED}
    assert office.x.looked == []


async def test_a_duplicate_that_may_be_sent_twice_is_read_all_the_same(office: Office) -> None:
    step = post_step(policy=WritePolicy.RESEND)
    await doubt(office, step, duplicate())
    assert (await office.row(step)).reason == DUPLICATE
    await office.read_until_settled()
    assert await office.state(step) is WriteState.REJECTED


async def test_a_clock_that_was_set_back_does_not_stop_the_reading(office: Office) -> None:
    step = post_step()
    await doubt(office, step)
    office.clock.move(-7200)
    await office.reconciler.settle_due()
    assert len(office.x.looked) == 1


async def test_the_wait_for_the_next_read_is_bounded(office: Office) -> None:
    step = post_step()
    await doubt(office, step, RESET)
    office.clock.move(5)
    office.x.reads = [Parked("rate", until=T0 + timedelta(days=1))]
    await office.reconciler.settle_due()
    assert seconds(await office.row(step)) == 3605
    assert await office.reconciler.settle_due() == 300


async def test_a_runner_without_its_lease_settles_nothing(office: Office) -> None:
    step = post_step()
    await doubt(office, step)
    office.clock.move(5)
    office.lease = Fence("runner", "tester", 99)
    with pytest.raises(LeaseLost):
        await office.reconciler.settle_due()
    assert await office.state(step) is WriteState.UNCERTAIN


async def test_the_fault_of_one_account_does_not_keep_another_from_being_settled(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = post_step(), post_step(account_id="42")
    await doubt(office, mine)
    await doubt(office, other)
    office.clock.move(5)
    real = office.store.writes.move

    async def move(write_id: str, *how: Any, **more: Any) -> None:
        if write_id == mine.id:
            raise Conflict("a person settled it meanwhile")
        await real(write_id, *how, **more)

    monkeypatch.setattr(office.store.writes, "move", move)
    with pytest.raises(Conflict):
        await office.reconciler.settle_due()
    assert await office.state(other) is WriteState.CONFIRMED


async def test_a_reading_that_the_store_refuses_is_no_reading(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = post_step()
    await doubt(office, step, RESET)
    office.clock.move(5)
    office.x.reads = [StoreUnavailable("the token store is locked")]
    with pytest.raises(StoreUnavailable):
        await office.reconciler.settle_due()
    assert (await office.row(step)).reads == 0


async def test_it_runs_until_all_is_settled_and_wakes_for_more(office: Office) -> None:
    running = office.spawn(office.reconciler.run())
    for n in range(2):
        step = post_step(f"text {n}", n=n)
        await doubt(office, step)
        while office.settled != n + 1:
            await turn()
        assert await office.state(step) is WriteState.CONFIRMED
    assert not running.done()


async def test_it_waits_for_the_store_and_goes_on(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = post_step()
    await doubt(office, step)
    real = office.store.writes.listing
    failures = [StoreUnavailable("locked"), StoreUnavailable("locked")]

    async def listing(**more: Any) -> list[StoredWrite]:
        if failures:
            raise failures.pop()
        return await real(**more)

    monkeypatch.setattr(office.store.writes, "listing", listing)
    office.spawn(office.reconciler.run())
    while await office.state(step) is not WriteState.CONFIRMED:
        await turn()
    assert office.clock.slept[:2] == [5.0, 5.0]


async def test_nobody_needs_to_be_told_that_a_write_is_settled(office: Office) -> None:
    step = post_step()
    await doubt(office, step)
    office.reconciler._on_settled = None
    office.clock.move(5)
    await office.reconciler.settle_due()
    assert await office.state(step) is WriteState.CONFIRMED
    assert office.settled == 0
