"""Uncertain messages are settled by reading the conversation that they went to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from botkit.errors import Parked
from botkit.model.messages import Message
from botkit.model.records import WriteState
from botkit.protocol.api import requests
from botkit.protocol.api.responses import Response
from botkit.runtime.writes.steps import Step
from tests.unit.runtime.writing import ADA, BOB, LOST, ME, RESET, Office, message_step, open_office


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as office:
        yield office


async def doubt(office: Office, step: Step, told: str = LOST) -> None:
    """Send it with an unknown outcome."""
    office.x.script = [told]
    with pytest.raises(Parked):
        await office.outbox.perform(step)
    assert await office.state(step) is WriteState.UNCERTAIN


async def test_a_message_is_looked_for_in_its_conversation(office: Office) -> None:
    by_peer = message_step("Hello")
    await doubt(office, by_peer)
    office.clock.move(5)
    await office.reconciler.settle_due()
    assert office.x.looked[0].path == f"/2/dm_conversations/with/{ADA}/dm_events"
    made = msgspec.json.decode((await office.row(by_peer)).result or b"", type=Message)
    assert (made.id, made.text, made.sender_id) == (office.x.posts[0]["id"], "Hello", ME)
    assert made.conversation_id == office.x.posts[0]["dm_conversation_id"]


async def test_a_message_to_a_group_is_looked_for_there(office: Office) -> None:
    step = message_step(
        operation="createDirectMessagesByConversationId",
        request=requests.send_message(conversation_id="77", text="One moment"),
        target="77",
    )
    await doubt(office, step)
    office.clock.move(5)
    await office.reconciler.settle_due()
    assert office.x.looked[0].path == "/2/dm_conversations/77/dm_events"
    assert await office.state(step) is WriteState.CONFIRMED


async def test_a_person_and_a_group_of_the_same_number_are_read_each_for_itself(
    office: Office,
) -> None:
    group = message_step(
        operation="createDirectMessagesByConversationId",
        request=requests.send_message(conversation_id=ADA, text="To all"),
        text="To all",
        n=1,
    )
    person = message_step("To you")
    for step in (group, person):
        await doubt(office, step)
    # The fake shows one place for both; X does not, so each reading must be made by its own path.
    office.clock.move(5)
    await office.reconciler.settle_due()
    assert {request.path for request in office.x.looked} == {
        f"/2/dm_conversations/{ADA}/dm_events",
        f"/2/dm_conversations/with/{ADA}/dm_events",
    }


async def test_a_conversation_is_read_back_to_the_time_of_the_sending(office: Office) -> None:
    office.x.carry_out(message_step("of an hour ago").request)
    office.clock.move(3600)
    step = message_step()
    await doubt(office, step)
    for n in range(4):
        office.x.carry_out(message_step(f"later {n}").request)
    office.x.page_size = 2
    office.clock.move(5)
    await office.reconciler.settle_due()
    assert len(office.x.looked) == 3
    assert await office.state(step) is WriteState.CONFIRMED


async def test_a_message_without_a_sender_or_of_the_other_side_is_not_taken_for_ours(
    office: Office,
) -> None:
    step = message_step("yes")
    await doubt(office, step, RESET)
    base = {"text": "yes", "event_type": "MessageCreate", "dm_conversation_id": "1-2"}
    office.clock.move(5)
    office.x.reads = [
        Response(status=200, data=[base | {"id": "1", "sender_id": ADA}]),
    ]
    await office.reconciler.settle_due()
    assert (await office.row(step)).clean_reads == 1
    office.clock.move(10)
    office.x.reads = [Response(status=200, data=[base | {"id": "1"}])]
    await office.reconciler.settle_due()
    row = await office.row(step)
    assert (row.state, row.clean_reads) == (WriteState.UNCERTAIN, 1)


@pytest.mark.parametrize("rival", [message_step("no", n=1), message_step("ok", target=BOB)])
async def test_a_write_under_way_of_another_text_or_place_is_no_rival(
    office: Office, rival: Step
) -> None:
    step = message_step("ok")
    await doubt(office, step)
    await office.store.writes.begin(rival.to_write(), now=office.clock.now(), fence=office.lease)
    office.clock.move(5)
    await office.reconciler.settle_due()
    assert await office.state(step) is WriteState.CONFIRMED


async def test_messages_of_two_accounts_to_one_person_are_read_each_by_its_account(
    office: Office,
) -> None:
    steps = [message_step("Hello"), message_step("Hello", account_id="42")]
    for step in steps:
        await doubt(office, step)
    office.clock.move(5)
    await office.reconciler.settle_due()
    assert len(office.x.looked) == 2
    assert [await office.state(step) for step in steps] == [WriteState.CONFIRMED] * 2
