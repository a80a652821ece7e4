"""A mention every 10 ms while the bot is killed and cut off: each is heard once or in a gap."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from botkit import Bot, Mention

if TYPE_CHECKING:
    from datetime import datetime

    from botkit.sandbox import Sandbox

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MENTIONS = 1500


class Shower:
    """Mentions by ada, one every 10 ms, and when each was made."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._ada = sandbox.user("ada")
        self.made: dict[str, datetime] = {}

    async def fall(self, count: int) -> None:
        """Let so many fall."""
        for _ in range(count):
            text = f"@greeter number {len(self.made)}"
            post = self._sandbox.world.add_post(self._ada.id, text)
            self.made[post.id] = post.created_at
            await self._sandbox.clock.advance(0.01)


@pytest.mark.parametrize("searches", [True, False])
async def test_each_of_many_mentions_is_heard_once_or_lies_in_a_gap(
    sandbox: Sandbox, *, searches: bool
) -> None:
    heard: Counter[str] = Counter()
    bot = Bot("greeter")

    @bot.on(Mention)
    async def hear(mention: Mention) -> None:
        heard[mention.id] += 1

    chance, shower = random.Random(7), Shower(sandbox)
    if not searches:
        sandbox.faults.answer("GET /2/tweets/search/recent", status=403, times=None)
    async with sandbox.running(bot):
        pass
    while len(shower.made) < MENTIONS:
        async with sandbox.running(bot) as process:
            await shower.fall(chance.randrange(50, 200))
            sandbox.faults.unavailable("GET /2/activity/stream", times=chance.randrange(1, 4))
            sandbox.faults.cut_streams()
            await shower.fall(chance.randrange(50, 200))
            await process.crash()
        await shower.fall(chance.randrange(700, 900))
    async with sandbox.running(bot) as process:
        await sandbox.advance(timedelta(hours=1))
        await sandbox.settle()
        gaps = await process.store.progress.gaps(state="open", limit=1000)

    missed = {post_id: at for post_id, at in shower.made.items() if not heard[post_id]}
    spans = [(gap.since, gap.until) for gap in gaps if gap.until is not None]
    outside = [at for at in missed.values() if not any(a <= at <= b for a, b in spans)]
    assert set(heard.values()) == {1}
    assert outside == []
    assert bool(missed) is not searches
