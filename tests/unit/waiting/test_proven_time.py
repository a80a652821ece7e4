"""What cannot be undone asks a time that X's clock or the steady clock supports."""

from __future__ import annotations

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from botkit.sandbox.harness.clock import VirtualClock
from botkit.waiting.proven_time import ProvenTime

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


async def test_no_time_is_proven_before_x_has_told_its_own() -> None:
    assert ProvenTime(VirtualClock()).now() is None


@pytest.mark.parametrize("ahead", [timedelta(0), 50 * SECOND, -50 * SECOND, -100 * DAY])
async def test_a_wall_clock_that_is_not_ahead_of_x_is_believed(ahead: timedelta) -> None:
    clock = VirtualClock()
    proven = ProvenTime(clock)
    proven.note(clock.now() - ahead)
    assert proven.now() == clock.now()


async def test_of_a_wall_clock_that_is_ahead_x_and_the_steady_clock_know_better() -> None:
    clock = VirtualClock()
    proven = ProvenTime(clock)
    at_x = clock.now()
    clock.set(clock.now() + 100 * DAY)
    proven.note(at_x)
    await clock.advance(3600)
    assert proven.now() == at_x + timedelta(hours=1)


async def test_a_wrong_clock_is_named_once_until_it_is_right_again() -> None:
    clock = VirtualClock()
    right = clock.now()
    proven = ProvenTime(clock)
    with capture_logs() as lines:
        clock.set(right + DAY)
        proven.note(right)
        proven.note(right)
        clock.set(right)
        proven.note(right)
        clock.set(right - DAY)
        proven.note(right)
    assert [(line["event"], line["ahead_s"]) for line in lines] == [
        ("clock.wrong", 86400),
        ("clock.wrong", -86400),
    ]


async def test_until_x_tells_its_time_only_what_became_due_since_the_start_is_due() -> None:
    clock = VirtualClock()
    proven = ProvenTime(clock)
    started = clock.now()
    await clock.advance(10)
    assert proven.has_come(started + 5 * SECOND)
    assert not proven.has_come(started + 11 * SECOND)
    assert not proven.has_come(started - SECOND)
    clock.set(clock.now() + 100 * DAY)
    assert not proven.has_come(started + DAY)


async def test_by_the_time_of_x_what_was_due_long_ago_is_due() -> None:
    clock = VirtualClock()
    proven = ProvenTime(clock)
    proven.note(clock.now())
    assert proven.has_come(clock.now() - 100 * DAY)
    assert not proven.has_come(clock.now() + SECOND)


async def test_the_start_is_told_by_x_once_its_time_is_seen() -> None:
    clock = VirtualClock()
    right = clock.now()
    clock.set(right + 100 * DAY)
    proven = ProvenTime(clock)
    assert proven.started == right + 100 * DAY
    await clock.advance(60)
    proven.note(right + timedelta(minutes=1))
    assert proven.started == right
