"""A bot killed at each write to its disk while it ends a login by invitation: all of it, or none."""

from __future__ import annotations

import html
import http.cookiejar
import json
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.conftest import PATIENCE_S, Machine, World, free_port, installed, served, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

CALLS = "pwrite64,fdatasync,fsync"
MOST = 24


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


class Person:
    """A browser that keeps cookies and follows nothing by itself."""

    def __init__(self) -> None:
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(jar, NoRedirect)

    def ask(self, url: str, data: dict[str, str] | None = None) -> tuple[int, str, str]:
        """Status, body and Location; 0 when the connection ends without an answer."""
        form = None if data is None else urllib.parse.urlencode(data).encode()
        try:
            with self._opener.open(url, form, timeout=PATIENCE_S) as answer:
                return answer.status, answer.read().decode(), ""
        except urllib.error.HTTPError as other:
            return other.code, other.read().decode(), other.headers.get("Location", "")
        except OSError:
            return 0, "", ""

    def begin(self, link: str) -> str:
        """Press the button and authorize; gives the address that leads back."""
        token = link.rpartition("=")[2]
        _, body, _ = self.ask(link.partition("?")[0], {"invitation": token})
        (at_x,) = re.findall(r'content="0; url=([^"]+)"', body)
        url = html.unescape(at_x) + "&as=greeter&decision=authorize"
        _, _, back = self.ask(
            url.partition("?")[0], dict(urllib.parse.parse_qsl(url.partition("?")[2]))
        )
        return back


@pytest.fixture
def public() -> str:
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture
def x(tmp_path: Path, public: str) -> Iterator[World]:
    with served(tmp_path, "--redirect-uri", f"{public}/connect/callback") as world:
        world.environment |= {
            "BOTKIT_CONNECT__ON": "true",
            "BOTKIT_CONNECT__PUBLIC_URL": public,
            "BOTKIT_HTTP__PORT": public.rpartition(":")[2],
            "BOTKIT_RUN__DEBUGGABLE": "true",
            "BOTKIT_BOT__SOURCE": "poll",
        }
        yield world


@pytest.fixture
def machine(x: World, tmp_path: Path) -> Iterator[Machine]:
    machine = installed(tmp_path, x)
    yield machine
    machine.end()


def state_of(machine: Machine, link_id: str) -> tuple[str, int]:
    """What the invitation is, and the generation of the login (0 for none)."""
    listed = json.loads(machine.do("accounts", "invite", "--list", "--json").stdout)
    (state,) = [one["state"] for one in listed if one["id"] == link_id]
    accounts = json.loads(machine.do("accounts", "list", "--json").stdout)
    shown = machine.do("accounts", "show", "greeter", "--json") if accounts else None
    logins = json.loads(shown.stdout)["logins"] if shown is not None else []
    return state, logins[0]["generation"] if logins else 0


def test_login_and_use_of_the_invitation_are_one(machine: Machine, strace: str) -> None:
    generation, ends = 0, set[str]()
    for at in range(1, MOST):
        made = json.loads(machine.do("accounts", "invite", "--make-key", "--json").stdout)
        process = machine.run()
        until(lambda starts=at: machine.starts() == starts, why=machine.said)
        person = Person()
        back = person.begin(made["link"])
        inject = f"inject={CALLS}:signal=KILL:when={at}"
        tracer = subprocess.Popen(
            [strace, "-f", "-p", str(process.pid), "-e", f"trace={CALLS}", "-e", inject],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert tracer.stderr is not None
        assert "attached" in tracer.stderr.readline()
        status, _, _ = person.ask(back)
        process.kill()
        process.wait()
        tracer.communicate()
        state, now = state_of(machine, made["id"])
        assert (state == "used") == (now == generation + 1), f"killed at {at}: {state}, {now}"
        assert status != 200 or state == "used"
        ends.add(state)
        generation = now
        if status == 200:
            break
    assert status == 200, "no callback came through"
    assert len(ends) == 2
