"""Live random days of cuts, losses, restarts and bursts, and compare the bookings with the bill.

    python -m tests.scenarios.random_days --seeds 0-199

`test_random_days.py` runs a few of them.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import tempfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from msgspec import Struct, field

from botkit import Actions, Bot, DirectMessage, Mention, Quote, Reader, Reply
from botkit.sandbox import Sandbox

if TYPE_CHECKING:
    from botkit.sandbox.harness.process import Process

__all__ = ["Day", "live"]

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_READS = (
    "GET /2/users/me",
    "GET /2/users/*/mentions",
    "GET /2/users/*/tweets",
    "GET /2/users",
    "GET /2/users/by",
    "GET /2/tweets/*",
    "GET /2/tweets/search/recent",
    "GET /2/dm_events",
    "GET /2/**",
)
_CALLS = (*_READS, "POST /2/tweets", "POST /2/dm_conversations/**", "GET /2/activity/stream")

_MISHAPS = ("lose", "lose", "lose", "fail", "cut", "offline")
_ALL = (
    *("burst", "burst", "message", "quote", "reply", "ask", "ask"),
    *_MISHAPS,
    *("wait", "wait", "wait"),
)


class Day(Struct, kw_only=True):
    """Hold how a day ended, USD."""

    seed: int
    charged: Decimal = Decimal(0)
    booked: Decimal = Decimal(0)
    given_up: Decimal = Decimal(0)
    """The most that those reads cost whose answer was lost and that could not be read again."""
    what: list[str] = field(default_factory=list[str])

    @property
    def end(self) -> str:
        """Return how the bookings compare with the bill."""
        differs = self.booked - self.charged
        if not differs:
            return "equal"
        if differs < 0:
            return "too little"
        return "at most" if differs <= self.given_up else "too much"


def curious() -> Bot:
    """Return a bot that hears all there is to hear, looks users and posts up, and answers."""
    bot = Bot("greeter", may={"post", "reply", "message"})

    @bot.on(Mention)
    async def greet(mention: Mention, act: Actions, reader: Reader) -> None:
        if "who" in mention.post.text:
            await reader.user("carl")
        if "what" in mention.post.text:
            await reader.post(mention.post.id)
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


class _Life:
    """Lets chance act on one bot for a day."""

    def __init__(self, sandbox: Sandbox, chance: random.Random) -> None:
        self._sandbox = sandbox
        self._chance = chance
        self.ada = sandbox.user("ada")
        self._bob = sandbox.user("bob")
        sandbox.user("carl")
        self.what: list[str] = []

    async def act(self, process: Process) -> None:
        """Do one thing."""
        what = self._chance.choice(_ALL)
        self.what.append(what)
        if what in _MISHAPS:
            self._break(what)
        else:
            await self._do(what, process)

    async def _do(self, what: str, process: Process) -> None:
        chance, n = self._chance, len(self.what)
        match what:
            case "burst":
                for i in range(chance.randrange(1, 8)):
                    await self.ada.posts(f"@greeter number {n}.{i}")
            case "message":
                await self._bob.messages("greeter", f"number {n}")
            case "ask":
                await self.ada.posts(f"@greeter {chance.choice(('who', 'what'))} is it {n}")
            case "wait":
                await self._sandbox.advance(timedelta(minutes=chance.randrange(1, 90)))
            case _:
                mine = self._sandbox.world.posts_by(process.account_id)
                verb = self._bob.quotes if what == "quote" else self._bob.replies
                if mine:
                    await verb(mine[-1], f"see {n}")

    def _break(self, what: str) -> None:
        chance, faults = self._chance, self._sandbox.faults
        match what:
            case "lose":
                kind = chance.choice(("lose_answer", "cut_answer", "stall", "reset"))
                call, times = chance.choice(_CALLS), chance.randrange(1, 5)
                self.what[-1] = f"{kind} {call} {times}"
                getattr(faults, kind)(call, times=times)
            case "fail":
                faults.unavailable(chance.choice(_CALLS), times=chance.randrange(1, 3))
            case "cut":
                faults.cut_streams()
            case _:
                faults.reset("GET /2/**", times=chance.randrange(1, 9))


async def booked(process: Process) -> Decimal:
    """Return what the store has booked."""
    entries = await process.store.ledger.spent(process.account_id, since=LONG_AGO)
    return sum((entry.reads_usd + entry.writes_usd for entry in entries), Decimal(0))


async def live(seed: int, folder: Path) -> Day:
    """Live one day, past midnight UTC."""
    chance, sandbox = random.Random(seed), Sandbox(folder, seed=f"day {seed}")
    bot, life = curious(), _Life(sandbox, chance)
    end = sandbox.clock.now() + timedelta(hours=chance.randrange(20, 40))
    while sandbox.clock.now() < end:
        async with sandbox.running(bot) as process:
            for _ in range(chance.randrange(1, 12)):
                await life.act(process)
            if chance.random() < 0.5:
                life.what.append("crash")
                await process.crash()
            else:
                life.what.append("stop")
        await life.ada.posts(f"@greeter unheard {len(life.what)}")
        await sandbox.clock.advance(timedelta(minutes=chance.choice((1, 5, 60, 200))))
    sandbox.faults.clear()
    async with sandbox.running(bot) as process:
        await sandbox.settle(may_fail=True)
        await sandbox.advance(timedelta(minutes=20))
        reads = await process.store.ledger.open_reads()
        return Day(
            given_up=sum((read.most_usd for read in reads if read.given_up), Decimal(0)),
            seed=seed,
            charged=sandbox.spent_usd,
            booked=await booked(process),
            what=life.what,
        )


def main() -> None:
    """Live the days and print how each ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0-19", help="first-last")
    parser.add_argument("-v", action="store_true", help="print what happened")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    first, _, last = given.seeds.partition("-")
    ends: dict[str, int] = {}
    for seed in range(int(first), int(last or first) + 1):
        with tempfile.TemporaryDirectory() as folder:
            day = asyncio.run(live(seed, Path(folder)))
        ends[day.end] = ends.get(day.end, 0) + 1
        print(seed, day.end, day.charged, day.booked, day.given_up, flush=True)
        if given.v and day.end != "equal":
            print("  ", *day.what, sep="\n   ")
    print(ends)


if __name__ == "__main__":
    main()
