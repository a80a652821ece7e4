"""A machine whose clock is wrong, or whose store is older than what X shows, does nothing twice."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botkit import Actions, Bot, Mention

if TYPE_CHECKING:
    from botkit.sandbox import Sandbox
    from botkit.sandbox.harness.clock import VirtualClock

DAY = timedelta(days=1)


def talking() -> tuple[Bot, list[str]]:
    """A bot whose text is another one each time, as a model's is; and what it answered."""
    answered: list[str] = []
    bot = Bot("greeter")

    @bot.on(Mention)
    async def talk(mention: Mention, act: Actions) -> None:
        answered.append(mention.post.id)
        await act.reply(mention, f"Thought number {len(answered)}")

    return bot, answered


class Ahead:
    """A clock of the machine that is ahead of X's by so much."""

    def __init__(self, clock: VirtualClock, by: timedelta) -> None:
        self._clock = clock
        self._by = by

    def now(self) -> datetime:
        return self._clock.now() + self._by

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clock, name)


def machine_of(sandbox: Sandbox) -> Any:
    return sandbox._homes["greeter"]


async def test_a_start_with_the_clock_months_ahead_answers_and_forgets_nothing(
    sandbox: Sandbox,
) -> None:
    bot, _ = talking()
    ada = sandbox.user("ada")
    async with sandbox.running(bot) as process:
        for n in range(10):
            await ada.posts(f"@greeter number {n}")
        await sandbox.settle()
        before = dict(await process.store.events.counts())

    machine_of(sandbox).clock = Ahead(sandbox.clock, 100 * DAY)
    async with sandbox.running(bot) as process:
        await sandbox.advance(2 * 3600)
        after = dict(await process.store.events.counts())

    assert len(sandbox.replies_to(ada)) == 10
    assert after == before
