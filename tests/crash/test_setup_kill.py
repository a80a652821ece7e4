"""`botkit setup` killed at each write to its disk while a login ends: all of it, or none."""

from __future__ import annotations

import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.conftest import PATIENCE_S, Machine, World, installed, served, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

CALLS = "fdatasync,fsync"
MOST = 24

WELCOMER = """
from botkit import Authorized, Bot

bot = Bot("greeter")


@bot.on(Authorized)
async def welcome(event: Authorized) -> None:
    with open("welcomed", "a") as file:
        file.write(f"{event.gen}\\n")
"""


@pytest.fixture
def x(tmp_path: Path) -> Iterator[World]:
    with served(tmp_path) as world:
        world.environment |= {"BOTKIT_RUN__DEBUGGABLE": "true", "BOTKIT_BOT__SOURCE": "poll"}
        yield world


@pytest.fixture
def machine(x: World, tmp_path: Path) -> Iterator[Machine]:
    machine = installed(tmp_path, x)
    machine.write(WELCOMER)
    yield machine
    machine.end()


def state_of(machine: Machine) -> tuple[int, int]:
    """The generation of the login (0 for none), and how many events there are."""
    accounts = json.loads(machine.do("accounts", "list", "--json").stdout)
    shown = machine.do("accounts", "show", "greeter", "--json") if accounts else None
    logins = json.loads(shown.stdout)["logins"] if shown is not None else []
    events = json.loads(machine.do("events", "list", "--json").stdout)
    return (logins[0]["generation"] if logins else 0), len(events)


def consent(url: str) -> bool:
    """A person who authorizes; whether the last page came."""
    form = urllib.parse.urlencode({"as": "greeter", "decision": "authorize"}).encode()
    try:
        with urllib.request.urlopen(url, data=form, timeout=PATIENCE_S) as page:
            return page.status == 200
    except OSError:
        return False


def test_login_and_event_are_one_and_no_event_is_lost(machine: Machine, strace: str) -> None:
    before, through = 0, False
    for at in range(1, MOST):
        process = machine.start(
            "setup", "bot.py:bot", "--no-browser", "--make-key",
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        inject = f"inject={CALLS}:signal=KILL:when={at}"
        tracer = subprocess.Popen(
            [strace, "-f", "-p", str(process.pid), "-e", f"trace={CALLS}", "-e", inject],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert tracer.stderr is not None
        assert "attached" in tracer.stderr.readline()
        through = consent(url)
        process.kill()
        process.communicate()
        tracer.communicate()
        generation, events = state_of(machine)
        assert generation == events, f"killed at {at}: generation {generation}, {events} events"
        assert generation - before in ({1} if through else {0, 1})
        before = generation
        if through:
            break
    assert through, "no callback came through"
    assert before > 1, "no kill came after the login was stored"

    running = machine.run()
    welcomed = machine.folder / "welcomed"
    wanted = {str(generation) for generation in range(1, before + 1)}
    until(lambda: {*welcomed.read_text().split()} == wanted, within_s=60.0, why=machine.said)
    running.kill()
