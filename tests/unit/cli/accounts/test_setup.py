"""`botkit setup` at a prompt: what a person types, that nobody types, and Ctrl-C."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from botkit.config import load_settings
from botkit.storage import open_store
from botkit.system import SystemClock

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Desk


class Interrupted(io.StringIO):
    """A terminal where Ctrl-C is pressed instead of Enter."""

    def readline(self, size: int | None = -1, /) -> str:
        os.kill(os.getpid(), signal.SIGINT)
        return super().readline(-1 if size is None else size)


@pytest.mark.parametrize("way", ["--headless", "--pin"])
def test_ctrl_c_at_a_prompt_ends_the_command_at_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be ignored here
    monkeypatch.setattr("sys.stdin", Interrupted("never read\n" * 9))
    try:
        assert desk.top("setup", way, "--no-browser") == 130
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)

    assert "Interrupted" in desk.err
    assert desk.json("list") == []


def test_a_ctrl_c_that_the_command_ignores_stays_ignored_at_the_prompt(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    monkeypatch.setattr("sys.stdin", Interrupted("none\n" * 5))
    try:
        assert desk.top("setup", "--headless") == 2
    finally:
        signal.signal(signal.SIGINT, before)

    assert "never the end of this login" in desk.err


@pytest.mark.parametrize("way", ["--headless", "--pin"])
def test_an_input_that_ends_is_said_and_nothing_is_stored(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())

    assert desk.top("setup", way, "--no-browser") == 2

    assert "The input ended before the login did; nothing was stored." in desk.err


def test_who_ends_the_question_for_a_bearer_token_goes_on_without(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def ended(prompt: str) -> str:
        raise EOFError

    desk.move_to(desk.folder, BOTKIT_APP__API_KEY=None, BOTKIT_APP__API_SECRET=None)
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", ended)

    assert desk.top("setup", "--headless") == 2

    assert "the activity stream needs the same app's bearer token" in desk.err
    assert "The input ended" in desk.err


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        """Follow nothing: the person copies the address."""


class Person(io.StringIO):
    """A person at a terminal, whose browser is signed in as `who` and who then answers."""

    def __init__(self, who: str, capsys: pytest.CaptureFixture[str], *answers: str) -> None:
        super().__init__()
        self._who = who
        self._capsys = capsys
        self._answers = [*answers]

    def isatty(self) -> bool:
        return True

    def readline(self, size: int | None = -1, /) -> str:
        out, _ = self._capsys.readouterr()
        if "http" not in out:
            return self._answers.pop(0)
        with ThreadPoolExecutor() as pool:  # the browser is another program
            return pool.submit(_consent, out.split()[-1], self._who).result() + "\n"


def _consent(url: str, who: str) -> str:
    """Consent on X's page; return the address that the browser ends at."""
    form = urllib.parse.urlencode({"as": who, "decision": "authorize"}).encode()
    with pytest.raises(urllib.error.HTTPError) as moved:
        urllib.request.build_opener(_NoRedirect).open(url, form, timeout=20)
    with moved.value as answer:
        return str(answer.headers["location"])


@pytest.mark.parametrize(
    ("options", "answers", "code"),
    [
        ([], ["n\n"], 2),
        ([], ["\n"], 2),
        ([], ["y\n"], 0),
        (["--add"], [], 0),
        (["--account", "ada"], [], 0),
    ],
)
def test_a_second_account_is_added_only_when_a_person_says_so(
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    answers: list[str],
    code: int,
) -> None:
    desk.log_in()
    desk.world.find_user("ada") or desk.world.add_user("ada")
    callback = "http://127.0.0.1:8765/callback"
    app = desk.world.grants.add_app("paste", redirect_uris=[callback])
    desk.move_to(
        desk.folder,
        BOTKIT_APP__CLIENT_ID=app.client_id,
        BOTKIT_APP__CLIENT_SECRET=app.client_secret,
        BOTKIT_APP__API_KEY=app.api_key,
        BOTKIT_APP__API_SECRET=app.api_secret,
        BOTKIT_X__CONSENT_URL=f"{desk.environ['BOTKIT_X__API_URL']}/i/oauth2/authorize",
    )
    monkeypatch.setattr("sys.stdin", Person("ada", capsys, *answers))
    assert desk.top("setup", "--headless", *options) == code
    known = {each["username"] for each in desk.json("list")}
    assert known == ({"greeter", "ada"} if code == 0 else {"greeter"})


BROWSER = """
import sys, threading, urllib.parse, urllib.request
form = urllib.parse.urlencode({"as": "greeter", "decision": "authorize"}).encode()
page = urllib.request.Request(sys.argv[1], form, {"accept": "text/html"})
urllib.request.urlopen(page, timeout=20).read()  # it follows to the callback
threading.Event().wait(120)  # the window stays open
"""


def test_a_browser_that_keeps_running_does_not_keep_the_setup(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    redirect_uri = f"http://127.0.0.1:{port}/callback"
    app = desk.world.grants.add_app("window", redirect_uris=[redirect_uri])
    desk.move_to(
        desk.folder,
        BOTKIT_APP__CLIENT_ID=app.client_id,
        BOTKIT_APP__CLIENT_SECRET=app.client_secret,
        BOTKIT_APP__API_KEY=None,
        BOTKIT_APP__API_SECRET=None,
        BOTKIT_APP__REDIRECT_URI=redirect_uri,
        BOTKIT_X__CONSENT_URL=f"{desk.environ['BOTKIT_X__API_URL']}/i/oauth2/authorize",
    )
    script = desk.folder / "browser.py"
    script.write_text(BROWSER)
    monkeypatch.setenv("BROWSER", f"{sys.executable} {script} %s")
    setup = subprocess.Popen(
        [sys.executable, "-m", "botkit", "setup"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        code = setup.wait(20)
    finally:
        os.killpg(setup.pid, signal.SIGKILL)  # the window too
        told, _ = setup.communicate()
    assert code == 0, told
    assert "@greeter (id" in told


def move_to_second(desk: Desk) -> None:
    """The account acts through another app from now on."""

    async def move() -> None:
        settings = await asyncio.to_thread(load_settings)
        async with open_store(settings.store_url, clock=SystemClock()) as store:
            account = await store.accounts.get("greeter")
            assert account is not None
            await store.accounts.put(replace(account, app="second"))

    asyncio.run(move())


@pytest.mark.parametrize(
    ("options", "client_id"),
    [
        (["--account", "greeter"], "the-second"),
        (["--account", "@GREETER"], "the-second"),
        (["--account", "somebody"], "the-first"),
        ([], "the-first"),
        (["--account", "greeter", "--app", "default"], "the-first"),
    ],
)
def test_an_account_logs_in_through_the_app_that_it_remembers(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, options: list[str], client_id: str
) -> None:
    apps = {
        "BOTKIT_APP__CLIENT_ID": "the-first",
        "BOTKIT_APP__CLIENT_SECRET": "hush",
        "BOTKIT_APPS__SECOND__CLIENT_ID": "the-second",
        "BOTKIT_APPS__SECOND__CLIENT_SECRET": "hush",
    }
    desk.log_in()
    move_to_second(desk)
    desk.move_to(desk.folder, **apps)
    monkeypatch.setattr("sys.stdin", io.StringIO())

    assert desk.top("setup", "--headless", *options) == 2

    assert f"client_id={client_id}&" in desk.out
    moves = "through app 'default' from now on" in desk.err
    assert moves == ("default" in options)


def test_a_login_through_the_app_before_is_shown_with_it(desk: Desk) -> None:
    desk.log_in()
    move_to_second(desk)

    desk.do("list")
    assert "app second  OAuth2UserToken (app default) OK" in desk.out
    desk.do("show", "greeter")
    assert "  OAuth2UserToken (app default)  OK since" in desk.out
