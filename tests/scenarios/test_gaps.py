"""What could not be heard is said: by status, by a log line, by `/readyz`, until it is read."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from botkit import Bot, DirectMessage, Gap, Mention, Quote

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from botkit.model.hearing import GapRow
    from botkit.sandbox import Process, Sandbox


@pytest.fixture
def seen() -> list[str]:
    """The ids of the posts that the handler was called with."""
    return []


@pytest.fixture
def hearer(seen: list[str]) -> Bot:
    """A bot that only listens."""
    bot = Bot("greeter")

    @bot.on(Mention)
    async def hear(mention: Mention) -> None:
        seen.append(mention.id)

    return bot


def burst(sandbox: Sandbox, count: int, *, apart: timedelta) -> dict[str, datetime]:
    """Let ada mention the bot so often; return when each post was made, by its id."""
    ada, made = sandbox.user("ada"), dict[str, "datetime"]()
    for n in range(count):
        sandbox.clock.set(sandbox.clock.now() + apart)
        post = sandbox.world.add_post(ada.id, f"@greeter number {n}")
        made[post.id] = post.created_at
    return made


def within(gaps: list[GapRow], at: datetime) -> bool:
    return any(gap.since <= at <= gap.until for gap in gaps if gap.until is not None)


async def open_gaps(process: Process) -> list[GapRow]:
    return await process.store.progress.gaps(state="open", limit=1000)


async def test_of_2000_mentions_while_no_process_ran_each_is_heard_or_lies_in_a_gap(
    sandbox: Sandbox, hearer: Bot, seen: list[str]
) -> None:
    sandbox.faults.unavailable("GET /2/tweets/search/recent", times=None)
    async with sandbox.running(hearer) as process:
        await process.crash()
    made = burst(sandbox, 2000, apart=timedelta(seconds=2))
    async with sandbox.running(hearer) as process:
        await sandbox.settle()
        await sandbox.advance(timedelta(hours=1))
        gaps = await open_gaps(process)
        reports = {report.part: report for report in await process.store.progress.reports()}

    assert len(seen) == len(set(seen)) == 800
    missed = {post_id: at for post_id, at in made.items() if post_id not in seen}
    assert all(within(gaps, at) for at in missed.values())
    assert not any(within(gaps, made[post_id]) for post_id in seen[1:])
    assert [(gap.cause, gap.state) for gap in gaps] == [("reach", "open")]
    assert reports["gaps/greeter"].state == "open"


async def test_a_process_that_was_killed_says_from_when_on_it_heard_nothing(
    sandbox: Sandbox, hearer: Bot
) -> None:
    async with sandbox.running(hearer) as process:
        await sandbox.advance(timedelta(minutes=20))
        await process.crash()
    killed = sandbox.clock.now()
    sandbox.clock.set(killed + timedelta(hours=3))
    sandbox.faults.unavailable("GET /2/users/*/mentions", times=None)
    async with sandbox.running(hearer) as process:
        await sandbox.advance(60)
        (gap, *_) = [each for each in await open_gaps(process) if each.cause == "stopped"]
        assert gap.since <= killed <= gap.since + timedelta(minutes=12)
        assert gap.until is not None
        assert gap.until >= killed + timedelta(hours=3)
        sandbox.faults.clear()
        await sandbox.advance(timedelta(minutes=10))
        assert await open_gaps(process) == []


async def test_a_restart_after_which_each_poll_reads_on_warns_of_no_gap(
    sandbox: Sandbox, hearer: Bot
) -> None:
    @hearer.on(DirectMessage)
    async def read(message: DirectMessage) -> None:
        del message

    async with sandbox.running(hearer) as process:
        await sandbox.advance(timedelta(minutes=2))
        await process.crash()
    with capture_logs() as lines:
        async with sandbox.running(hearer) as process:
            await sandbox.advance(timedelta(minutes=10))
            assert await open_gaps(process) == []
            causes = {gap.cause for gap in await process.store.progress.gaps()}
    assert "stopped" in causes
    assert not [line for line in lines if line["event"].startswith("gap.")]


async def test_what_the_timeline_does_not_show_any_more_is_read_by_recent_search(
    sandbox: Sandbox, hearer: Bot, seen: list[str]
) -> None:
    async with sandbox.running(hearer) as process:
        await process.crash()
    made = burst(sandbox, 2000, apart=timedelta(seconds=2))
    async with sandbox.running(hearer) as process:
        await sandbox.settle()
        await sandbox.advance(timedelta(minutes=10))
        await sandbox.settle()
        (hole,) = [gap for gap in await process.store.progress.gaps() if gap.cause == "reach"]

    assert len(seen) == 2000
    assert set(seen) == set(made)
    assert (hole.state, hole.reason) == ("closed", "read by recent search")


async def test_what_was_made_before_the_first_start_lies_in_no_gap_and_is_not_searched_for(
    sandbox: Sandbox, hearer: Bot, seen: list[str]
) -> None:
    sandbox.user("greeter")
    burst(sandbox, 900, apart=timedelta(milliseconds=10))
    async with sandbox.running(hearer) as process:
        await process.crash()
    made = burst(sandbox, 900, apart=timedelta(milliseconds=10))
    async with sandbox.running(hearer) as process:
        await sandbox.settle()
        await sandbox.advance(timedelta(minutes=15))
        assert await open_gaps(process) == []
        gaps = await process.store.progress.gaps()
    assert "reach" in {gap.cause for gap in gaps}
    assert len(seen) == 900
    assert set(seen) == set(made)


async def test_what_is_older_than_recent_search_shows_stays_in_the_gap(
    sandbox: Sandbox, hearer: Bot
) -> None:
    async with sandbox.running(hearer) as process:
        await process.crash()
    made = burst(sandbox, 1200, apart=timedelta(minutes=15))  # twelve days
    async with sandbox.running(hearer) as process:
        await sandbox.settle()
        await sandbox.advance(timedelta(minutes=10))
        (gap,) = await open_gaps(process)
        kept = {event.key for event in await process.store.events.listing(limit=5000)}

    missed = {post_id: at for post_id, at in made.items() if f"post/{post_id}/0" not in kept}
    assert len(missed) == 400
    assert all(within([gap], at) for at in missed.values())
    assert gap.tried == "mentions, search"
    assert gap.reason.endswith("; X's recent search reaches back 7 days")


async def test_the_search_stops_where_the_budget_does_and_goes_on_when_there_is_more(
    sandbox: Sandbox, hearer: Bot, seen: list[str], tmp_path: Path
) -> None:
    async with sandbox.running(hearer) as process:
        await process.crash()
    (tmp_path / "sandbox" / "greeter" / "botkit.toml").write_text("[budget]\nday_usd = 7\n")
    burst(sandbox, 2000, apart=timedelta(seconds=2))
    async with sandbox.running(hearer) as process:
        await sandbox.settle()
        await sandbox.advance(timedelta(minutes=10))
        (gap,) = await open_gaps(process)
        heard = len(seen)
        assert 800 < heard < 2000
        assert gap.reason == "the search waits for budget until 2025-12-12T00:00:00Z"
        await sandbox.advance(timedelta(hours=14))
        assert await open_gaps(process) == []
    assert len(seen) == 2000


async def test_the_bot_is_told_once_of_a_gap_that_stays_and_once_when_it_is_over(
    sandbox: Sandbox, hearer: Bot
) -> None:
    told: list[tuple[str, str, str]] = []

    @hearer.on(Gap)
    async def note(gap: Gap) -> None:
        told.append((gap.state, gap.cause, gap.reason))

    refused = sandbox.faults.answer("GET /2/tweets/search/recent", status=403, times=None)
    for _ in range(2):  # the second start finds nothing new
        async with sandbox.running(hearer) as process:
            await process.crash()
    burst(sandbox, 900, apart=timedelta(seconds=2))
    async with sandbox.running(hearer) as process:
        await sandbox.advance(timedelta(minutes=30))
        await process.crash()
    async with sandbox.running(hearer):
        await sandbox.advance(timedelta(minutes=30))
        assert [(state, cause) for state, cause, _ in told] == [("open", "reach")]
        assert told[0][2].startswith("X refuses the search")
        refused.times = 0
        await sandbox.advance(timedelta(hours=2))
    assert told[1:] == [("closed", "reach", "read by recent search")]


async def test_a_bot_that_handles_quotes_is_told_that_those_of_a_stop_are_not_heard(
    sandbox: Sandbox,
) -> None:
    bot, told, heard = Bot("greeter"), list[tuple[str, str]](), list[str]()

    @bot.on(Quote)
    async def hear(quote: Quote) -> None:
        heard.append(quote.id)

    @bot.on(Gap)
    async def note(gap: Gap) -> None:
        told.append((gap.state, gap.reason))

    async with sandbox.running(bot) as process:
        mine = sandbox.world.add_post(process.account_id, "a word to all")
        await sandbox.settle()
        await process.crash()
    await sandbox.user("ada").quotes(mine, "well said")
    async with sandbox.running(bot):
        await sandbox.settle()
    assert heard == []
    (last,) = told
    assert last == (
        "given up",
        "read by mentions/greeter, but for quotes, which no timeline of X shows",
    )
