"""The other example bots, killed at any moment: what was asked of them happens, and once."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import pytest

from tests.crash.conftest import Machine, World, installed, served
from tests.crash.test_kill import FEW, KILLS, SEED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.slow, pytest.mark.timeout(360 + KILLS * 20)]

EXAMPLES = Path(__file__).parents[2] / "examples"
USERS = 7
SETTLED_S = 300
"""What was under way at a kill is looked for for three minutes at most, then sent again."""


class Errand(NamedTuple):
    """Something that a user asks of the bot, and what must come of it."""

    bot: str
    ask: Callable[[World, str, int], str]
    """Ask for the n-th time; gives what the bot's answer to it shows."""
    answers: Callable[[World], list[tuple[str, str]]]
    """What the bot sent by now: the answer's mark, and whom or what it was sent to."""


def _reminder(world: World, user: str, n: int) -> str:
    return world.says(user, f"@greeter remind me in 0 minutes to pay bill {n:06d}")


def _question(world: World, user: str, n: int) -> str:
    question = f"question {n:06d}"
    world.call("/sandbox/messages", {"as": user, "to": "greeter", "text": question})
    return question


def _replies(world: World) -> list[tuple[str, str]]:
    return [(post["reply_to"], post["text"]) for post in world.replies()]


def _messages(world: World) -> list[tuple[str, str]]:
    sent = [one for one in world.call("/sandbox/messages")["messages"] if one["by"] == "greeter"]
    answers = [one for one in sent if one["text"].startswith('"question')]
    return [(one["text"][1:16], one["to"]) for one in answers]


REMINDERS = Errand("reminders", _reminder, _replies)
DESK = Errand("desk", _question, _messages)


@pytest.fixture
def busy_world(tmp_path: Path) -> Iterator[World]:
    with served(tmp_path, "--no-rate-limits") as world:
        for n in range(USERS):
            world.call("/sandbox/users", {"username": f"user{n}"})
        yield world


class Askers:
    """Users who ask something every second, from a thread."""

    def __init__(self, world: World, errand: Errand) -> None:
        self.asked: list[str] = []
        self._world = world
        self._errand = errand
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._talk, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)

    def _talk(self) -> None:
        while not self._stop.wait(1.0):
            n = len(self.asked)
            self.asked.append(self._errand.ask(self._world, f"user{n % USERS}", n))


@pytest.mark.parametrize("errand", [REMINDERS, DESK], ids=lambda errand: errand.bot)
def test_an_example_that_is_killed_again_and_again_does_each_errand_once(
    errand: Errand, busy_world: World, tmp_path: Path, until: Callable[..., Any]
) -> None:
    chance = random.Random(SEED)
    machine: Machine = installed(tmp_path, busy_world)
    machine.write((EXAMPLES / f"{errand.bot}.py").read_text(encoding="utf-8"))
    kills = KILLS if KILLS > FEW else KILLS // 2
    answered: Counter[str] = Counter()

    def all_answered() -> bool:
        answered.clear()
        answered.update(mark for mark, _ in errand.answers(busy_world))
        return set(askers.asked) <= set(answered)

    try:
        machine.authorize()
        process = machine.run()
        until(machine.starts)
        with Askers(busy_world, errand) as askers:
            for _ in range(kills):
                time.sleep(chance.uniform(0.3, 2.5))  # noqa: TID251 - processes live in real time
                process.kill()
                process.wait()
                before = machine.starts()
                process = machine.run()
        until(lambda: machine.starts() > before, why=machine.said)
        until(all_answered, within_s=SETTLED_S, why=machine.said)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        machine.end()
    assert {mark: times for mark, times in answered.items() if times > 1} == {}
    assert set(answered) <= set(askers.asked)
    assert "Traceback" not in machine.said()
