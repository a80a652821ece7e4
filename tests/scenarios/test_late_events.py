"""What was heard long after it was made is not answered until a person says so."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from botkit import Actions, Bot, DirectMessage, Mention
from botkit.filters import contains

if TYPE_CHECKING:
    from botkit.sandbox import Sandbox

DAY = timedelta(days=1)


def greeter(**options: timedelta) -> Bot:
    bot = Bot("greeter", may={"message"}, **options)

    @bot.on(Mention, contains("urgent"), answer_within=timedelta(hours=1))
    async def hurry(mention: Mention, act: Actions) -> None:
        await act.reply(mention, f"At once, @{mention.author.username}!")

    @bot.on((Mention, DirectMessage))
    async def greet(event: Mention | DirectMessage, act: Actions) -> None:
        if isinstance(event, Mention):
            await act.reply(event, f"Hello @{event.author.username}!")
        else:
            await act.message(event, "Hello!")

    return bot


async def test_after_three_days_old_mentions_are_late_and_young_ones_are_answered(
    sandbox: Sandbox,
) -> None:
    ada, bob = sandbox.user("ada"), sandbox.user("bob")
    async with sandbox.running(greeter()) as process:
        await process.crash()
    await ada.posts("@greeter hello")
    await ada.messages("greeter", "hello?")
    sandbox.clock.set(sandbox.clock.now() + 3 * DAY)
    await bob.posts("@greeter urgent")
    await bob.posts("@greeter hello")
    sandbox.clock.set(sandbox.clock.now() + timedelta(hours=2))
    async with sandbox.running(greeter()) as process:
        await sandbox.settle()
        assert sandbox.replies_to(ada) == []
        assert sandbox.messages_to(ada) == []
        assert sandbox.replies_to(bob) == ["Hello @bob!"]
        counts = await process.store.events.counts()
        assert (counts["late"], counts["done"]) == (3, 1)

        for event in await process.store.events.listing():
            await process.store.events.revive(event.account_id, event.key)
        await sandbox.advance(5)
        await sandbox.settle()
    assert sandbox.replies_to(ada) == ["Hello @ada!"]
    assert sandbox.messages_to(ada) == ["Hello!"]
    assert sandbox.replies_to(bob) == ["Hello @bob!", "At once, @bob!"]


async def test_a_bot_that_answers_whenever_it_hears_does_so_for_a_week(sandbox: Sandbox) -> None:
    ada, bob = sandbox.user("ada"), sandbox.user("bob")
    bot = greeter(answer_within=timedelta.max)
    async with sandbox.running(bot) as process:
        await process.crash()
    await ada.posts("@greeter hello")
    sandbox.clock.set(sandbox.clock.now() + 2 * DAY)
    await bob.posts("@greeter hello")
    sandbox.clock.set(sandbox.clock.now() + 6 * DAY)
    async with sandbox.running(bot):
        await sandbox.settle()
    assert sandbox.replies_to(ada) == []  # what is older, the store may have forgotten
    assert sandbox.replies_to(bob) == ["Hello @bob!"]
