"""Faults of the network and of time that no other test tries, by their numbers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from botkit import Actions, Bot, Mention

if TYPE_CHECKING:
    from botkit.sandbox import Process, Sandbox

MINUTE = timedelta(minutes=1)


def greeter() -> Bot:
    bot = Bot("greeter", answer_within=timedelta(days=7))

    @bot.on(Mention)
    async def greet(mention: Mention, act: Actions) -> None:
        await act.reply(mention, f"Hello @{mention.author.username}!")

    return bot


def live(process: Process) -> set[str]:
    """Which of the sources work."""
    reports = process._runtime.reports.current
    return {part for part, report in reports.items() if report.state == "live"} & {
        "activity/default",
        "mentions/greeter",
    }


async def test_fault_1_a_bot_that_starts_without_x_is_not_ready_and_recovers_by_itself(
    sandbox: Sandbox,
) -> None:
    ada = sandbox.user("ada")
    async with sandbox.running(greeter()):
        pass
    away = sandbox.faults.reset("* /**", times=None)
    async with sandbox.running(greeter()) as process:
        await sandbox.advance(5 * MINUTE)
        assert live(process) == set()
        assert 2 <= away.hits <= 100
        sandbox.faults.clear()
        await sandbox.advance(6 * MINUTE)
        assert live(process) == {"activity/default", "mentions/greeter"}
        await ada.posts("@greeter hello")
        await sandbox.settle()
    assert sandbox.replies_to(ada) == ["Hello @ada!"]


async def test_fault_13_ten_minutes_without_x_cost_few_calls_and_no_mention(
    sandbox: Sandbox,
) -> None:
    ada = sandbox.user("ada")
    async with sandbox.running(greeter()) as process:
        away = sandbox.faults.reset("* /**", times=None)
        sandbox.faults.cut_streams()
        await ada.posts("@greeter hello")
        await sandbox.advance(10 * MINUTE)
        # X's table: 250 ms more each time, up to 16 s, for the stream; doubling for the poll.
        assert 30 <= away.hits <= 130
        sandbox.faults.clear()
        await sandbox.advance(6 * MINUTE)
        await sandbox.settle()
        assert live(process) == {"activity/default", "mentions/greeter"}
    assert sandbox.replies_to(ada) == ["Hello @ada!"]


async def test_fault_62_after_two_days_asleep_the_gap_is_read_and_one_refresh_made(
    sandbox: Sandbox,
) -> None:
    ada = sandbox.user("ada")
    async with sandbox.running(greeter()):
        sandbox.faults.drop_events(1)  # what X sent while the machine slept
        await ada.posts("@greeter hello")
        refreshes = _refreshes(sandbox)
        await sandbox.clock.stand_still(timedelta(days=2))
        await sandbox.advance(5 * MINUTE)
        await sandbox.settle()
        assert _refreshes(sandbox) == refreshes + 1
    assert sandbox.replies_to(ada) == ["Hello @ada!"]


def _refreshes(sandbox: Sandbox) -> int:
    log = sandbox.world.grants.log
    return sum(use.grant_type == "refresh_token" for use in log)
