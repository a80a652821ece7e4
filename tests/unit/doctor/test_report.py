"""Questions are bounded in time, and one that fails hides no other."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from botkit.doctor.findings import Check, Finding
from botkit.doctor.report import Report
from botkit.errors import Parked
from botkit.sandbox.harness.clock import VirtualClock


async def _well() -> list[Finding]:
    return [Check("well").fine()]


async def _raises() -> list[Finding]:
    raise ZeroDivisionError


async def _parks() -> list[Finding]:
    raise Parked("credits")


async def test_whatever_goes_wrong_with_one_the_others_are_asked() -> None:
    report = Report(clock=VirtualClock())
    for name, question in (("a", _raises), ("b", _parks), ("c", _well)):
        await report.ask(Check(name), question)
    assert [found.id for found in report.findings] == ["a", "b", "well"]
    assert "ZeroDivisionError" in report.findings[0].cause
    assert report.findings[1].cause == "It waits for: credits."
    assert report.exit_code == 1


async def test_a_question_without_an_answer_ends_by_its_time_limit() -> None:
    clock = VirtualClock()
    report = Report(clock=clock)

    async def waits() -> list[Finding]:
        await clock.sleep(3600)
        return []

    async with asyncio.TaskGroup() as group:
        asked = group.create_task(report.ask(Check("slow"), waits, limit_s=30))
        await clock.at_rest()
        assert not asked.done()
        await clock.advance(timedelta(seconds=31))
    (found,) = report.findings
    assert (found.id, found.exit_code) == ("slow", 4)
