"""What a running bot says of itself when something under it goes away, seen from outside."""

from __future__ import annotations

import json
import os
import signal
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.crash.conftest import free_port, installed
from tests.volumes import fill, small_volume

if TYPE_CHECKING:
    from tests.crash.conftest import Machine, World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]


def test_a_bot_whose_store_is_removed_ends_within_seconds_with_5(
    world: World, machine: Machine, until
):
    process = machine.run()
    until(world.listeners)
    place = world.environment.get("BOTKIT_STORE__URL", f"sqlite:///{machine.folder}/botkit.db")
    store = Path(place.removeprefix("sqlite:///"))

    for suffix in ("", "-wal", "-shm"):
        Path(f"{store}{suffix}").unlink()

    assert process.wait(10) == 5
    last = machine.said().splitlines()[-1]
    assert last.startswith(f"botkit: The store {store} ")
    assert "was removed while it was in use. Put the file back" in last
    assert "Traceback" not in machine.said()


class Watched:
    """A machine whose bot serves `/readyz`."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._port = free_port()
        machine._environment |= {"BOTKIT_HTTP__ON": "true", "BOTKIT_HTTP__PORT": str(self._port)}

    def readiness(self) -> tuple[int, dict[str, Any]]:
        url = f"http://127.0.0.1:{self._port}/readyz"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except OSError:
            return 0, {}

    def is_ready(self) -> bool:
        return self.readiness()[0] == 200

    def why(self) -> list[str]:
        return list(self.readiness()[1].get("why", ()))

    def status(self, *words: str) -> tuple[int, str]:
        done = self.machine.do("status", *words)
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def watched(machine: Machine) -> Watched:
    return Watched(machine)


def test_an_x_that_is_away_is_said_within_30_s_and_is_no_reason_to_restart(
    world: World, watched: Watched, until
):
    process = watched.machine.run()
    until(watched.is_ready)
    assert watched.status()[0] in {0, 1}  # 1 while a gap of the start is open

    assert world.process is not None
    world.process.send_signal(signal.SIGKILL)

    until(lambda: "nothing is heard" in watched.why(), within_s=30)
    until(lambda: watched.status()[0] == 4, within_s=10)
    assert "waiting" in watched.status()[1]
    assert watched.status("--live")[0] == 0
    assert process.poll() is None


def test_handlers_that_hang_are_said_and_a_restart_would_cure_them(
    world: World, watched: Watched, until
):
    watched.machine.write(
        """
import asyncio
from botkit import Bot, Mention

bot = Bot("greeter")


@bot.on(Mention, timeout_s=3600)
async def hang(mention: Mention) -> None:
    await asyncio.sleep(3600)
"""
    )
    watched.machine._environment["BOTKIT_RUN__SLOTS"] = "2"
    watched.machine.run()
    until(watched.is_ready)
    world.call("/sandbox/users", {"username": "ada"})
    for number in range(3):
        world.says("ada", f"@greeter hello {number}")

    until(lambda: "all handlers hang" in watched.why(), within_s=30)
    until(lambda: watched.status()[0] == 1, within_s=5)
    code, said = watched.status("--live")
    assert code == 1
    assert "hang 2" in said


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root can mount a small volume"
)
def test_a_full_disk_is_said_within_30_s_and_so_is_its_end(tmp_path: Path, world: World, until):
    with small_volume(tmp_path / "volume") as volume:
        machine = installed(tmp_path, world)
        machine._environment["BOTKIT_STORE__URL"] = f"sqlite:///{volume}/bot.db"
        watched = Watched(machine)
        try:
            machine.authorize()
            machine.run()
            until(watched.is_ready)
            ballast = fill(volume)
            until(lambda: "the store cannot be used" in watched.why(), within_s=30)
            assert watched.readiness()[0] == 503
            assert watched.status("--live")[0] == 0
            ballast.unlink()
            until(watched.is_ready, within_s=30)
        finally:
            machine.end()
