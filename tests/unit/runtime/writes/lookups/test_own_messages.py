"""Messages that the account sent without this store are found, and no message is answered twice."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from structlog.testing import capture_logs

from botkit.errors import Parked
from botkit.model.messages import Message
from botkit.model.records import WriteState
from botkit.protocol.api import requests
from botkit.runtime.writes.lookups.own_messages import OwnMessages
from botkit.sandbox.harness.clock import VirtualClock
from tests.unit.runtime.writing import ADA, LOST, ME, Office, message_step, open_office

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from botkit.runtime.writes.steps import Step

THREAD = "-".join(sorted([ME, ADA], key=lambda one: (len(one), one)))
ASKED = "1999000000000000900"


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as office:
        office.own_posts.messages.expect(ME)
        yield office


def answer(text: str = "One moment", **more: Any) -> Step:
    return message_step(text, event_key=f"dm/{ASKED}", message_id=ASKED, **more)


def sent(office: Office, number: int, text: str = "Yes?", *, thread: str = THREAD) -> Message:
    """A message of the account that X shows."""
    return Message(
        id=str(number),
        conversation_id=thread,
        text=text,
        sender_id=ME,
        created_at=office.clock.now(),
    )


async def show(office: Office, *messages: Message) -> None:
    await office.own_posts.messages.show(ME, messages)


async def test_a_message_that_was_answered_already_gets_that_answer_as_its_result(
    office: Office,
) -> None:
    there = sent(office, int(ASKED) + 1)
    with capture_logs() as lines:
        await show(office, there)
    write = await office.outbox.perform(answer())
    assert (write.state, write.result_id) == (WriteState.CONFIRMED, there.id)
    assert msgspec.json.decode(write.result or b"", type=Message) == there
    assert (await office.outbox.perform(answer("Another text"))).result_id == there.id
    assert office.x.sent == []
    assert [(line["event"], line.get("messages")) for line in lines] == [("store.behind", 1)]


async def test_of_two_answers_each_is_the_result_of_one_message(office: Office) -> None:
    there = [sent(office, int(ASKED) + n) for n in (1, 2)]
    await show(office, *reversed(there))
    assert [(await office.outbox.perform(answer(n=n))).result_id for n in (0, 1)] == [
        message.id for message in there
    ]
    await office.outbox.perform(answer(n=2))
    assert len(office.x.sent) == 1


async def test_a_thread_is_the_same_by_its_id_and_by_its_user(office: Office) -> None:
    await show(office, sent(office, int(ASKED) + 1))
    by_thread = answer(
        operation="createDirectMessagesByConversationId",
        request=requests.send_message(conversation_id=THREAD, text="One moment"),
        target=THREAD,
    )
    await office.outbox.perform(by_thread)
    assert office.x.sent == []


async def test_what_is_older_or_in_another_thread_answered_nothing(office: Office) -> None:
    await show(office, sent(office, 999), sent(office, int(ASKED) + 1, thread="1-2"))
    await office.outbox.perform(answer())
    assert len(office.x.sent) == 1


async def test_a_message_that_answers_none_is_found_by_its_text_if_its_event_was_there(
    office: Office,
) -> None:
    now = office.clock.now()
    await show(office, sent(office, 5, "Good morning"))
    tick = {"event_key": "tick/morning/1", "happened_at": now}
    await office.outbox.perform(message_step("Good evening", **tick))
    tomorrow = {"event_key": "tick/morning/2", "happened_at": now + timedelta(days=1)}
    await office.outbox.perform(message_step("Good morning", **tomorrow))
    assert len(office.x.sent) == 2
    assert (
        await office.outbox.perform(message_step("Good morning", **tick, n=1))
    ).result_id == "5"
    assert len(office.x.sent) == 2


async def test_messages_of_this_store_are_not_strange(office: Office) -> None:
    await show(office)
    known = await office.outbox.perform(answer("Known"))
    office.x.script = [LOST]
    with pytest.raises(Parked, match="write/"):
        await office.outbox.perform(answer("Lost", n=1))
    office.start()
    office.own_posts.messages.expect(ME)
    await show(
        office,
        sent(office, int(known.result_id), "Known"),
        sent(office, int(office.x.posts[-1]["id"]), "Lost"),
    )
    assert await office.store.own_posts.count(ME) == 0


async def test_a_message_that_a_write_turned_out_to_have_made_is_no_result_of_another(
    office: Office,
) -> None:
    made = int(ASKED) + 101  # the id that X gives to the next message
    await show(office, sent(office, made))
    await office.outbox.perform(message_step("By a signal", event_key="signal/1"))
    assert office.x.posts[-1]["id"] == str(made)
    await office.outbox.perform(answer())
    assert len(office.x.sent) == 2


async def test_a_replay_and_a_raw_call_are_sent_whatever_is_there(office: Office) -> None:
    await show(office, sent(office, int(ASKED) + 1))
    own = office.own_posts.messages
    raw = answer(capability="createDirectMessagesByParticipantId")
    assert await own.found(answer(run=1)) is None
    assert await own.found(raw) is None
    assert await own.found(answer()) is not None


async def test_a_message_waits_until_x_has_shown_what_the_account_sent(office: Office) -> None:
    own = OwnMessages(
        store=office.store, clock=(clock := VirtualClock()), fence=lambda: office.lease
    )
    own.expect(ME)
    waiting = asyncio.get_running_loop().create_task(own.ready(ME))
    await clock.advance(4)
    assert not waiting.done()
    await own.show(ME, [])
    await waiting


async def test_an_event_is_put_aside_if_x_shows_nothing_for_some_seconds(office: Office) -> None:
    with pytest.raises(Parked) as parked:
        await office.outbox.perform(answer())
    assert office.clock.slept == [5]
    assert parked.value.waiting_for == "timeline"
    assert parked.value.until == office.clock.now() + timedelta(seconds=30)
    assert office.x.sent == []


async def test_a_step_waits_some_seconds_for_the_first_poll_and_no_longer(office: Office) -> None:
    with pytest.raises(Parked) as parked:
        await office.own_posts.messages.ready(ME)
    assert parked.value.waiting_for == "timeline"
    assert parked.value.until == office.clock.now() + timedelta(seconds=30)


async def test_messages_are_sent_though_x_refuses_to_show_any(office: Office) -> None:
    await office.own_posts.messages.show(ME, None)
    await office.outbox.perform(answer())
    assert len(office.x.sent) == 1


async def test_a_bot_that_hears_no_messages_sends_them_at_once(tmp_path: Path) -> None:
    async with open_office(tmp_path) as office:
        await office.outbox.perform(answer())
        assert len(office.x.sent) == 1
