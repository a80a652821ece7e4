"""Killed at any moment, again and again: each mention is answered, and once."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Self

import pytest

if TYPE_CHECKING:
    from tests.crash.conftest import Machine, World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

KILLS = int(os.environ.get("CRASH_KILLS", "8"))  # noqa: TID251 - a test's own knob
SEED = int(os.environ.get("CRASH_SEED", "7"))  # noqa: TID251


FEW = 8
"""With no more kills than that the test is one of many, and must be quick: what a kill cut off is
only seen to be looked for. tests/scenarios has the minutes that follow, in virtual time."""


def unsettled(machine: Machine) -> set[str]:
    """The posts whose answer was cut off, and is looked for now."""
    done = machine.do("writes", "list", "--json", "--state", "UNCERTAIN")
    assert done.returncode == 0, done.stderr
    return {write["target"] for write in json.loads(done.stdout)}


class Crowd:
    """Users who mention the bot several times a second, from a thread."""

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
        self._thread.join(10)

    def _talk(self) -> None:
        while not self._stop.wait(self._pause_s()):
            n = len(self.posts)
            self.posts.append(self._world.says(f"user{n % 10}", f"@greeter hello {n:06d}"))

    def _pause_s(self) -> float:
        # X takes a hundred posts in 15 minutes: however long it goes on, that must be enough.
        return max(0.3, KILLS * 1.5 / 80)


@pytest.mark.timeout(120 + KILLS * 20)
def test_fault_64_killed_at_random_moments_it_answers_each_mention_once(
    world: World, machine: Machine, until
) -> None:
    chance = random.Random(SEED)
    process = machine.run()
    until(machine.starts)
    with Crowd(world) as crowd:
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.2, 2.5))  # noqa: TID251 - a process lives in real time
            process.kill()
            process.wait()
            before = machine.starts()
            process = machine.run()
    until(lambda: machine.starts() > before, why=machine.said)
    answered: Counter[str] = Counter()

    def all_answered() -> bool:
        answered.clear()
        answered.update(post["reply_to"] for post in world.replies())
        return set(crowd.posts) <= set(answered) | settling

    settling = set() if KILLS > FEW else unsettled(machine)
    # What was under way at a kill is looked for for three minutes at most, then sent again.
    until(all_answered, within_s=30 if KILLS <= FEW else 240, why=machine.said)
    assert set(answered) <= set(crowd.posts)
    assert {post for post, times in answered.items() if times > 1} == set()
    assert len(answered) >= len(crowd.posts) - KILLS
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert "Traceback" not in machine.said()


def test_after_kill_9_the_next_start_does_not_wait_for_the_dead_ones_lease(
    world: World, machine: Machine, until
) -> None:
    process = machine.run()
    until(world.listeners)
    process.kill()
    process.wait()
    until(lambda: not world.listeners())

    before = time.monotonic()  # noqa: TID251
    machine.run()
    until(world.listeners)
    took_s = time.monotonic() - before  # noqa: TID251

    assert took_s < 6  # the lease would last ten seconds more; the start of Python counts too


def test_two_processes_on_one_store_the_second_refuses_and_names_the_first(
    world: World, machine: Machine, until
) -> None:
    first = machine.run()
    until(world.listeners)

    second = machine.do("run", "bot.py:bot")

    assert second.returncode == 5
    (line,) = [line for line in second.stderr.splitlines() if line.startswith("botkit: ")]
    assert f"Process {first.pid} on " in line
    assert "runs a bot on this store" in line
    assert "Traceback" not in second.stderr + second.stdout
    world.says("greeter", "still here")
    assert first.poll() is None
