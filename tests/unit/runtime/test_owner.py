"""A process has a name from which the next one can tell whether it lives."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from botkit.runtime.owner import is_alive, this_process
from botkit.sandbox.clock import SeededEntropy

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="the kernel shows no processes as files here"
)


def renamed(name: str, place: int, part: str) -> str:
    parts = name.split("/")
    parts[place] = part
    return "/".join(parts)


def test_two_starts_have_two_names() -> None:
    entropy = SeededEntropy()
    first, second = this_process(entropy), this_process(entropy)
    assert first != second
    assert first.split("/")[:4] == second.split("/")[:4]
    assert first.split("/")[2] == str(os.getpid())


def test_ones_own_earlier_start_cannot_be_told_from_here() -> None:
    assert is_alive(this_process(SeededEntropy())) is None


@pytest.mark.parametrize("name", ["", "somebody", "a/b/c/d/e", "a/b/c/d/e/f"])
def test_a_name_from_elsewhere_says_nothing(name: str) -> None:
    assert is_alive(name) is None


def test_a_name_of_this_host_that_names_no_process_says_nothing() -> None:
    assert is_alive(renamed(this_process(SeededEntropy()), 2, "systemd")) is None


@needs_proc
def test_another_boot_of_this_host_says_nothing() -> None:
    name = renamed(this_process(SeededEntropy()), 1, "another boot")
    assert is_alive(renamed(name, 2, "1")) is None


@needs_proc
def test_a_process_that_runs_is_alive_and_one_that_ended_is_not() -> None:
    # The child says its own name, as a bot of another process would.
    said = "from botkit.runtime.owner import *; from botkit.sandbox.clock import SeededEntropy\n"
    said += "print(this_process(SeededEntropy()), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", said],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        name = child.stdout.readline().strip()
        assert is_alive(name) is True
        assert is_alive(renamed(name, 3, "1")) is False
        child.communicate("\n")
    assert is_alive(name) is False


@needs_proc
def test_a_process_of_another_user_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(pid: int, number: int) -> None:
        raise PermissionError(pid, number)

    name = renamed(this_process(SeededEntropy()), 2, str(os.getppid()))
    stat = Path(f"/proc/{os.getppid()}/stat").read_text(encoding="utf-8")
    name = renamed(name, 3, stat.rpartition(")")[2].split()[19])
    monkeypatch.setattr("botkit.runtime.owner.os.kill", kill)
    assert is_alive(name) is True


def test_without_such_files_a_name_still_tells_the_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("botkit.runtime.owner.Path", lambda name: tmp_path / name.lstrip("/"))
    name = this_process(SeededEntropy())
    assert name.split("/")[:4] == [platform.node().replace("/", "_"), "", str(os.getpid()), ""]
    assert is_alive(renamed(name, 2, str(os.getppid()))) is True
