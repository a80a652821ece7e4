"""What is heard too late is recorded as late, and runs when a person says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from botkit.model.events import DirectMessage, Mention, Tick
from botkit.model.messages import Message
from botkit.model.records import EventState
from botkit.model.users import User
from botkit.runtime.dispatch.lateness import REMEMBERED, is_too_late
from botkit.runtime.intake.lanes import Job
from botkit.sandbox.harness.clock import VirtualClock
from botkit.waiting.proven_time import ProvenTime
from tests.unit.runtime.fakes import BOT, FakeWiring, bench, mention

if TYPE_CHECKING:
    from pathlib import Path

    from botkit.model.events import Event
    from botkit.ports import Scope

KEY = "post/100/0"
MADE = datetime(2025, 12, 11, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
UNSEEN = ProvenTime(VirtualClock())
MESSAGE = DirectMessage(
    account_id=BOT,
    at=MADE,
    message=Message(id="5", conversation_id="1-2", sender_id="2", text="hi"),
    sender=User(id="2", username="ada", name="Ada"),
)


def heard(after: timedelta | None, *, asked: bool = False) -> Job:
    at = None if after is None else MADE + after
    return Job(
        seq=1, account_id=BOT, key="k", kind="mention", lane="l", recorded_at=at, asked=asked
    )


@pytest.mark.parametrize("event", [mention(), MESSAGE])
def test_a_post_or_message_is_late_once_its_time_is_over(event: Event) -> None:
    assert not is_too_late(heard(HOUR), event, HOUR, UNSEEN)
    assert is_too_late(heard(HOUR + timedelta(seconds=1)), event, HOUR, UNSEEN)


def test_what_the_store_may_have_forgotten_is_late_whatever_the_handler_says() -> None:
    assert not is_too_late(heard(REMEMBERED), mention(), timedelta.max, UNSEEN)
    assert is_too_late(heard(REMEMBERED + HOUR), mention(), timedelta.max, UNSEEN)


def test_what_a_person_asked_for_and_what_happened_inside_is_never_late() -> None:
    assert not is_too_late(heard(30 * REMEMBERED, asked=True), mention(), HOUR, UNSEEN)
    assert not is_too_late(heard(None), mention(), HOUR, UNSEEN)
    tick = Tick(account_id=BOT, at=MADE, schedule="weather")
    assert not is_too_late(heard(30 * REMEMBERED), tick, HOUR, UNSEEN)


async def test_a_late_event_is_recorded_and_counted_until_a_person_asks_for_it(
    tmp_path: Path,
) -> None:
    seen: list[str] = []
    wiring = FakeWiring()

    async def greet(event: Mention, scope: Scope) -> None:
        seen.append(event.id)

    wiring.on(Mention, greet, answer_within=HOUR)
    clock = VirtualClock(MADE + 2 * HOUR)
    with capture_logs() as lines:
        async with bench(tmp_path, wiring, clock=clock) as bot:
            await bot.handle(mention(), mention("101"))
            (row,) = await bot.store.events.get(KEY)
            counts = await bot.store.events.counts()
            ends = [(end.outcome, end.handler) for end in bot.ended]
            assert seen == []
            assert (row.state, row.note) == (EventState.LATE, "greet")
            assert counts["late"] == 2
            assert await bot.store.events.revive(BOT, KEY)
            bot.dispatcher.inbox_reader.rescan()
            await bot.idle()
            counts = await bot.store.events.counts()
    assert ends == [("late", "greet")] * 2
    assert seen == ["100"]
    assert (counts["late"], counts["done"]) == (1, 1)
    assert [line["event"] for line in lines].count("event.late") == 1


async def test_an_event_that_was_heard_in_time_and_had_to_wait_is_not_late(
    tmp_path: Path,
) -> None:
    seen: list[str] = []
    wiring = FakeWiring()

    async def greet(event: Mention, scope: Scope) -> None:
        seen.append(event.id)

    wiring.on(Mention, greet, answer_within=HOUR)
    clock = VirtualClock(MADE + HOUR)
    async with bench(tmp_path, wiring, clock=clock, started=False) as bot:
        await bot.record(mention())
    async with bench(tmp_path, wiring, clock=VirtualClock(MADE + 50 * HOUR)) as bot:
        await bot.idle()
    assert seen == ["100"]


async def test_a_wall_clock_that_is_ahead_of_x_makes_nothing_late() -> None:
    event = mention()
    clock = VirtualClock()
    proven = ProvenTime(clock)
    clock.set(event.at + 100 * REMEMBERED)
    recorded = heard(100 * REMEMBERED)
    assert is_too_late(recorded, event, HOUR, proven)
    proven.note(event.at + timedelta(minutes=5))
    assert not is_too_late(recorded, event, HOUR, proven)
    proven.note(event.at + 2 * HOUR)
    assert is_too_late(recorded, event, HOUR, proven)
