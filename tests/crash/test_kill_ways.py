"""Killed again and again while X delivers by stream, by webhook or to polls: answered once.

Each start hears by another way, chosen at random, on one store: what one way brought comes by the
others, too, and X makes its webhook deliveries again. Judged by what the simulated X holds.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Self
from urllib.error import URLError

import pytest

from tests.crash.conftest import free_port, installed, served

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crash.conftest import Machine, World

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("WAYS_KILLS", "4"))  # noqa: TID251 - a test's own knob
SEED = int(os.environ.get("CRASH_SEED", "7"))  # noqa: TID251
EVERY_S = 0.1
WAYS = ("stream", "webhook", "poll")


class Crowd:
    """Users who mention the bot ten times a second, from a thread."""

    def __init__(self, world: World) -> None:
        self.posts: list[str] = []
        self._world = world
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._talk, daemon=True)
        for n in range(10):
            world.call("/sandbox/users", {"username": f"user{n}"})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(20)

    def _talk(self) -> None:
        while not self._stop.wait(EVERY_S):
            n = len(self.posts)
            with suppress(URLError):  # a machine that is too busy: one mention less
                self.posts.append(self._world.says(f"user{n % 10}", f"@greeter hello {n:06d}"))


def ways_of(chance: random.Random) -> list[str]:
    """A way for each start, all three in turn, shuffled; the last start hears by the webhook."""
    turns = [chance.sample(WAYS, len(WAYS)) for _ in range(KILLS // len(WAYS) + 1)]
    return [*[way for turn in turns for way in turn][:KILLS], "webhook"]


def start(machine: Machine, way: str) -> int:
    """Start the bot so; return how many starts there were before."""
    machine._environment["BOTKIT_BOT__SOURCE"] = way
    before = machine.starts()
    machine.run()
    return before


@pytest.mark.timeout(420 + KILLS * 40)
def test_by_whatever_way_it_hears_each_mention_is_answered_once(tmp_path: Path, until) -> None:
    chance = random.Random(SEED)
    with served(tmp_path, "--no-rate-limits") as world:
        machine = installed(tmp_path, world)
        port = free_port()
        machine._environment |= {
            "BOTKIT_WEBHOOK__PUBLIC_URL": f"http://127.0.0.1:{port}/x/deliveries",
            "BOTKIT_HTTP__PORT": str(port),
            "BOTKIT_LOG__LEVEL": "info",
            "BOTKIT_BUDGET__DAY_USD": "1000000",  # a long run answers thousands
        }
        try:
            machine.authorize()
            judge(world, machine, chance, until)
        finally:
            machine.end()


def judge(world: World, machine: Machine, chance: random.Random, until) -> None:
    first, *others = ways_of(chance)
    before = start(machine, first)
    until(lambda: machine.starts() > before, why=machine.said)
    with Crowd(world) as crowd:
        for way in others:
            # Some die before they hear, most while they answer.
            time.sleep(chance.uniform(0.2, 6.0))  # noqa: TID251 - a process lives in real time
            process = machine._processes[-1]
            process.kill()
            process.wait()
            before = start(machine, way)
    until(lambda: machine.starts() > before, why=machine.said)
    answered: Counter[str] = Counter()

    def all_answered() -> bool:
        # What ran at two deaths is set aside, and is for a person to run again.
        assert machine.do("events", "retry", "--all").returncode == 0
        answered.clear()
        answered.update(post["reply_to"] for post in world.replies())
        return set(crowd.posts) <= set(answered)

    # What was under way at a kill is looked for for three minutes at most, then sent again.
    with suppress(BaseException):  # said below, in figures
        until(all_answered, within_s=360)
    all_answered()
    deliveries = world.call("/sandbox/state")["deliveries"]
    unanswered = set(crowd.posts) - set(answered)
    twice = {post for post, times in answered.items() if times > 1}
    print(  # noqa: T201 - the long run is made for these figures
        f"{KILLS} kills, {len(crowd.posts)} mentions: {len(unanswered)} unanswered,"
        f" {len(twice)} answered twice; webhook {deliveries}"
    )
    process = machine._processes[-1]
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert unanswered == set(), machine.said()[-4000:]
    assert twice == set()
    assert set(answered) <= set(crowd.posts)
    assert "Traceback" not in machine.said()
