"""Direct messages are read back to what is known, and no more often than X allows."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from botkit.errors import Forbidden, MalformedAnswer, RateLimited, ServerError
from botkit.model.hearing import Checkpoint
from botkit.protocol.api.ids import snowflake_at
from botkit.protocol.api.responses import Response
from botkit.sandbox.harness.clock import START
from botkit.sources.polls.messages import MessagesPoll
from tests.unit.sources.fakes import stored_cursor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from botkit.model.messages import Message
    from botkit.model.users import Account
    from botkit.ports import Store
    from botkit.sandbox.harness.clock import VirtualClock
    from tests.unit.sources.fakes import FakeIntake, FakeSender, Reports, Spawn


def messages(*ids: int, token: str | None = None) -> Response:
    rows: list[dict[str, Any]] = [
        {
            "id": str(number),
            "event_type": "MessageCreate",
            "text": f"question {number}",
            "sender_id": "7",
            "dm_conversation_id": "1-7",
            "created_at": "2026-08-01T12:00:00.000Z",
        }
        for number in ids
    ]
    users = [{"id": "7", "username": "ada", "name": "Ada"}]
    meta = {"next_token": token} if token else {}
    return Response(status=200, data=rows, meta=meta, includes={"users": users})


@pytest.fixture
def poll(account: Account, store: Store, ports: dict[str, Any]) -> MessagesPoll:
    late = timedelta(seconds=30)
    interval = timedelta(minutes=5)
    return MessagesPoll(account, store=store, interval=interval, **{**ports, "late": late})


class Shown:
    """Takes what the poll shows, and how many events were recorded by then."""

    def __init__(self, intake: FakeIntake) -> None:
        self._intake = intake
        self.expected: list[str] = []
        self.shown: list[tuple[str, list[str] | None, int]] = []

    def expect(self, account_id: str) -> None:
        self.expected.append(account_id)

    async def show(self, account_id: str, sent: Sequence[Message] | None) -> None:
        ids = None if sent is None else [message.id for message in sent]
        self.shown.append((account_id, ids, len(self._intake.events)))


def by_greeter(response: Response, *ids: int) -> Response:
    for row in response.data:
        row["sender_id"] = "1" if int(row["id"]) in ids else row["sender_id"]
    return response


async def test_the_accounts_own_messages_are_shown_once_before_any_is_recorded(
    poll: MessagesPoll, sender: FakeSender, intake: FakeIntake, store: Store
) -> None:
    await store.progress.set_checkpoint(
        Checkpoint(source="messages", account_id="1", cursor="50 50")
    )
    shown = Shown(intake)
    poll.show_to(shown)
    assert shown.expected == ["1"]
    sender.answers = [
        ServerError("503", status=503),
        by_greeter(messages(54, 53, 52, 51, 50, 49), 54, 52, 50),
        by_greeter(messages(55, 54), 55),
    ]
    with pytest.raises(ServerError):
        await poll.poll()
    assert shown.shown == []
    assert [await poll.poll() for _ in range(2)] == [4, 1]
    assert shown.shown == [("1", ["54", "52"], 0)]


async def test_a_first_start_and_a_refusal_show_that_there_is_nothing_to_wait_for(
    poll: MessagesPoll, sender: FakeSender, intake: FakeIntake
) -> None:
    shown = Shown(intake)
    poll.show_to(shown)
    sender.answers = [Forbidden("no", status=403), messages(50)]
    with pytest.raises(Forbidden):
        await poll.poll()
    assert await poll.poll() == 0
    assert shown.shown == [("1", None, 0), ("1", [], 0)]


async def test_the_first_run_starts_at_now(
    poll: MessagesPoll, sender: FakeSender, intake: FakeIntake
) -> None:
    sender.answers = [messages(50), messages(51, 50)]
    assert await poll.poll() == 0
    assert await poll.poll() == 1
    (event,) = intake.events
    assert event.key == "dm/51"  # type: ignore[attr-defined]
    assert event.sender.username == "ada"  # type: ignore[attr-defined]
    assert event.source == "messages"  # type: ignore[attr-defined]


async def test_nothing_ever_written_starts_with_the_first_message(
    poll: MessagesPoll, sender: FakeSender
) -> None:
    sender.answers = [messages(), messages(1)]
    await poll.poll()
    assert await poll.poll() == 1


async def test_pages_are_read_back_to_what_is_known_and_not_further(
    poll: MessagesPoll, sender: FakeSender, intake: FakeIntake
) -> None:
    sender.answers = [
        messages(50),
        messages(54, 53, token="b"),
        messages(52, 50, token="c"),
        messages(54),
    ]
    await poll.poll()
    assert await poll.poll() == 3
    assert await poll.poll() == 0
    assert len(sender.calls) == 4
    assert len(intake.events) == 3


async def test_a_page_that_fails_leaves_the_cursor(
    poll: MessagesPoll, sender: FakeSender, intake: FakeIntake
) -> None:
    sender.answers = [
        messages(50),
        messages(52, token="b"),
        RateLimited("429", status=429),
        messages(52, 51, 50),
    ]
    await poll.poll()
    with pytest.raises(RateLimited):
        await poll.poll()
    assert intake.events == []
    assert await poll.poll() == 2


async def test_a_poke_comes_as_soon_as_x_allows(
    poll: MessagesPoll,
    sender: FakeSender,
    clock: VirtualClock,
    spawn: Spawn,
    reports: Reports,
) -> None:
    sender.answers = [messages(50), messages(50), messages(50)]
    spawn(poll.run())
    await clock.advance(1)
    poll.poke()
    await clock.advance(50)
    assert len(sender.calls) == 1
    await clock.advance(15)
    assert len(sender.calls) == 2
    await clock.advance(340)
    assert len(sender.calls) == 3
    assert reports.said[-1][:2] == ("messages/greeter", "live")


async def test_failures_are_said_and_waited_out(
    poll: MessagesPoll,
    sender: FakeSender,
    clock: VirtualClock,
    spawn: Spawn,
    reports: Reports,
) -> None:
    from botkit.errors import Parked

    sender.answers = [
        ServerError("503", status=503),
        Parked("rate", until=clock.now() + timedelta(seconds=200)),
        messages(50),
    ]
    spawn(poll.run())
    await clock.advance(100)
    assert [said[2] for said in reports.said] == ["503", "waits for rate"]
    await clock.advance(160)
    assert reports.said[-1][1] == "live"


async def test_a_message_that_shows_up_late_is_heard_but_none_from_before_the_start(
    poll: MessagesPoll, sender: FakeSender, intake: FakeIntake, clock: VirtualClock
) -> None:
    first, second = snowflake_at(START), 1000 << 22
    sender.answers = [
        messages(first),
        messages(first + 40 * second, first),
        messages(first + 40 * second, first + 20 * second, first + 5 * second, first - second),
    ]
    await poll.poll()
    clock.set(START + timedelta(seconds=45))
    assert await poll.poll() == 1
    clock.set(START + timedelta(seconds=3600))
    assert await poll.poll() == 1
    heard = [event.message.id for event in intake.events]  # type: ignore[attr-defined]
    assert heard == [str(first + 40 * second), str(first + 20 * second)]


async def test_a_cursor_that_stores_hold_is_gone_on_from_and_written_in_the_same_form(
    poll: MessagesPoll, sender: FakeSender, store: Store
) -> None:
    held = Checkpoint(source="messages", account_id="1", cursor=stored_cursor("messages"))
    await store.progress.set_checkpoint(held)
    sender.answers = [messages(1860000000000000001, 1860000000000000000, 1829999999999999999)]
    assert await poll.poll() == 1
    last = await store.progress.checkpoint("messages", "1")
    assert last is not None
    assert last.cursor == held.cursor.replace("1860000000000000000", "1860000000000000001")


async def test_a_cursor_of_an_older_version_is_gone_on_from(
    poll: MessagesPoll, sender: FakeSender, store: Store
) -> None:
    await store.progress.set_checkpoint(Checkpoint(source="messages", account_id="1", cursor="50"))
    sender.answers = [messages(51, 50, 49)]
    assert await poll.poll() == 1
    last = await store.progress.checkpoint("messages", "1")
    assert last is not None
    assert last.cursor == "51 50"


async def test_pages_that_lead_nowhere_do_not_keep_from_the_handlers_what_was_read(
    poll: MessagesPoll, sender: FakeSender, intake: FakeIntake
) -> None:
    sender.answers = [messages(50), messages(54, 53, token="b"), messages(52, token="b")]
    await poll.poll()
    with pytest.raises(MalformedAnswer):
        await poll.poll()
    assert len(intake.events) == 3
