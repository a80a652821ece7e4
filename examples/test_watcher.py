"""The watcher counts what its search finds, and answers those who summon it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from examples.watcher import bot

if TYPE_CHECKING:
    from botkit.sandbox import Sandbox

TEN_MINUTES = timedelta(minutes=10)


async def test_what_the_search_finds_is_counted_and_told(sandbox: Sandbox) -> None:
    ada, bob = sandbox.user("ada"), sandbox.user("bob")
    async with sandbox.running(bot):
        await ada.posts("Nothing beats oolong tea")
        await bob.posts("Coffee, please")
        await sandbox.advance(TEN_MINUTES)
        await bob.posts("@teawatcher how many?")
        await sandbox.settle()
    assert sandbox.replies_to(bob) == ["1 posts on oolong tea so far, the last one by ada."]
    assert sandbox.replies_to(ada) == []


async def test_who_names_the_bot_beside_the_tea_is_answered_once(sandbox: Sandbox) -> None:
    ada = sandbox.user("ada")
    async with sandbox.running(bot):
        await ada.posts("@teawatcher oolong tea is the best")
        await sandbox.advance(TEN_MINUTES)
    assert sandbox.replies_to(ada) == ["Oolong! I have counted this one."]


async def test_a_restart_keeps_the_tally(sandbox: Sandbox) -> None:
    ada = sandbox.user("ada")
    async with sandbox.running(bot):
        await ada.posts("oolong tea again")
        await sandbox.advance(TEN_MINUTES)
    async with sandbox.running(bot):
        await sandbox.advance(TEN_MINUTES)
        await ada.posts("@teawatcher how many")
        await sandbox.settle()
    assert sandbox.replies_to(ada) == ["1 posts on oolong tea so far, the last one by ada."]
