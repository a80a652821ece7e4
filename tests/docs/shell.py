"""Runs the commands of a page as a reader would: in a folder of its own, against a simulated X.

The browser is a small program that consents at once. X is a `botkit sandbox`; the keys of its app
lie in the files that the pages tell a reader to fill.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from botkit.config import surroundings
from tests.docs.pages import Block

__all__ = ["Shell", "commands_of", "looks_like"]

_PATIENCE_S = 60
_PAUSE_S, _TRIES = 0.2, 200
_KEYS = {
    "client-secret": "BOTKIT_APP__CLIENT_SECRET",
    "bearer-token": "BOTKIT_APP__BEARER_TOKEN",
}
_HEARS = "botkit status | grep -Ec '^(activity|mentions)/.* live ' | grep -qx 2"
_REAL = {
    "BOTKIT_X__CONSENT_URL": "https://x.com/i/oauth2/authorize",
    "BOTKIT_X__API_URL": "https://api.x.com",
    "BOTKIT_APP__REDIRECT_URI": "http://127.0.0.1:8765/callback",
}
_PERSON = """#!{python}
import sys, urllib.parse, urllib.request
form = urllib.parse.urlencode({{"as": "{account}", "decision": "authorize"}}).encode()
urllib.request.urlopen(sys.argv[1], form).read()
"""
_AS_BEFORE = """
# A reader has a terminal, where setup makes a key by itself; here is a pipe.
botkit() {{ if test "$1" = setup; then command botkit "$@" --make-key; else command botkit "$@"; fi; }}
test -e {state}/env && . {state}/env && cd "$(cat {state}/pwd)"
trap 'export -p > {state}/env; pwd > {state}/pwd' EXIT
"""


def commands_of(block: Block) -> Iterator[tuple[str, str]]:
    """Commands, each with what it is shown to print ("" for nothing said).

    A `sh` block is one script; in a `console` block a command stands behind `$ `.
    """
    if block.language == "sh":
        yield block.text, ""
        return
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        yield command, shown.strip("\n")


def looks_like(shown: str, printed: str) -> bool:
    """Whether the output is as shown; `...` stands for anything, white space is loose."""
    parts = [r"\s+".join(map(re.escape, part.split())) for part in shown.split("...")]
    return (
        re.fullmatch(r"\s*" + r"[\s\S]*?".join(rf"\s*{p}\s*" for p in parts), printed) is not None
    )


class Shell:
    """A reader's terminal for one page; a context manager."""

    def __init__(self, folder: Path, *, account: str = "mybot") -> None:
        self.folder = folder / "page"
        self.folder.mkdir()
        self._state = folder / "state"
        self._state.mkdir()
        self._account = account
        self._running: list[subprocess.Popen[bytes]] = []
        self._environment = {
            "PATH": f"{Path(sys.executable).parent}:{surroundings()['PATH']}",
            "HOME": str(self._state),
            "LC_ALL": "C.UTF-8",
            "COLUMNS": "100",
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._running):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(_PATIENCE_S)

    def open_x(self, *, keys_given: bool) -> None:
        """Start the simulated X, lay out the app's keys, and sit a person at the browser."""
        redirect_uri = f"http://127.0.0.1:{_free_port()}/callback"
        said = self._state / "x.json"
        options = ["--json", "--account", self._account, "--redirect-uri", redirect_uri]
        self._start([sys.executable, "-m", "botkit", "sandbox", *options], said)
        given = _soon(lambda: json.loads(said.read_text())["environment"])
        keys = self.folder / "keys"
        keys.mkdir()
        for file, name in _KEYS.items():
            (keys / file).write_text(given[name] + "\n")
            if keys_given:
                self._environment[f"{name}_FILE"] = str(keys / file)
        person = self._state / "person"
        person.write_text(_PERSON.format(python=sys.executable, account=self._account))
        person.chmod(0o755)
        self._environment |= {
            "BOTKIT_X__API_URL": given["BOTKIT_X__API_URL"],
            "BOTKIT_X__CONSENT_URL": given["BOTKIT_X__CONSENT_URL"],
            "BOTKIT_APP__CLIENT_ID": given["BOTKIT_APP__CLIENT_ID"],
            "BOTKIT_APP__REDIRECT_URI": redirect_uri,
            "BROWSER": f"{person} %s",
        }

    def run(self, block: Block) -> None:
        """Run the block's commands; what they print must be what the block shows."""
        for command, shown in commands_of(block):
            if "background" in block.marks:
                self._start(["bash", "-ec", self._as_before + f"exec {command}"], None)
                _soon(lambda: self._call(_HEARS, "").check_returncode())
                continue
            source = block.marks.get("input")
            done = self._call(command, (self.folder / source).read_text() if source else "")
            if done.returncode != int(block.marks.get("fails", "0")):
                ended = f"ended with {done.returncode}"
                raise AssertionError(f"{block}: {command} {ended}:\n{done.stdout}")
            printed = self._as_on_x(done.stdout)
            if shown and not looks_like(shown, printed):
                raise AssertionError(f"{block}: {command} printed\n{printed}\nnot\n{shown}")

    def _as_on_x(self, printed: str) -> str:
        """The output with X's addresses in place of the sandbox's."""
        for name, real in _REAL.items():
            printed = printed.replace(self._environment[name], real)
        return printed

    @property
    def _as_before(self) -> str:
        """Go on in the folder, and with the exported variables, of the command before."""
        return _AS_BEFORE.format(state=self._state)

    def _call(self, command: str, given: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-ec", f"{self._as_before}{command}"],
            cwd=self.folder,
            env=self._environment,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )

    def _start(self, command: list[str], said: Path | None) -> None:
        with (said or self._state / "background.log").open("wb") as out:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running.append(process)


def _soon(ask: Callable[[], Any]) -> Any:
    """What is there soon; the last error when it does not come."""
    for _ in range(_TRIES):
        try:
            return ask()
        except (ValueError, subprocess.CalledProcessError):
            threading.Event().wait(_PAUSE_S)
    return ask()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
