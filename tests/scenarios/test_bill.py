"""What the store has booked is what X charged, to the cent, whatever happened on that day.

The sandbox charges by a table and code of its own. That X counts a day for each app, and a
delivered post as one that was read, is assumed in both: docs/explanation/cost.md says so.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from botkit import Actions, Bot, DirectMessage, Mention, Quote, Reply
from botkit.errors import LinkNotAllowed
from botkit.model.records import EventState, WriteState
from botkit.runtime.writes.checks.budget import BudgetLimits
from botkit.sandbox import Sandbox
from botkit.text import keep_from_linking

if TYPE_CHECKING:
    from botkit.sandbox.harness.process import Process

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def answering() -> Bot:
    """Return a bot that hears all there is to hear, and answers what it may."""
    bot = Bot("greeter", may={"post", "reply", "message"})

    @bot.on(Mention)
    async def greet(mention: Mention, act: Actions) -> None:
        await act.reply(mention, f"Hello {mention.post.id}")

    @bot.on(Reply)
    async def hear(reply: Reply) -> None:
        """Only hear it."""

    @bot.on(Quote)
    async def note(quote: Quote) -> None:
        """Only hear it."""

    @bot.on(DirectMessage)
    async def serve(message: DirectMessage, act: Actions) -> None:
        if not message.sent_by_me:
            await act.message(message, f"Got {message.id}")

    return bot


async def booked(process: Process) -> Decimal:
    entries = await process.store.ledger.spent(process.account_id, since=LONG_AGO)
    return sum((entry.reads_usd + entry.writes_usd for entry in entries), Decimal(0))


async def test_ten_idle_restarts_cost_nothing(sandbox: Sandbox) -> None:
    bot = answering()
    ada = sandbox.user("ada")
    async with sandbox.running(bot) as process:
        for n in range(30):
            await ada.posts(f"@greeter number {n}")
        await sandbox.settle()
    before = sandbox.spent_usd
    for _ in range(10):
        async with sandbox.running(bot) as process:
            await sandbox.advance(timedelta(minutes=1))
            assert sandbox.spent_usd == before
            assert await booked(process) == before


async def test_twenty_five_cuts_of_the_stream_are_booked_as_they_are_charged(
    sandbox: Sandbox,
) -> None:
    bot = answering()
    ada, bob = sandbox.user("ada"), sandbox.user("bob")
    async with sandbox.running(bot) as process:
        for n in range(25):
            sandbox.faults.cut_streams()
            await ada.posts(f"@greeter number {n}")
            await bob.messages("greeter", f"number {n}")
            await sandbox.advance(timedelta(minutes=10))
        await sandbox.settle()
        assert await booked(process) == sandbox.spent_usd


@pytest.mark.parametrize("end", ["crash", "stop"])
async def test_a_day_of_cuts_restarts_bursts_and_overlap_is_booked_to_the_cent(
    sandbox: Sandbox, end: str
) -> None:
    bot = answering()
    ada, bob = sandbox.user("ada"), sandbox.user("bob")
    for hour in range(0, 27, 3):  # past 00:00 UTC: what is read again then is charged again
        async with sandbox.running(bot) as process:
            sandbox.faults.duplicate_events(3)
            for n in range(4):
                await ada.posts(f"@greeter hour {hour} number {n}")
            await bob.messages("greeter", f"hour {hour}")
            *_, answer = sandbox.world.posts_by(process.account_id)
            await bob.quotes(answer, f"see this {hour}")
            await bob.replies(answer, f"no, that {hour}")
            sandbox.faults.cut_streams()
            await bob.posts(f"@greeter and this {hour}")
            await sandbox.advance(timedelta(minutes=50))
            assert await booked(process) == sandbox.spent_usd, hour
            await ada.posts(f"@greeter at the end {hour}")
            if end == "crash":
                await process.crash()
        await ada.posts(f"@greeter unheard {hour}")
        await sandbox.clock.advance(timedelta(minutes=130))
    async with sandbox.running(bot) as process:
        await sandbox.settle()
        assert await booked(process) == sandbox.spent_usd


async def test_an_answer_to_who_named_the_account_and_to_who_did_not_is_booked_as_charged(
    sandbox: Sandbox,
) -> None:
    """The price of a reply to an implied mention is assumed: docs/explanation/cost.md says so."""
    bot = Bot("greeter", may={"post", "reply"})

    @bot.on((Mention, Reply, Quote))
    async def answer(event: Mention | Reply | Quote, act: Actions) -> None:
        await act.reply(event.post, f"Hello {event.post.id}")

    ada = sandbox.user("ada")
    async with sandbox.running(bot) as process:
        await ada.posts("@greeter hello")
        await sandbox.settle()
        (greeting,) = sandbox.world.posts_by(process.account_id)
        await ada.replies(greeting, "no @ before me")
        await ada.quotes(greeting, "see this")
        await sandbox.settle()
        assert await booked(process) == sandbox.spent_usd
        entries = await process.store.ledger.spent(process.account_id, since=LONG_AGO)
        assert sum(entry.writes_usd for entry in entries) == Decimal("0.035")


async def test_what_x_took_without_an_answer_is_booked_once_and_what_it_did_not_take_never(
    sandbox: Sandbox,
) -> None:
    bot = answering()
    ada = sandbox.user("ada")
    async with sandbox.running(bot) as process:
        sandbox.faults.lose_answer("POST /2/tweets")
        await ada.posts("@greeter one")
        await sandbox.settle()
        sandbox.faults.unavailable("POST /2/tweets")
        await ada.posts("@greeter two")
        await sandbox.settle()
        sandbox.faults.rate_limit("POST /2/tweets")
        await ada.posts("@greeter three")
        await sandbox.settle()
        assert len(sandbox.replies_to(ada)) == 3
        assert await booked(process) == sandbox.spent_usd


async def test_an_answer_to_a_mention_costs_what_the_page_says(sandbox: Sandbox) -> None:
    ada = sandbox.user("ada")
    async with sandbox.running(answering()) as process:
        before = sandbox.spent_usd, await booked(process)
        await ada.posts("@greeter hello")
        await sandbox.settle()
        after = sandbox.spent_usd, await booked(process)
    assert [now - then for now, then in zip(after, before, strict=True)] == [Decimal("0.015")] * 2


async def test_a_stop_by_the_budget_says_why_and_until_when(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "botkit.bot.compose_client.limits_of", lambda _: BudgetLimits(hour_usd=Decimal("0.040"))
    )
    ada = sandbox.user("ada")
    async with sandbox.running(answering()) as process:
        for n in range(3):
            await ada.posts(f"@greeter number {n}")
        assert len(sandbox.replies_to(ada)) == 2  # 0.010 for the login, 0.015 for each mention
        (waiting,) = await process.store.events.listing(state=EventState.WAITING)
        hour = sandbox.clock.now().replace(minute=0, second=0, microsecond=0)
        assert waiting.waiting_for == "budget"
        assert waiting.not_before == hour + timedelta(hours=1)
        await sandbox.settle()
        assert len(sandbox.replies_to(ada)) == 3


@pytest.mark.parametrize(
    "text",
    [
        "Use asyncio.run and see e.g. node.js",
        "read README.md",
        "https://example.org/a and example.com",
        "berlin.berlin is a city",
        "no link in e.g. this",
        "dots...everywhere and v1.2.3",
        keep_from_linking("Use asyncio.run and see e.g. node.js"),
    ],
)
async def test_a_text_costs_what_was_said_and_what_is_refused_would_have_cost_that(
    sandbox: Sandbox, text: str
) -> None:
    told: list[str] = []
    bot = Bot("greeter")

    @bot.on(Mention)
    async def greet(mention: Mention, act: Actions) -> None:
        try:
            await act.reply(mention, text, links="refuse")
        except LinkNotAllowed as refused:
            told.append(str(refused))
        await act.post(f"{text} again", links="allow")

    async with sandbox.running(bot) as process:
        before = sandbox.spent_usd + Decimal("0.005")
        await sandbox.user("ada").posts("@greeter hello")
        await sandbox.settle()
        writes = await process.store.writes.listing(states=[WriteState.CONFIRMED])
        assert await booked(process) == sandbox.spent_usd
    assert sum(write.cost_usd for write in writes) == sandbox.spent_usd - before
    (post,) = [write for write in writes if not write.target]
    assert len(writes) + len(told) == 2
    assert all(f"{post.cost_usd} USD" in why for why in told)


async def test_hearing_stops_at_its_ceiling_says_so_and_goes_on_the_next_day(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = BudgetLimits(hearing_day_usd=Decimal("0.050"))
    monkeypatch.setattr("botkit.bot.compose_client.limits_of", lambda _: limits)
    bot, ada = answering(), sandbox.user("ada")
    async with sandbox.running(bot) as process:
        for n in range(20):
            await ada.posts(f"@greeter number {n}")
        await sandbox.advance(timedelta(hours=1))
        assert len(sandbox.replies_to(ada)) == 8  # 0.010 went for the login
        entries = await process.store.ledger.spent(process.account_id, since=LONG_AGO)
        look_usd = Decimal("0.005")  # one own post, to look for a copy of the store
        assert sum(entry.reads_usd for entry in entries) == Decimal("0.050") + look_usd
        (gap,) = [g for g in await process.store.progress.gaps() if g.source == "mentions"]
        assert (gap.state, gap.cause, gap.until) == ("open", "budget", None)
        reports = {report.part: report for report in await process.store.progress.reports()}
        midnight = sandbox.clock.now().replace(hour=0, minute=0, second=0) + timedelta(days=1)
        until = f"{midnight:%Y-%m-%dT%H:%M:%SZ}"
        assert reports["mentions/greeter"].detail.endswith(f"is spent until {until}")
    async with sandbox.running(bot) as process:  # a new process knows it, too
        await sandbox.advance(timedelta(hours=1))
        assert len(sandbox.replies_to(ada)) == 8
        await sandbox.clock.advance(midnight - sandbox.clock.now() + timedelta(minutes=10))
        await sandbox.settle()
        assert len(sandbox.replies_to(ada)) == 20  # one poll reads to its end
        gaps = [g for g in await process.store.progress.gaps() if g.cause == "budget"]
        # The bot handles quotes, which no timeline shows: the gap of the mentions stays one.
        assert {(gap.source, gap.state) for gap in gaps if gap.until} == {
            ("messages", "closed"),
            ("mentions", "given up"),
        }
        assert await booked(process) == sandbox.spent_usd
