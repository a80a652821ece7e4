"""A year in a day: one mention a day and nothing else, 400 days of virtual time.

    python -m tests.year [DAYS]

Each mention has to be answered once, nothing is handled again, and the store stays as large as
what it keeps. It takes minutes, so it is a target of its own (`make year`), not a test of CI.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections import Counter
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

from msgspec.structs import replace

from botkit import Actions, Bot, Mention
from botkit.sandbox import Sandbox
from botkit.sandbox.harness import process as process_module
from botkit.sandbox.world.rules import WorldRules
from botkit.sources.push import lines
from botkit.telemetry.log import set_up_logging

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botkit.sandbox import Process

DAYS = 400
SETTLED = 120
"""From this day on nothing is kept longer (writes and costs are kept for 90 days)."""
RESTART_EVERY = 10
LIVELY_S = 1800.0
"""Signs of life every half an hour instead of every 20 s: a day in a second, not in ten."""


def answering(handled: Counter[str]) -> Bot:
    """Return a bot that answers each mention."""
    bot = Bot("greeter")

    @bot.on(Mention)
    async def greet(mention: Mention, act: Actions) -> None:
        handled[mention.id] += 1
        await act.reply(mention, f"Hello on {mention.at:%Y-%m-%d}")

    return bot


async def size_of(process: Process, folder: Path) -> tuple[int, int, int]:
    """Return how many events and writes the store has, and its bytes."""
    events = len(await process.store.events.listing(limit=10_000))
    writes = len(await process.store.writes.listing(limit=10_000))
    return events, writes, await asyncio.to_thread(_bytes_of_store, folder)


def _bytes_of_store(folder: Path) -> int:
    """Return the bytes of the database, without its log, which has a bound of its own."""
    return sum(path.stat().st_size for path in folder.rglob("botkit.db"))


async def live(days: int, folder: Path) -> list[str]:
    """Live through so many days; return what went wrong."""
    handled: Counter[str] = Counter()
    bot = answering(handled)
    sandbox = Sandbox(folder, rules=WorldRules(keep_alive_s=LIVELY_S))
    ada = sandbox.user("ada")
    sizes: dict[int, tuple[int, int, int]] = {}
    for first in range(0, days, RESTART_EVERY):
        async with sandbox.running(bot) as process:
            for day in range(first, min(first + RESTART_EVERY, days)):
                await ada.posts(f"@greeter day {day}")
                await sandbox.advance(timedelta(days=1))
                sizes[day] = await size_of(process, folder)
            await process.crash()
        sys.stdout.write(f"day {day + 1}: {sizes[day]}\n")
    return judged(days, handled, sandbox.replies_to(ada), sizes)


def judged(
    days: int, handled: Counter[str], replies: list[str], sizes: dict[int, tuple[int, int, int]]
) -> list[str]:
    """Return what is wrong."""
    faults = [f"{post} was handled {n} times" for post, n in handled.items() if n != 1]
    if len(handled) != days:
        faults.append(f"{len(handled)} of {days} mentions were handled")
    if len(replies) != days or len(set(replies)) != days:
        faults.append(f"{len(replies)} answers to {days} mentions")
    if days > SETTLED:
        before, after = sizes[SETTLED], sizes[days - 1]
        if any(now > then * 1.1 + 5 for now, then in zip(after, before, strict=True)):
            faults.append(f"the store grew from {before} to {after}")
    return faults


@contextmanager
def few_signs_of_life() -> Iterator[None]:
    """Let the sandbox and botkit give signs of life only each half hour."""
    pace = replace(
        process_module._PACE,
        poll_s=600.0,
        lease_ttl_s=2 * LIVELY_S,
        lease_renew_s=LIVELY_S / 2,
        keeper_ttl_s=2 * LIVELY_S,
        keeper_renew_s=LIVELY_S / 2,
    )
    with (
        patch.object(process_module, "_PACE", pace),
        patch.object(lines, "_SILENCE_S", 1.5 * LIVELY_S),
    ):
        yield


def main() -> int:
    """Return 1 if something went wrong."""
    set_up_logging(level="error", as_json=False, secrets=[])
    days = int(sys.argv[1]) if len(sys.argv) > 1 else DAYS
    with tempfile.TemporaryDirectory() as folder, few_signs_of_life():
        faults = asyncio.run(live(days, Path(folder)))
    sys.stdout.write("".join(f"{fault}\n" for fault in faults) or f"{days} days: all well\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
