"""A component outlasts the time in which its store cannot be used, and says so once."""

from __future__ import annotations

from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from botkit.errors import Conflict, StoreUnavailable
from botkit.waiting.backoff import Ladder
from botkit.waiting.store_outage import STORE_LADDER, StoreOutage
from tests.unit.runtime.writing import SkippingClock

_log = structlog.get_logger("tests.waiting")


def unavailable(why: str = "the disk is full") -> StoreUnavailable:
    return StoreUnavailable(why)


class Call:
    """Fails as planned, then returns "stored"."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)

    async def __call__(self) -> str:
        if self.failures:
            raise self.failures.pop(0)
        return "stored"


def said(logs: list[Any]) -> list[tuple[str, str, str]]:
    return [(line["log_level"], line["event"], line.get("why", "")) for line in logs]


async def test_a_store_that_works_is_not_spoken_of() -> None:
    clock = SkippingClock()
    outage = StoreOutage(_log, "ends of events", clock=clock)
    with capture_logs() as logs:
        assert await outage.outlast(Call()) == "stored"
    assert (logs, clock.slept) == ([], [])


async def test_an_outage_is_said_once_and_so_is_its_end() -> None:
    clock = SkippingClock()
    outage = StoreOutage(_log, "ends of events", clock=clock)
    with capture_logs() as logs:
        assert await outage.outlast(Call(*[unavailable()] * 6), key="k") == "stored"
    assert said(logs) == [
        ("error", "store.unavailable", "the disk is full"),
        ("info", "store.available_again", ""),
    ]
    assert logs[0]["key"] == "k"
    assert [line["waiting"] for line in logs] == ["ends of events"] * 2
    assert clock.slept == [0.5, 1.0, 2.0, 5.0, 15.0, 15.0]


async def test_another_error_during_the_outage_is_said_too() -> None:
    outage = StoreOutage(_log, "ends of events", clock=SkippingClock())
    call = Call(unavailable(), unavailable("it is locked"), unavailable("it is locked"))
    with capture_logs() as logs:
        await outage.outlast(call)
    assert [why for *_, why in said(logs)] == ["the disk is full", "it is locked", ""]


async def test_a_second_outage_is_said_again() -> None:
    outage = StoreOutage(_log, "ends of events", clock=SkippingClock())
    with capture_logs() as logs:
        await outage.outlast(Call(unavailable()))
        await outage.outlast(Call(unavailable()))
    assert len(said(logs)) == 4


async def test_an_error_that_is_no_outage_comes_out() -> None:
    clock = SkippingClock()
    with pytest.raises(Conflict):
        await StoreOutage(_log, "ends of events", clock=clock).outlast(Call(Conflict("moved on")))
    assert clock.slept == []


async def test_a_loop_waits_the_step_of_its_own_ladder() -> None:
    clock = SkippingClock()
    outage = StoreOutage(_log, "ticks", clock=clock, ladder=Ladder(steps_s=(1.0, 5.0)))
    await outage.wait(unavailable())
    await outage.wait(unavailable(), 1)
    await outage.wait(unavailable(), 7)
    outage.end()
    assert clock.slept == [1.0, 5.0, 5.0]


def test_the_ladder_of_the_store_is_fifteen_seconds_at_most() -> None:
    assert STORE_LADDER.cap_s == 15.0
