"""Reminders come when they are due, and once."""

from datetime import timedelta

from botkit.sandbox import Sandbox
from examples.reminders import bot


async def test_reminds_when_it_is_time_and_not_before(sandbox: Sandbox) -> None:
    ada = sandbox.user("ada")

    async with sandbox.running(bot):
        await ada.posts("@reminders remind me in 20 minutes to call home")
        await sandbox.advance(timedelta(minutes=19))
        assert sandbox.replies_to(ada) == []

        await sandbox.advance(timedelta(minutes=2))
        await sandbox.settle()

    assert sandbox.replies_to(ada) == ["@ada time to call home"]


async def test_a_reminder_outlives_the_process_and_comes_once(sandbox: Sandbox) -> None:
    ada = sandbox.user("ada")

    async with sandbox.running(bot) as process:
        await ada.posts("@reminders remind me in 1 minute to breathe")
        await process.crash()
    await sandbox.advance(timedelta(minutes=10))
    sandbox.faults.lose_answer("POST /2/tweets")
    async with sandbox.running(bot) as process:
        await sandbox.advance(timedelta(minutes=1))
        await process.crash()
    async with sandbox.running(bot):
        await sandbox.settle()

    assert sandbox.replies_to(ada) == ["@ada time to breathe"]
