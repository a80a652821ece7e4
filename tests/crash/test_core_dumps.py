"""A process that holds secrets leaves no core file and cannot be attached to, and is found alive all the same."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.crash.conftest import Machine, World

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(90),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

NOBODY = 65534
# Of root's rights only the one to walk through the folders above Python.
AS_NOBODY = (
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *("--inh-caps", "-all,+dac_read_search", "--ambient-caps", "+dac_read_search"),
)


def core_limit(pid: int) -> str:
    lines = Path(f"/proc/{pid}/limits").read_text(encoding="ascii").splitlines()
    (line,) = (line for line in lines if line.startswith("Max core file size"))
    return line.removeprefix("Max core file size").split()[0]


def test_a_running_bot_writes_no_core_file_and_none_of_its_user_may_read_its_memory(
    world: World, machine: Machine, until
) -> None:
    process = machine.run()
    until(world.listeners, why=machine.said)

    assert core_limit(process.pid) == "0"
    assert Path(f"/proc/{process.pid}/mem").stat().st_uid == 0
    process.send_signal(signal.SIGABRT)
    assert process.wait(20) == -signal.SIGABRT
    assert not list(machine.folder.glob("core*"))


def test_a_bot_that_may_be_debugged_keeps_the_limit_of_its_surroundings(
    world: World, machine: Machine, until
) -> None:
    process = machine.start(
        "run",
        "bot.py:bot",
        env={"BOTKIT_RUN__DEBUGGABLE": "true"},
        before=("/bin/sh", "-c", 'ulimit -c 4096; exec "$@"', "sh"),
        stderr=subprocess.DEVNULL,
    )
    until(world.listeners)

    assert core_limit(process.pid) != "0"


@pytest.mark.skipif(
    sys.platform != "linux"
    or "/" in (pattern := Path("/proc/sys/kernel/core_pattern").read_text(encoding="ascii"))
    or pattern.startswith("|"),
    reason="core files do not come into the folder here",
)
@pytest.mark.parametrize("debuggable", ["true", "false"])
def test_a_core_file_would_hold_the_secrets_and_is_written_only_when_that_was_asked_for(
    world: World, machine: Machine, until, debuggable: str
) -> None:
    process = machine.start(
        *("run", "bot.py:bot"),
        env={"BOTKIT_RUN__DEBUGGABLE": debuggable},
        before=("/bin/sh", "-c", 'ulimit -c unlimited; exec "$@"', "sh"),
        stderr=subprocess.DEVNULL,
    )
    until(world.listeners)
    process.send_signal(signal.SIGABRT)
    assert process.wait(30) == -signal.SIGABRT

    cores = list(machine.folder.glob("core*"))
    assert bool(cores) is (debuggable == "true")
    for core in cores:
        secret = world.environment["BOTKIT_APP__CLIENT_SECRET"].encode()
        assert secret in core.read_bytes()
        core.unlink()


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="cannot become somebody else"
)
def test_an_ordinary_users_bot_is_known_to_live_and_once_killed_to_be_dead(
    world: World, machine: Machine, until
) -> None:
    # /proc belongs to root for a process that is not dumpable: it must still tell who lives.
    for place in (machine.folder.parent, *machine.folder.parent.rglob("*")):
        os.chown(place, NOBODY, NOBODY)

    with machine.log.open("a", encoding="utf-8") as log:
        first = machine.start("run", "bot.py:bot", stdout=log, stderr=log, before=AS_NOBODY)
    until(world.listeners, why=machine.said)
    assert Path(f"/proc/{first.pid}/mem").stat().st_uid == 0

    second = machine.do("run", "bot.py:bot", before=AS_NOBODY)
    assert second.returncode == 5, second.stderr
    assert str(first.pid) in second.stderr

    first.kill()
    first.wait()
    with machine.log.open("a", encoding="utf-8") as log:
        machine.start("run", "bot.py:bot", stdout=log, stderr=log, before=AS_NOBODY)
    until(lambda: machine.starts() == 2, within_s=9.0, why=machine.said)
