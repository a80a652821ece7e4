"""What X shows late is heard, and what was answered long ago is not heard again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from botkit import Actions, Bot, Mention

if TYPE_CHECKING:
    from botkit.sandbox import Sandbox


def once(paid: list[str]) -> Bot:
    """A bot whose answer costs money each time that it is made."""
    bot = Bot("greeter")

    async def model(text: str) -> str:
        paid.append(text)
        return f"Answer {len(paid)}"

    @bot.on(Mention)
    async def greet(mention: Mention, act: Actions) -> None:
        await act.reply(mention, await act.once("model", model, mention.text))

    return bot


async def test_a_mention_that_x_shows_a_minute_after_a_newer_one_is_answered(
    sandbox: Sandbox,
) -> None:
    paid: list[str] = []
    ada = sandbox.user("ada")
    sandbox.faults.unavailable("GET /2/activity/stream", times=None)  # only the poll hears
    async with sandbox.running(once(paid)):
        sandbox.faults.late_ids(100)
        await ada.posts("@greeter late")
        sandbox.faults.late_ids(0)
        await sandbox.advance(5)
        await ada.posts("@greeter newer")
        await sandbox.advance(timedelta(minutes=20))

    assert sorted(paid) == ["@greeter late", "@greeter newer"]
    assert len(sandbox.replies_to(ada)) == 2


async def test_a_bot_that_hears_nothing_for_months_answers_no_old_mention_again(
    sandbox: Sandbox,
) -> None:
    paid: list[str] = []
    ada = sandbox.user("ada")
    bot = once(paid)
    async with sandbox.running(bot) as process:
        await ada.posts("@greeter one")
        await ada.posts("@greeter two")
        await sandbox.advance(timedelta(minutes=6))
        await process.crash()
    for _ in range(4):
        sandbox.clock.set(sandbox.clock.now() + timedelta(days=25))
        async with sandbox.running(bot) as process:
            await sandbox.advance(timedelta(hours=2))
            await process.crash()

    assert paid == ["@greeter one", "@greeter two"]
    assert len(sandbox.replies_to(ada)) == 2
