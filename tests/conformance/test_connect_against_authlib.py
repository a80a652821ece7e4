"""`botkit run` with invitations against an authorization server that is not ours, by its log."""

from __future__ import annotations

import contextlib
import html
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conformance.test_setup_against_authlib import (
    CALL_S,
    USERNAME,
    Authority,
    running,
    serving,
)

BOT = """
from botkit import Actions, Bot, Mention

bot = Bot("odd")


@bot.on(Mention)
async def answer(mention: Mention, act: Actions) -> None:
    await act.reply(mention, "Hello")
"""


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[Authority]:
    with serving(tmp_path, "/connect/callback") as opened:
        (opened.folder / "bot.py").write_text(BOT)
        yield opened


def environ_of(authority: Authority) -> dict[str, str]:
    url = public_of(authority)
    return authority.environ() | {
        "BOTKIT_BOT__SOURCE": "poll",
        "BOTKIT_HTTP__PORT": url.rpartition(":")[2],
        "BOTKIT_CONNECT__ON": "true",
        "BOTKIT_CONNECT__PUBLIC_URL": url,
    }


def public_of(authority: Authority) -> str:
    return authority.redirect_uri.removesuffix("/connect/callback")


@contextlib.contextmanager
def bot_of(authority: Authority) -> Iterator[Any]:
    """The bot's process, once it answers; killed at the end."""
    arguments = ["-m", "botkit", "run", "bot.py:bot"]
    with running(arguments, authority.folder, environ_of(authority)) as process:
        pause = threading.Event()
        while process.poll() is None:
            with contextlib.suppress(requests.ConnectionError):
                if requests.get(f"{public_of(authority)}/readyz", timeout=CALL_S).ok:
                    break
            pause.wait(0.05)
        assert process.poll() is None, (authority.folder / "stderr").read_text()
        yield process


def invite(authority: Authority, *options: str) -> str:
    (authority.folder / "invite").mkdir(exist_ok=True)
    arguments = ["-m", "botkit", "accounts", "invite", *options]
    with running(arguments, authority.folder / "invite", environ_of(authority)) as process:
        link = process.stdout.readline().strip()
    assert link, (authority.folder / "invite" / "stderr").read_text()
    return link


def begin(browser: requests.Session, link: str) -> str:
    """Press the button and authorize; gives the address that the browser is sent to."""
    page = browser.get(link, timeout=CALL_S)
    fields = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]+)"', page.text))
    at = link.partition("?")[0]
    headers = {"Origin": at.removesuffix("/connect")}
    sent = browser.post(at, data=fields, headers=headers, timeout=CALL_S)
    at_x = html.unescape(re.findall(r'content="0; url=([^"]+)"', sent.text)[0])
    asked = browser.get(f"{at_x}&decision=authorize", allow_redirects=False, timeout=CALL_S)
    return asked.headers["Location"]


def test_two_equal_callbacks_are_one_exchange_that_proves_the_client_by_basic(
    authority: Authority,
) -> None:
    link = invite(authority, "--account", USERNAME)
    with bot_of(authority), requests.Session() as browser:
        back = begin(browser, link)

        def call(_: int) -> int:
            return browser.get(back, timeout=CALL_S).status_code

        with ThreadPoolExecutor(4) as pool:
            statuses = list(pool.map(call, range(4)))
        assert statuses.count(200) == 1
        assert set(statuses) <= {200, 400, 409}
        assert browser.get(link, timeout=CALL_S).status_code == 410
    (exchange,) = [
        one for one in authority.log("token") if one["grant_type"] == "authorization_code"
    ]
    assert (exchange["status"], exchange["scheme"]) == (200, "Basic")
    assert exchange["knows_the_secret"]
    assert not exchange["secret_in_body"]


def test_a_killed_bot_burns_no_invitation(authority: Authority) -> None:
    link = invite(authority)
    with requests.Session() as browser:
        with bot_of(authority) as process:
            back = begin(browser, link)
            process.kill()
        with bot_of(authority):
            assert browser.get(back, timeout=CALL_S).status_code == 400
            assert authority.log("token") == []
            again = begin(browser, link)
            assert browser.get(again, timeout=CALL_S).status_code == 200
