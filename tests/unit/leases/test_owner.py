"""Who holds a lease: names of processes, and whether one still lives."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from botkit.leases import owner
from botkit.leases.owner import in_words, is_alive, lives, this_process
from botkit.sandbox.harness.clock import SeededEntropy

NO_SUCH_PID = 2**22 + 1
"""Above the largest pid_max of Linux."""


def name_of(pid: int, *, started: str | None = None, host: str = "", boot: str | None = None):
    """The name that a process of this machine would have."""
    ours = this_process(SeededEntropy()).split("/")
    return "/".join(
        [
            host or ours[0],
            ours[1] if boot is None else boot,
            str(pid),
            owner._started(pid) if started is None else started,
            "cafe0123",
        ]
    )


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    ) as process:
        yield process
        # Ends when its input does, however a test has left the module `os`.


def test_a_name_says_host_boot_process_and_start_and_is_new_each_time():
    entropy = SeededEntropy()

    first, second = this_process(entropy), this_process(entropy)

    assert first != second
    assert first.split("/")[:4] == second.split("/")[:4]
    assert first.split("/")[2] == str(os.getpid())
    assert len(first.split("/")) == 5


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's id of a boot is Linux's")
def test_the_boot_is_the_kernels_and_its_process_namespace():
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()

    name = this_process(SeededEntropy())

    assert name.split("/")[1] == f"{boot}.{Path('/proc/self/ns/pid').readlink()}"


def test_a_host_name_with_a_slash_does_not_break_the_name(monkeypatch):
    monkeypatch.setattr("platform.node", lambda: "rack/7")

    name = this_process(SeededEntropy())

    assert name.startswith("rack_7/")
    assert is_alive("/".join([*name.split("/")[:2], str(NO_SUCH_PID), "1", "00"])) is False


def test_a_process_that_lives_is_alive(child):
    assert is_alive(name_of(child.pid)) is True


def test_a_process_that_was_killed_is_dead(child):
    name = name_of(child.pid)
    child.kill()
    child.wait()

    assert is_alive(name) is False


def test_a_process_that_has_ended_and_that_nobody_has_asked_about_is_dead(child):
    name = name_of(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it is a zombie now

    assert is_alive(name) is False


def test_another_process_with_the_same_number_is_not_the_one_that_is_asked_for(child):
    assert is_alive(name_of(child.pid, started="1")) is False


def test_a_process_of_another_user_is_there_although_it_may_not_be_signalled(monkeypatch, child):
    def refuse(pid: int, number: int) -> None:
        raise PermissionError

    name = name_of(child.pid)
    monkeypatch.setattr(os, "kill", refuse)

    assert is_alive(name) is True


@pytest.mark.parametrize(
    "name",
    [
        "",
        "nonsense",
        "a/b/c/d",
        "a/b/c/d/e/f",
        f"elsewhere/boot/{NO_SUCH_PID}/1/cafe",
    ],
)
def test_of_a_name_from_elsewhere_nothing_can_be_known(name):
    assert is_alive(name) is None


def test_of_another_boot_or_container_nothing_can_be_known():
    assert is_alive(name_of(NO_SUCH_PID, boot="another")) is None


def test_of_a_number_that_is_none_nothing_can_be_known():
    ours = this_process(SeededEntropy()).split("/")

    assert is_alive("/".join([*ours[:2], "-1", *ours[3:]])) is None


def test_of_this_process_itself_nothing_is_said():
    assert is_alive(this_process(SeededEntropy())) is None


def test_an_earlier_process_with_the_number_of_this_one_is_dead():
    assert is_alive(name_of(os.getpid(), started="1")) is False


async def test_the_question_is_asked_beside_the_event_loop():
    name = await asyncio.to_thread(name_of, NO_SUCH_PID)
    assert await lives(name) is False


def test_without_proc_the_number_alone_decides(monkeypatch, child):
    monkeypatch.setattr(Path, "read_text", _missing)
    monkeypatch.setattr(Path, "readlink", _missing)

    name = name_of(child.pid)

    assert name.split("/")[1] == ""
    assert name.split("/")[3] == ""
    assert is_alive(name) is True
    assert is_alive(name_of(NO_SUCH_PID)) is False


def _missing(*_: object, **__: object) -> str:
    raise FileNotFoundError


def test_a_person_is_told_the_process_and_its_machine() -> None:
    name = this_process(SeededEntropy())
    assert in_words(name) == f"process {os.getpid()} on {name.split('/')[0]}"
    assert in_words("another") == "another"
