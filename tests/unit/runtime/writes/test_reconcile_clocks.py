"""A clock that is wrong, or was set, makes no post look absent and no reading come all the time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from botkit.errors import Parked
from botkit.model.records import WriteState
from botkit.runtime.writes.steps import Step
from tests.unit.runtime.writing import (
    LOST,
    RESET,
    Office,
    message_step,
    open_office,
    post_step,
    reply_step,
    server_error,
)

BACK_S = -7200.0


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as office:
        yield office


async def doubt(office: Office, step: Step, told: str) -> None:
    office.x.script = [told]
    with pytest.raises(Parked):
        await office.outbox.perform(step)


async def settle(office: Office, step: Step, *, within_s: float) -> list[float]:
    """Read whenever a reading is due; gives when that was."""
    times: list[float] = []
    started_s = office.clock.monotonic()
    while await office.state(step) is WriteState.UNCERTAIN:
        looked = len(office.x.looked)
        wait_s = await office.reconciler.settle_due()
        if len(office.x.looked) > looked:
            times.append(office.clock.monotonic() - started_s)
        office.clock.move(wait_s or 0.0)
        if office.clock.monotonic() - started_s > within_s:
            break
    return times


@pytest.mark.parametrize("step", [post_step(), reply_step(), message_step()])
@pytest.mark.parametrize("ahead_s", [20, 200, 7200])
async def test_what_x_made_is_found_by_a_clock_that_is_ahead_of_xs(
    office: Office, step: Step, ahead_s: int
) -> None:
    office.x.behind = timedelta(seconds=ahead_s)
    await doubt(office, step, LOST)
    await settle(office, step, within_s=300)
    assert await office.state(step) is WriteState.CONFIRMED
    assert len(office.x.sent) == 1


@pytest.mark.parametrize("step", [post_step(), message_step()])
async def test_what_was_made_is_found_after_the_clock_was_set_back(
    office: Office, step: Step
) -> None:
    office.clock.move(-BACK_S)  # it was wrong before, as what X made was not
    office.x.behind = timedelta(seconds=-BACK_S)
    await doubt(office, step, LOST)
    office.clock.move(BACK_S)
    office.x.behind = timedelta(0)
    await settle(office, step, within_s=300)
    assert await office.state(step) is WriteState.CONFIRMED


async def test_absence_is_proven_after_the_clock_was_set_back_with_as_few_readings(
    office: Office,
) -> None:
    step = post_step()
    await doubt(office, step, RESET)
    office.clock.move(BACK_S)
    times = await settle(office, step, within_s=300)
    assert await office.state(step) is WriteState.QUEUED
    assert times == [0, 5, 15, 60, 180]


async def test_a_clean_reading_of_before_the_clock_was_set_back_is_not_counted_from(
    office: Office,
) -> None:
    step = post_step()
    await doubt(office, step, RESET)
    office.clock.move(5)
    await office.reconciler.settle_due()
    office.clock.move(BACK_S)
    times = await settle(office, step, within_s=300)
    assert await office.state(step) is WriteState.QUEUED
    assert times[-1] >= 120
    assert len(times) <= 5


async def test_failing_readings_come_slowly_after_the_clock_was_set_back(office: Office) -> None:
    step = post_step()
    await doubt(office, step, RESET)
    office.clock.move(BACK_S)
    office.x.reads = [server_error() for _ in range(9)]
    times = await settle(office, step, within_s=1000)
    assert times[:3] == [0, 180, 360]


async def test_clean_readings_do_not_make_failing_ones_slower(office: Office) -> None:
    step = post_step()
    await doubt(office, step, RESET)
    office.clock.move(5)
    await office.reconciler.settle_due()
    office.x.reads = [server_error() for _ in range(6)]
    spans = []
    for _ in range(6):
        before = office.clock.now()
        row = await office.row(step)
        assert row.next_read_at is not None
        spans.append((row.next_read_at - before).total_seconds())
        office.clock.current = row.next_read_at
        await office.reconciler.settle_due()
    assert spans == [10, 45, 120, 180, 180, 180]
