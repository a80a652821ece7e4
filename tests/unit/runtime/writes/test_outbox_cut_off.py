"""Handlers, processes and stores that end in the middle of a send lose and double nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from botkit.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    LeaseLost,
    Parked,
    StoreUnavailable,
)
from botkit.model.records import (
    Fence,
    WriteMove,
    WriteState,
)
from botkit.runtime.writes.steps import Step
from tests.unit.runtime.writing import (
    LOST,
    ME,
    T0,
    Office,
    open_office,
    post_step,
    reply_step,
    turn,
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


async def test_a_handler_that_is_cancelled_does_not_cut_its_write(office: Office) -> None:
    office.x.gate = asyncio.Event()
    step = reply_step()
    handler = asyncio.get_running_loop().create_task(office.outbox.perform(step))
    await office.x.asked.wait()
    handler.cancel()
    with pytest.raises(asyncio.CancelledError):
        await handler
    again = office.spawn(office.outbox.perform(step))
    await turn()
    office.x.gate.set()
    await again
    assert await office.state(step) is WriteState.CONFIRMED
    assert len(office.x.sent) == 1


async def test_a_refusal_that_nobody_waits_for_any_more_is_on_record_and_harms_nothing(
    office: Office,
) -> None:
    office.x.gate = asyncio.Event()
    office.x.script = [Forbidden("no", status=403)]
    step = reply_step()
    handler = asyncio.get_running_loop().create_task(office.outbox.perform(step))
    await office.x.asked.wait()
    handler.cancel()
    await asyncio.gather(handler, return_exceptions=True)
    office.x.gate.set()
    await asyncio.gather(*office.tasks)
    assert await office.state(step) is WriteState.REJECTED
    with pytest.raises(Forbidden):
        await office.outbox.perform(step)
    assert len(office.x.sent) == 1


async def test_a_process_that_ends_while_it_sends_leaves_an_uncertain_write(
    office: Office,
) -> None:
    office.x.gate = asyncio.Event()
    step = reply_step()
    office.spawn(office.outbox.perform(step))
    await office.x.asked.wait()
    await office.crash()
    assert await office.state(step) is WriteState.SENDING
    office.x.gate = None
    assert await office.outbox.recover() == 1
    assert (await waits(office, step)).waiting_for == f"write/{step.id}"
    assert await office.budget.spent(ME) == (usd("0.010"), usd("0.010"))
    await office.read_until_settled()
    await office.outbox.perform(step)
    assert len(office.x.posts) == 1


async def test_that_a_write_is_uncertain_is_said_by_the_first_start_alone(office: Office) -> None:
    office.x.gate = asyncio.Event()
    step = reply_step()
    office.spawn(office.outbox.perform(step))
    await office.x.asked.wait()
    said: list[list[str]] = []
    for _ in range(3):
        await office.crash()
        office.clock.move(1)
        with capture_logs() as logs:
            assert await office.outbox.recover() == 1
        said.append([line["write"] for line in logs if line["event"] == "write.uncertain"])
    assert said == [[step.id], [], []]


async def test_what_was_uncertain_before_is_charged_once(office: Office) -> None:
    office.x.script = [LOST]
    await waits(office, reply_step())
    spent = await office.budget.spent(ME)
    assert spent == (usd("0.010"), usd("0.010"))
    await office.crash()
    office.clock.move(1)
    assert await office.outbox.recover() == 1
    assert await office.budget.spent(ME) == spent


async def test_a_send_that_is_cut_off_at_the_end_is_marked(office: Office) -> None:
    office.x.gate = asyncio.Event()
    step = reply_step()
    handler = asyncio.get_running_loop().create_task(office.outbox.perform(step))
    await office.x.asked.wait()
    for task in office.tasks:
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await handler
    row = await office.row(step)
    assert (row.state, row.reason) == (WriteState.UNCERTAIN, "cut off while it was being sent")
    assert office.outbox._sends == {}


async def test_a_fault_of_our_own_while_sending_is_an_unknown_outcome(office: Office) -> None:
    office.x.script = [RuntimeError("a bug")]
    step = reply_step()
    with pytest.raises(RuntimeError, match="a bug"):
        await office.outbox.perform(step)
    assert await office.state(step) is WriteState.UNCERTAIN


async def test_an_orphan_that_is_still_sending_is_settled_by_reading(office: Office) -> None:
    step = reply_step()
    await office.store.writes.begin(step.to_write(), now=T0, fence=office.lease)
    office.x.carry_out(step.request)
    assert (await waits(office, step)).waiting_for == f"write/{step.id}"
    assert await office.state(step) is WriteState.UNCERTAIN
    await office.read_until_settled()
    await office.outbox.perform(step)
    assert office.x.sent == []


async def test_a_row_that_is_absent_is_sent_again_though_the_process_ended_there(
    office: Office,
) -> None:
    for n in (0, 1):
        step = post_step(f"text {n}", n=n)
        await office.store.writes.begin(step.to_write(), now=T0, fence=office.lease)
        await office.store.writes.move(
            step.id,
            WriteMove(to=WriteState.ABSENT, reason="not shown"),
            now=T0,
            fence=office.lease,
        )
    await office.outbox.perform(post_step("text 0"))
    assert await office.outbox.recover() == 0
    assert await office.state(post_step("text 1", n=1)) is WriteState.QUEUED
    await office.outbox.perform(post_step("text 1", n=1))
    assert len(office.x.posts) == 2


async def test_another_process_that_has_the_lease_keeps_this_one_from_sending(
    office: Office,
) -> None:
    office.lease = Fence("runner", "tester", 99)
    with pytest.raises(LeaseLost):
        await office.outbox.perform(reply_step())
    assert office.x.sent == []


async def test_an_answer_is_stored_though_the_lease_was_lost_while_it_was_on_its_way(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = office.x.send

    async def slow(*args: Any, **options: Any) -> Any:
        answer = await real(*args, **options)
        office.lease = Fence("runner", "tester", 99)
        return answer

    monkeypatch.setattr(office.x, "send", slow)
    await office.outbox.perform(post_step())
    # X has the post: what is known of it stays known, for whoever holds the lease now.
    assert await office.state(post_step()) is WriteState.CONFIRMED


async def test_an_answer_is_stored_when_the_store_can_be_used_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = office.store.writes.move
    failures = [StoreUnavailable("disk full") for _ in range(7)]

    async def move(*args: object, **kwargs: object) -> None:
        if failures:
            raise failures.pop()
        await real(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(office.store.writes, "move", move)
    step = reply_step()
    write = await office.outbox.perform(step)
    assert write.state is WriteState.CONFIRMED
    assert await office.state(step) is WriteState.CONFIRMED
    assert office.clock.slept == [0.5, 1.0, 2.0, 5.0, 15.0, 15.0, 15.0]


async def test_a_store_that_cannot_journal_keeps_the_bytes_back(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def begin(*args: object, **kwargs: object) -> None:
        raise StoreUnavailable("disk full")

    monkeypatch.setattr(office.store.writes, "begin", begin)
    with pytest.raises(StoreUnavailable):
        await office.outbox.perform(reply_step())
    assert office.x.sent == []
    assert office.budget._reserved == {}


async def test_a_row_that_another_took_first_is_not_sent(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = reply_step()
    real = office.guard.without_rivals

    @asynccontextmanager
    async def without_rivals(step: Step) -> AsyncIterator[None]:
        async with real(step):
            await office.store.writes.begin(step.to_write(), now=T0, fence=office.lease)
            yield

    monkeypatch.setattr(office.guard, "without_rivals", without_rivals)
    assert (await waits(office, step)).waiting_for == f"write/{step.id}"
    assert office.x.sent == []


async def test_a_row_that_moved_on_meanwhile_is_not_overwritten(office: Office) -> None:
    office.x.gate = asyncio.Event()
    office.x.script = [BadRequest("no", status=400)]
    step = reply_step()
    handler = office.spawn(office.outbox.perform(step))
    await office.x.asked.wait()
    await office.store.writes.move(
        step.id,
        WriteMove(to=WriteState.CONFIRMED, result_id="7", result=b"{}"),
        now=T0,
        fence=office.lease,
    )
    office.x.gate.set()
    with pytest.raises(Conflict):
        await handler
    office.tasks.discard(handler)
    assert await office.state(step) is WriteState.CONFIRMED


async def test_a_send_that_cannot_start_leaves_nothing_behind(office: Office) -> None:
    def closed(work: object) -> None:
        raise RuntimeError("the task group is shutting down")

    office.outbox._spawn = closed
    with pytest.raises(RuntimeError, match="shutting down"):
        await office.outbox.perform(reply_step())
    assert office.outbox._sends == {}
    assert await office.store.writes.listing() == []


async def test_a_zombie_and_its_second_run_share_one_send(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = reply_step()
    both = asyncio.Barrier(2)
    real = office.guard.check

    async def check(checked: object) -> object:
        verdict = await real(step)
        await both.wait()
        return verdict

    monkeypatch.setattr(office.guard, "check", check)
    first, second = await asyncio.gather(office.outbox.perform(step), office.outbox.perform(step))
    assert first == second
    assert len(office.x.sent) == 1
