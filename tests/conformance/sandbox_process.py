"""The simulated X as any client meets it: `botkit sandbox` in a process of its own, on a socket."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import requests

START_S = 20.0
STOP_S = 5.0
CALL_S = 10.0
# Not a loopback address, so that a client's own rule of https for redirects holds.
CALLBACK = "https://greeter.example/callback"
SCOPES = ("tweet.read", "tweet.write", "users.read", "offline.access")


@dataclass(frozen=True)
class Member:
    """An account with an app of its own: X keeps one grant for an app and a user."""

    id: str
    username: str
    client_id: str
    client_secret: str
    bearer_token: str


class SandboxProcess:
    """A served sandbox, and what a person with a browser or another user does there."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        # No proxy and no netrc of the machine stands between the two.
        self._session.trust_env = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._session.close()

    def play(self, verb: str, **fields: Any) -> dict[str, Any]:
        """Do something as a user of the sandbox; the verbs stand in its admin routes."""
        answer = self._session.post(f"{self.url}/sandbox/{verb}", json=fields, timeout=CALL_S)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def state(self) -> dict[str, Any]:
        """What the sandbox counts, with the log of its token endpoint."""
        return self._session.get(f"{self.url}/sandbox/state", timeout=CALL_S).json()

    def posts_by(self, username: str) -> list[dict[str, Any]]:
        """The posts of a user that are not deleted, oldest first."""
        found = self._session.get(
            f"{self.url}/sandbox/posts", params={"by": username}, timeout=CALL_S
        )
        return found.json()["posts"]

    def enrol(self, username: str) -> Member:
        """A user, and an app that belongs to it."""
        user = self.play("users", username=username)
        app = self.play("apps", name=username, redirect_uris=[CALLBACK], owner=username)
        return Member(
            id=user["id"],
            username=username,
            client_id=app["client_id"],
            client_secret=app["client_secret"],
            bearer_token=app["bearer_token"],
        )

    def consent(
        self, authorization_url: str, *, username: str, decision: str = "authorize"
    ) -> str:
        """What a person does on the consent page; gives the address where the browser ends.

        The client's own address is opened as it stands, only on the sandbox's host.
        """
        asked = urlsplit(authorization_url)
        page = f"{self.url}{asked.path}?{asked.query}"
        shown = self._session.get(page, headers={"accept": "text/html"}, timeout=CALL_S)
        assert shown.status_code == 200, shown.text
        answer = self._session.post(
            page,
            data={"as": username, "decision": decision},
            allow_redirects=False,
            timeout=CALL_S,
        )
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]


@contextlib.contextmanager
def run_sandbox(folder: Path) -> Iterator[SandboxProcess]:
    """Run `botkit sandbox --json` until the block ends; it must end well."""
    with (folder / "stderr").open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "botkit", "sandbox", "--json"],
            cwd=folder,
            env=surroundings(folder),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    deadline = threading.Timer(START_S, process.kill)
    deadline.start()
    try:
        with SandboxProcess(_announced(process)["url"]) as sandbox:
            deadline.cancel()
            yield sandbox
        process.terminate()
        assert process.wait(STOP_S) == 0, (folder / "stderr").read_text()
    finally:
        deadline.cancel()
        process.kill()
        process.communicate()


def surroundings(home: Path) -> dict[str, str]:
    """The whole environment of a subprocess: nothing of the machine's settings reaches it."""
    return {"HOME": str(home), "LANG": "C.UTF-8"}


def _announced(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The JSON object that the command prints when it listens."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        with contextlib.suppress(json.JSONDecodeError):
            return json.loads("".join(lines))
    raise AssertionError(f"the sandbox ended before it listened: {lines}")
