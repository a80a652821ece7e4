"""How a running bot ends: SIGTERM drains, a second one or SIGINT ends at once, SIGHUP nothing."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess

    from tests.crash.conftest import Machine, World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

HANDLER = """
import asyncio, time
from botkit import Actions, Bot, Mention
bot = Bot("greeter")

@bot.on(Mention, timeout_s=7200)
async def greet(mention: Mention, act: Actions) -> None:
    open("started", "w").close()
    {body}
    await act.reply(mention, "Done")
"""
SLOW = "await asyncio.sleep(1.5)"
LONG = "await asyncio.sleep(3600)"
BLOCKS = "time.sleep(3600)"
SWALLOWS = """
    while True:
        try:
            await asyncio.sleep(3600)
        except BaseException:
            pass
"""


def busy(world: World, machine: Machine, until, body: str, *options: str) -> subprocess.Popen[str]:
    """A bot in the middle of its handler."""
    machine.write(HANDLER.format(body=body))
    process = machine.run("bot.py:bot", *options)
    until(lambda: world.listeners() or process.poll() is not None)
    assert process.poll() is None, machine.said()
    world.call("/sandbox/users", {"username": "ada"})
    world.says("ada", "@greeter hello")
    until((machine.folder / "started").exists, why=machine.said)
    return process


def ended(process: subprocess.Popen[str], *, within_s: float) -> int:
    before = time.monotonic()  # noqa: TID251 - a process lives in real time
    code = process.wait(30)
    took_s = time.monotonic() - before  # noqa: TID251
    assert took_s <= within_s, f"it took {took_s:.1f} s"
    return code


def test_sigterm_ends_an_idle_bot_at_once_with_0(world, machine, until):
    process = machine.run()
    until(world.listeners)

    process.send_signal(signal.SIGTERM)

    assert ended(process, within_s=3) == 0
    assert "Traceback" not in machine.said()
    status = machine.do("status")
    assert "no bot is running on this store" in status.stdout


def test_fault_66_sigterm_waits_for_the_handler_that_runs(world, machine, until):
    process = busy(world, machine, until, SLOW)

    process.send_signal(signal.SIGTERM)

    assert ended(process, within_s=8) == 0
    assert [post["text"] for post in world.replies()] == ["Done"]
    assert "Traceback" not in machine.said()


def test_sigterm_does_not_wait_longer_than_the_deadline(world, machine, until):
    process = busy(world, machine, until, LONG, "--set", "run.drain_s=2")

    process.send_signal(signal.SIGTERM)

    assert ended(process, within_s=4.5) == 0
    assert world.replies() == []
    machine.write(HANDLER.format(body="pass"))
    machine.run()
    until(world.replies)
    assert [post["text"] for post in world.replies()] == ["Done"]


@pytest.mark.parametrize("body", [BLOCKS, SWALLOWS])
def test_no_handler_can_keep_the_process_from_ending(world, machine, until, body):
    process = busy(world, machine, until, body, "--set", "run.drain_s=1")

    process.send_signal(signal.SIGTERM)

    assert ended(process, within_s=5) == 0


def test_a_second_sigterm_ends_it_at_once_with_143(world, machine, until):
    process = busy(world, machine, until, LONG)

    process.send_signal(signal.SIGTERM)
    until(lambda: '"bot.stopping"' in machine.said())
    process.send_signal(signal.SIGTERM)

    assert ended(process, within_s=2) == 143


def test_sigint_ends_it_with_130_without_waiting_for_handlers(world, machine, until):
    process = busy(world, machine, until, LONG)

    process.send_signal(signal.SIGINT)

    assert ended(process, within_s=4) == 130
    assert "Traceback" not in machine.said()


def test_sighup_is_ignored(world, machine, until):
    process = machine.run()
    until(world.listeners)

    process.send_signal(signal.SIGHUP)
    world.call("/sandbox/users", {"username": "ada"})
    world.says("ada", "@greeter hello 000001")

    until(world.replies, why=machine.said)
    assert process.poll() is None


def test_a_new_setup_beside_a_running_bot_lets_what_waited_go_on(world, machine, until):
    process = machine.run()
    until(world.listeners)
    world.call("/sandbox/users", {"username": "ada"})
    world.call("/sandbox/revoke", {"as": "greeter"})
    until(lambda: '"DEAD"' in machine.said(), why=machine.said)
    world.says("ada", "@greeter hello 000001")

    machine.authorize()

    until(world.replies, within_s=15, why=machine.said)
    assert process.poll() is None
    assert len(world.replies()) == 1
