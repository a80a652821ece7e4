"""`botkit post`, killed while its post is on the way: the next call finds it on X."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.crash.conftest import Machine, World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def test_killed_while_x_has_it_and_has_not_answered_it_is_posted_once(
    machine: Machine, world: World, until
) -> None:
    world.call("/sandbox/faults", {"kind": "stall", "call": "POST /2/tweets"})
    words = ("post", "Good news.", "--id", "news", "--wait", "20")
    killed = machine.start(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until(world.replies)
    killed.kill()
    killed.communicate()

    done = machine.do(*words)

    assert done.returncode == 0, done.stderr
    (post,) = world.replies()
    assert done.stdout == f"https://x.com/greeter/status/{post['id']}\n"


def test_beside_a_bot_it_is_posted_by_the_bot_also_when_the_command_is_killed(
    machine: Machine, world: World, until
) -> None:
    machine.write("from botkit import Bot\n\nbot = Bot('greeter')\n")
    machine.run()
    until(machine.starts, why=machine.said)
    done = machine.do("post", "By the bot.", "--wait", "20")
    assert done.returncode == 0, done.stderr
    assert '"event": "write.confirmed"' in machine.said()

    queued = machine.do("post", "Queued.", "--wait", "0")
    assert queued.returncode == 0, queued.stderr
    until(lambda: len(world.replies()) == 2)
    told = machine.do("events", "send", "hourly")
    assert (told.returncode, told.stderr) == (0, "")
