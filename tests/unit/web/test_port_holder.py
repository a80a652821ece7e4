"""Who holds a port is said, as far as the system tells it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from botkit.web.port_holder import holder_of

if TYPE_CHECKING:
    from collections.abc import Iterator

LISTEN = (
    "import socket, sys; s = socket.create_server(('127.0.0.1', 0));"
    "print(s.getsockname()[1], flush=True); sys.stdin.read()"
)
needs_proc = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux's /proc")


@pytest.fixture
def listening() -> Iterator[tuple[int, int]]:
    """The port and the process of a program that was started with a secret argument."""
    command = [sys.executable, "-c", LISTEN, "/usr/bin/botkit", "setup", "--secret=hidden"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline()), process.pid
        process.kill()


@needs_proc
def test_another_botkit_is_named_with_its_command_and_nothing_else(
    listening: tuple[int, int],
) -> None:
    port, pid = listening
    assert holder_of(port) == f"botkit setup (process {pid})"


@needs_proc
def test_this_process_is_named_too_and_a_free_port_is_nobodys() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        assert holder_of(port).endswith(f"(process {os.getpid()})")
    assert holder_of(port) == "another program"


def test_where_the_system_does_not_tell_it_is_another_program(tmp_path: Path) -> None:
    assert holder_of(80, proc=tmp_path) == "another program"
    (tmp_path / "net").mkdir()
    line = "0: 0100007F:0050 00000000:0000 0A 0:0 0:0 0 0 0 4711 1 0 100 0 0 10 0"
    (tmp_path / "net" / "tcp").write_text(f"head\n{line}\n")
    (tmp_path / "12").mkdir()  # its open files cannot be read
    (tmp_path / "self").mkdir()
    assert holder_of(80, proc=tmp_path) == "another program"
    (tmp_path / "13" / "fd").mkdir(parents=True)
    (tmp_path / "13" / "fd" / "3").symlink_to("socket:[4711]")
    (tmp_path / "13" / "cmdline").write_bytes(b"/usr/sbin/nginx\0-g\0daemon off;\0")
    assert holder_of(80, proc=tmp_path) == "nginx (process 13)"
    (tmp_path / "13" / "cmdline").write_bytes(b"")
    assert holder_of(80, proc=tmp_path) == "another program (process 13)"
