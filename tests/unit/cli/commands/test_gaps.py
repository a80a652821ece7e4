"""`botkit events gaps` and `botkit status` say what may not have been heard."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from botkit.cli import main
from botkit.config import load_settings
from botkit.model.hearing import GapRow
from botkit.storage import open_store
from botkit.system import SystemClock

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Desk

SINCE = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
GAP = GapRow(
    source="mentions",
    account_id="99",
    since=SINCE,
    until=SINCE + timedelta(minutes=5),
    cause="reach",
    tried="mentions",
    reason="X's mentions timeline reaches back 800 posts",
)


async def _opened(count: int = 1, gap: GapRow = GAP) -> list[int]:
    settings = await asyncio.to_thread(load_settings)
    async with open_store(settings.store_url, clock=SystemClock(), create=False) as store:
        return [await store.progress.open_gap(gap) for _ in range(count)]


def test_an_open_gap_is_listed_with_its_bounds_and_why_it_is_open(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.log_in()
    assert main(["events", "gaps"]) == 0
    assert capsys.readouterr().out == "No open gaps.\n"
    (number,) = asyncio.run(_opened())
    assert main(["events", "gaps"]) == 0
    assert capsys.readouterr().out == (
        f"{number}  99  mentions  from 2026-11-30T09:00:00Z to 2026-11-30T09:05:00Z  open"
        "  X's mentions timeline reaches back 800 posts (tried: mentions)\n"
    )
    main(["events", "gaps", "--json"])
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["gap"], row["state"], row["cause"]) == (number, "open", "reach")


def test_what_was_missed_in_the_last_second_of_a_gap_is_within_its_shown_bounds(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.log_in()
    since, until = (SINCE + timedelta(milliseconds=after) for after in (900, 1001))
    asyncio.run(_opened(gap=replace(GAP, since=since, until=until)))
    main(["events", "gaps"])
    assert "from 2026-11-30T09:00:00Z to 2026-11-30T09:00:02Z" in capsys.readouterr().out
    main(["events", "gaps", "--json"])
    assert json.loads(capsys.readouterr().out)[0]["until"] == "2026-11-30T09:00:02Z"
    main(["status"])
    assert "from 2026-11-30T09:00:00Z to 2026-11-30T09:00:02Z" in capsys.readouterr().out


def test_a_person_closes_a_gap_and_it_stays_on_record(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.log_in()
    (number,) = asyncio.run(_opened())
    assert main(["events", "gaps", "--close", str(number)]) == 0
    assert capsys.readouterr().out == f"Gap {number} is closed.\nNo open gaps.\n"
    main(["events", "gaps", "--all"])
    assert "given up  closed by hand" in capsys.readouterr().out
    assert main(["events", "gaps", "--close", str(number)]) == 2
    assert f"There is no open gap {number}." in capsys.readouterr().err


def test_status_names_the_oldest_gaps_and_counts_the_others(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.log_in()
    asyncio.run(_opened(7))
    main(["status"])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("gap ")]
    assert len(lines) == 6
    assert "99 from 2026-11-30T09:00:00Z to" in lines[0]
    assert lines[-1] == "gap      and 2 more: `botkit events gaps`"
