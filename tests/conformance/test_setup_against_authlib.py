"""`botkit setup` against an authorization server that is not ours, and judged by that server's log."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests

from botkit.bot.compose_client import X, open_the_vault, open_x
from botkit.config import Settings, load_settings
from botkit.errors import InvalidGrant
from botkit.model.tokens import Secret
from botkit.storage import open_store
from botkit.system import SystemClock
from tests.conformance.sandbox_process import surroundings

START_S = 20.0
CALL_S = 10.0
ACCESS_LIFE_S = 120
"""A refresh is due with a sixth to a third of it left."""
HURRY = 60
CLIENT_ID = "odd id+1/2=3&4%5:é"
CLIENT_SECRET = "odd-se%63ret+/=&:#?~!*'()"  # settings take no blank and nothing beyond ASCII
USERNAME = "odd_bot"


class HurriedClock(SystemClock):
    """A clock on which a minute passes in a second: no shorter life than one is believed."""

    def __init__(self) -> None:
        super().__init__()
        self._began, self._from = super().monotonic(), super().now()

    def now(self) -> datetime:
        return self._from + timedelta(seconds=self.monotonic() - self._began)

    def monotonic(self) -> float:
        return self._began + (super().monotonic() - self._began) * HURRY

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / HURRY)

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[Any]:
        return super().timeout(None if seconds is None else seconds / HURRY)


CLOCK = HurriedClock()


@dataclass(frozen=True)
class Authority:
    """The server, the callback address that is registered there, and the bot's folder."""

    url: str
    redirect_uri: str
    folder: Path

    def log(self, call: str) -> list[dict[str, Any]]:
        entries = requests.get(f"{self.url}/log", timeout=CALL_S).json()
        return [entry for entry in entries if entry["call"] == call]

    def refreshes(self) -> list[dict[str, Any]]:
        return [one for one in self.log("token") if one["grant_type"] == "refresh_token"]

    def environ(self) -> dict[str, str]:
        secret = self.folder / "client_secret"
        secret.write_text(CLIENT_SECRET + "\n", encoding="utf-8")
        return {
            "BOTKIT_X__API_URL": self.url,
            "BOTKIT_X__CONSENT_URL": f"{self.url}/i/oauth2/authorize",
            "BOTKIT_APP__CLIENT_ID": CLIENT_ID,
            "BOTKIT_APP__CLIENT_SECRET_FILE": str(secret),
            "BOTKIT_APP__REDIRECT_URI": self.redirect_uri,
            "BOTKIT_STORE__URL": f"sqlite:///{self.folder / 'botkit.db'}",
            "BOTKIT_STORE__KEY": base64.urlsafe_b64encode(b"k" * 32).decode(),
        }

    def settings(self) -> Settings:
        return load_settings(environ=self.environ(), folder=self.folder)

    def post_token(self, **fields: str) -> requests.Response:
        """A token request of somebody else who knows the secret."""
        return requests.post(
            f"{self.url}/2/oauth2/token", data=fields, headers=basic(), timeout=CALL_S
        )


def basic() -> dict[str, str]:
    """The header as the RFC has it, made without botkit."""
    pair = urlencode({"": CLIENT_ID})[1:] + ":" + urlencode({"": CLIENT_SECRET})[1:]
    return {"authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


@contextlib.contextmanager
def running(arguments: list[str], folder: Path, environ: dict[str, str]) -> Iterator[Any]:
    """A Python process whose first line is there, or which is killed at the deadline."""
    with (folder / "stderr").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env=surroundings(folder) | environ,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    deadline = threading.Timer(START_S, process.kill)
    deadline.start()
    try:
        yield process
    finally:
        deadline.cancel()
        process.kill()
        process.communicate()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[Authority]:
    with serving(tmp_path, "/callback") as opened:
        yield opened


@contextlib.contextmanager
def serving(tmp_path: Path, callback: str) -> Iterator[Authority]:
    """The server, where a callback address of that path is registered."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        redirect_uri = f"http://127.0.0.1:{free.getsockname()[1]}{callback}"
    settings = {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "redirect_uri": redirect_uri,
        "username": USERNAME,
        "access_life_s": ACCESS_LIFE_S,
    }
    (tmp_path / "server").mkdir()
    (tmp_path / "bot").mkdir()
    program = Path(__file__).with_name("authlib_server.py")
    arguments = [str(program), json.dumps(settings)]
    with running(arguments, tmp_path / "server", {"AUTHLIB_INSECURE_TRANSPORT": "1"}) as process:
        url = process.stdout.readline().strip()
        assert url, (tmp_path / "server" / "stderr").read_text()
        yield Authority(url, redirect_uri, tmp_path / "bot")


def set_up(authority: Authority, *, decision: str = "authorize") -> tuple[int, str, str, str]:
    """Run `botkit setup --no-browser`; gives its exit code, what it said, and the page's end."""
    arguments = ["-m", "botkit", "setup", "--no-browser"]
    with running(arguments, authority.folder, authority.environ()) as process:
        address = process.stdout.readline().strip()
        said = authority.folder / "stderr"
        assert address, said.read_text()
        page = requests.get(f"{address}&decision={decision}", timeout=CALL_S)
        more, _ = process.communicate(timeout=START_S)
    assert more == "", "the address stands alone on stdout"
    return process.returncode, address, said.read_text(), page.text


def test_setup_goes_to_the_end_with_all_that_the_server_insists_on(authority: Authority) -> None:
    code, address, said, page = set_up(authority)
    assert code == 0, said
    assert f"@{USERNAME}" in said
    assert f"@{USERNAME}" in page

    (asked,) = authority.log("authorize")
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == authority.redirect_uri
    assert "%20" in urlsplit(address).query
    assert "+" not in urlsplit(address).query

    (exchange,) = authority.log("token")
    assert exchange["status"] == 200
    assert exchange["scheme"] == "Basic"
    assert exchange["knows_the_secret"] is True
    assert exchange["secret_in_body"] is False
    assert exchange["media_type"] == "application/x-www-form-urlencoded"
    assert {entry["status"] for entry in authority.log("me")} == {200}
    assert CLIENT_SECRET not in said + page


def test_two_setups_share_neither_state_nor_challenge_nor_code(authority: Authority) -> None:
    assert [set_up(authority)[0] for _ in range(2)] == [0, 0]
    asked = authority.log("authorize")
    for name in ("state", "code_challenge"):
        assert len({entry[name] for entry in asked}) == 2
    exchanges = authority.log("token")
    assert [entry["status"] for entry in exchanges] == [200, 200]
    for name in ("code", "code_verifier"):
        assert len({entry[name] for entry in exchanges}) == 2


def test_a_user_who_declines_ends_setup_with_2_and_no_token_request(authority: Authority) -> None:
    code, _, said, _ = set_up(authority, decision="cancel")
    assert code == 2, said
    assert authority.log("token") == []


async def test_the_keeper_refreshes_ahead_and_spends_no_token_twice(authority: Authority) -> None:
    code, _, said, _ = await asyncio.to_thread(set_up, authority)
    assert code == 0, said
    settings = await asyncio.to_thread(authority.settings)
    async with (
        asyncio.timeout(START_S),
        open_store(settings.store_url, clock=CLOCK) as store,
        open_x(settings, store, await open_the_vault(settings, store), clock=CLOCK) as x,
        asyncio.TaskGroup() as tasks,
    ):
        (account,) = await store.accounts.listing()
        first = await x.keeper.access_token(account.id)
        running = tasks.create_task(x.keeper.run())
        refreshes = await until(lambda: two_or_more(authority))
        latest = await until(lambda: another(x, account.id, first))
        running.cancel()

    assert latest.reveal() not in {"", first.reveal()}
    assert {entry["status"] for entry in refreshes} == {200}
    assert {entry["scheme"] for entry in refreshes} == {"Basic"}
    assert all(entry["knows_the_secret"] for entry in refreshes)
    assert not any(entry["secret_in_body"] for entry in refreshes)
    spent = [entry["refresh_token"] for entry in refreshes]
    assert len(spent) == len(set(spent))
    assert {entry["status"] for entry in authority.log("me")} == {200}


async def test_a_family_that_a_thief_ended_is_a_login_for_a_person(authority: Authority) -> None:
    code, _, said, _ = await asyncio.to_thread(set_up, authority)
    assert code == 0, said
    settings = await asyncio.to_thread(authority.settings)
    async with (
        asyncio.timeout(START_S),
        open_store(settings.store_url, clock=CLOCK) as store,
        open_x(settings, store, await open_the_vault(settings, store), clock=CLOCK) as x,
    ):
        (account,) = await store.accounts.listing()
        first = await x.keeper.access_token(account.id)
        await until(lambda: another(x, account.id, first))
        spent = await asyncio.to_thread(authority.refreshes)
        stolen = {"grant_type": "refresh_token", "refresh_token": spent[0]["refresh_token"]}
        reused = await asyncio.to_thread(lambda: authority.post_token(**stolen))
        assert (reused.status_code, reused.json()["error"]) == (400, "invalid_grant")
        with pytest.raises(InvalidGrant):
            await until(lambda: another(x, account.id, None))


async def until(look: Callable[[], Awaitable[Any]]) -> Any:
    """What `look` finds; the test's own deadline ends it."""
    while not (found := await look()):
        await CLOCK.sleep(0.05 * HURRY)
    return found


async def two_or_more(authority: Authority) -> list[dict[str, Any]] | None:
    refreshes = await asyncio.to_thread(authority.refreshes)
    return refreshes if len(refreshes) > 1 else None


async def another(x: X, account_id: str, known: Secret | None) -> Secret | None:
    """The account's access token when it is not the known one; with None no token will do."""
    token = await x.keeper.access_token(account_id)
    return token if known is not None and token.reveal() != known.reveal() else None


@pytest.mark.parametrize("left_out", ["code_challenge_method", "code_challenge", "both", "plain"])
def test_the_server_itself_takes_nothing_but_s256(authority: Authority, left_out: str) -> None:
    asked = question(authority)
    if left_out == "plain":
        asked["code_challenge_method"] = "plain"
    else:
        names = {"both": ["code_challenge", "code_challenge_method"]}.get(left_out, [left_out])
        for name in names:
            del asked[name]
    assert "code" not in parse_qs(urlsplit(agree(authority, asked)).query)


def test_the_server_itself_takes_a_code_once_and_no_secret_in_the_body(
    authority: Authority,
) -> None:
    back = parse_qs(urlsplit(agree(authority, question(authority))).query)
    fields = {
        "grant_type": "authorization_code",
        "code": back["code"][0],
        "redirect_uri": authority.redirect_uri,
        "code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    }
    in_body = fields | {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    refused = requests.post(f"{authority.url}/2/oauth2/token", data=in_body, timeout=CALL_S)
    assert refused.status_code == 401
    assert authority.post_token(**fields | {"code_verifier": "x" * 43}).status_code == 400

    fields["code"] = parse_qs(urlsplit(agree(authority, question(authority))).query)["code"][0]
    assert authority.post_token(**fields).status_code == 200
    assert authority.post_token(**fields).json()["error"] == "invalid_grant"


def question(authority: Authority) -> dict[str, str]:
    """A right authorization request, with the pair of RFC 7636 appendix B."""
    return {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": authority.redirect_uri,
        "scope": "users.read offline.access",
        "state": "s",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    }


def agree(authority: Authority, asked: dict[str, str]) -> str:
    """Where the browser is sent; "" when it stays."""
    answer = requests.get(
        f"{authority.url}/i/oauth2/authorize", params=asked, allow_redirects=False, timeout=CALL_S
    )
    return answer.headers.get("location", "")
