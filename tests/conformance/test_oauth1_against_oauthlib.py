"""`botkit setup --oauth1`, `--pin` and `accounts import` against an OAuth 1.0a server of oauthlib's."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import requests

from botkit.bot.compose_client import open_the_vault, open_x
from botkit.client.upkeep.invalidate import invalidate_pair
from botkit.config import Settings, load_settings
from botkit.errors import Parked, Unauthorized
from botkit.model.records import CredentialRow
from botkit.model.tokens import CredentialKind
from botkit.protocol.api.requests import get_me
from botkit.storage import open_store
from botkit.system import SystemClock
from tests.conformance.oauthlib_server import KEY, Odd, serving
from tests.conformance.sandbox_process import surroundings

API_SECRET = "L8qq9+/=&%:#?~!*'()t"  # settings take no blank and nothing beyond ASCII
START_S = 20.0
CALL_S = 10.0
ERRORS = "stderr"


class Place:
    """A server, a callback address that is registered there, and a bot's folder."""

    def __init__(self, url: str, odd: Odd, folder: Path) -> None:
        self.url = url
        self.odd = odd
        self.folder = folder

    def environ(self, **more: str) -> dict[str, str]:
        secret = self.folder / "api_secret"
        secret.write_text(API_SECRET + "\n", encoding="utf-8")
        return {
            "BOTKIT_X__API_URL": self.url,
            "BOTKIT_APP__API_KEY": KEY,
            "BOTKIT_APP__API_SECRET_FILE": str(secret),
            "BOTKIT_APP__REDIRECT_URI": self.odd.callbacks[0],
            "BOTKIT_STORE__URL": f"sqlite:///{self.folder / 'botkit.db'}",
            "BOTKIT_STORE__KEY": base64.urlsafe_b64encode(b"k" * 32).decode(),
            "NO_PROXY": "127.0.0.1",
            **more,
        }

    def settings(self) -> Settings:
        return load_settings(environ=self.environ(), folder=self.folder)

    def log(self, path: str) -> list[dict[str, Any]]:
        return [entry for entry in self.odd.log if entry["path"] == path]

    @property
    def said(self) -> str:
        return (self.folder / ERRORS).read_text()

    def is_silent(self) -> bool:
        """Whether none of the secrets stands in what was said."""
        secrets = [API_SECRET, self.odd.token_secret, *self.odd.tokens]
        return not any(secret in self.said for secret in secrets)

    @contextlib.contextmanager
    def command(self, *arguments: str, **more: str) -> Iterator[subprocess.Popen[str]]:
        with (self.folder / ERRORS).open("w") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "botkit", *arguments],
                cwd=self.folder,
                env=surroundings(self.folder) | self.environ(**more),
                stdin=subprocess.PIPE,
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

    def by_browser(self, decision: str = "", *arguments: str) -> tuple[int, str]:
        """Setup with a callback; gives the exit code and the last page."""
        with self.command("setup", "--oauth1", "--no-browser", *arguments) as process:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert address, self.said
            page = requests.get(f"{address}{decision}", timeout=CALL_S)
            more, _ = process.communicate(timeout=START_S)
        assert more == ""
        return process.returncode, page.text

    def by_pin(self, typed: str | None = None) -> int:
        with self.command("setup", "--pin", "--no-browser") as process:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert address, self.said
            shown = requests.get(address, timeout=CALL_S).text
            pin = re.search(r"oauth_verifier=(\d+)", shown)
            assert pin is not None
            process.communicate(f"{pin[1] if typed is None else typed}\n", timeout=START_S)
        return process.returncode

    def importing(self, text: str, *arguments: str) -> int:
        with self.command("accounts", "import", "--oauth1", *arguments) as process:
            process.communicate(text, timeout=START_S)
        return process.returncode

    async def row(self) -> CredentialRow | None:
        url = f"sqlite:///{self.folder / 'botkit.db'}"
        async with open_store(url, clock=SystemClock()) as store:
            rows = await store.credentials.listing()
        return rows[0] if rows else None


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        callback = f"http://127.0.0.1:{free.getsockname()[1]}/call%20back"
    odd = Odd(api_secret=API_SECRET, callbacks=[callback])
    with serving(odd) as url:
        yield Place(url, odd, tmp_path)


def headers_of(entry: dict[str, Any]) -> dict[str, str]:
    found = re.findall(r'([a-z_]+)="([^"]*)"', entry["authorization"])
    return {name: unquote(value) for name, value in found}


def test_setup_goes_to_the_end_with_odd_characters_everywhere(place: Place) -> None:
    code, page = place.by_browser()
    assert code == 0, place.said
    assert "@odd_bot" in page
    assert "read-write" in page
    assert "access token and secret kept sealed" in place.said
    assert place.is_silent()
    assert not any(token in page for token in place.odd.tokens)

    (asked,) = place.log("/oauth/request_token")
    assert headers_of(asked)["oauth_callback"] == place.odd.callbacks[0]
    assert "oauth_token" not in headers_of(asked)
    (exchanged,) = place.log("/oauth/access_token")
    assert set(headers_of(exchanged)) >= {"oauth_token", "oauth_verifier", "oauth_nonce"}
    assert {entry["body"] for entry in place.odd.log} == {""}
    assert {entry["status"] for entry in place.log("/2/users/me")} == {200}
    nonces = [headers_of(entry).get("oauth_nonce") for entry in place.odd.log]
    signed = [nonce for nonce in nonces if nonce]
    assert len(set(signed)) == len(signed)
    assert all(len(nonce) >= 16 for nonce in signed)


async def test_what_setup_stored_signs_calls_that_the_server_takes_until_it_is_invalidated(
    place: Place,
) -> None:
    code, _ = await asyncio.to_thread(place.by_browser)
    assert code == 0
    settings = await asyncio.to_thread(place.settings)
    async with (
        open_store(settings.store_url, clock=SystemClock()) as store,
        open_x(settings, store, await open_the_vault(settings, store)) as x,
    ):
        (account,) = await store.accounts.listing()
        (row,) = await store.credentials.listing()
        assert (row.kind, row.level, row.user_id) == (
            CredentialKind.OAUTH1,
            "read-write",
            "6253282",
        )
        assert place.odd.token_secret.encode() not in row.sealed
        response = await x.sender.send(get_me(), account_id=account.id)
        assert response.data["username"] == "odd_bot"
        await invalidate_pair(x.keeper.context, row)
        await invalidate_pair(x.keeper.context, row)
        with pytest.raises((Unauthorized, Parked)):
            await x.sender.send(get_me(), account_id=account.id)


async def test_a_person_who_declines_ends_setup_with_2_and_nothing_stored(place: Place) -> None:
    code, page = await asyncio.to_thread(place.by_browser, "&decision=cancel")
    assert code == 2, place.said
    assert "declined" in page
    assert place.log("/oauth/access_token") == []
    assert await place.row() is None


def test_the_pin_that_the_page_shows_ends_the_login(place: Place) -> None:
    assert place.by_pin() == 0, place.said
    (asked,) = place.log("/oauth/request_token")
    assert headers_of(asked)["oauth_callback"] == "oob"
    (exchanged,) = place.log("/oauth/access_token")
    assert headers_of(exchanged)["oauth_verifier"] == "0012345"
    assert "0012345" not in place.said


def test_a_wrong_pin_is_tried_once_and_what_is_no_pin_is_never_sent(place: Place) -> None:
    assert place.by_pin("not a pin\n12345 67\n7654321") == 2, place.said
    (tried,) = place.log("/oauth/access_token")
    assert headers_of(tried)["oauth_verifier"] == "7654321"
    assert "digits only" in place.said
    assert place.odd.tokens == {}


def test_without_the_confirmation_no_page_is_opened(place: Place) -> None:
    place.odd.confirmed = False
    with place.command("setup", "--oauth1", "--no-browser") as process:
        shown, _ = process.communicate(timeout=START_S)
    assert (process.returncode, shown) == (2, ""), place.said
    assert "oauth_callback_confirmed" in place.said


@pytest.mark.parametrize("off_s", [1200.0, -1200.0])
def test_a_clock_that_is_off_is_corrected_once_by_the_servers_date(
    place: Place, off_s: float
) -> None:
    place.odd.off_s = off_s
    code, _ = place.by_browser()
    assert code == 0, place.said
    assert [entry["status"] for entry in place.log("/oauth/request_token")] == [401, 200]
    assert [entry["status"] for entry in place.log("/oauth/access_token")] == [200]
    assert {entry["status"] for entry in place.log("/2/users/me")} == {200}


async def test_a_token_of_somebody_else_is_not_stored(place: Place) -> None:
    place.odd.token_of = "999"
    code, _ = await asyncio.to_thread(place.by_browser)
    assert code == 2, place.said
    assert await place.row() is None


async def test_another_account_than_the_wished_one_is_not_stored(place: Place) -> None:
    code, page = await asyncio.to_thread(place.by_browser, "", "--account", "greeter")
    assert code == 2, place.said
    assert "another account" in page
    assert await place.row() is None


def test_a_wrong_secret_of_the_app_is_told_before_a_page_is_opened(place: Place) -> None:
    place.odd.api_secret = "another"
    with place.command("setup", "--pin", "--no-browser") as process:
        shown, _ = process.communicate("", timeout=START_S)
    assert (process.returncode, shown) == (2, "")
    assert "api_key and api_secret" in place.said
    assert place.is_silent()


async def test_console_tokens_are_proven_before_they_are_kept(place: Place) -> None:
    token = "6253282-consoleconsoleconsole"
    place.odd.tokens[token] = place.odd.token_secret = "s%e+c/r=et"
    wrong = await asyncio.to_thread(place.importing, f"{token}\nanother\n")
    assert wrong == 2, place.said
    assert await place.row() is None
    assert "Keys and tokens page" in place.said

    assert await asyncio.to_thread(place.importing, "one line only\n") == 2
    file = place.folder / "pair"
    file.write_text(f"{token}\ns%e+c/r=et\n")
    assert await asyncio.to_thread(place.importing, "", "--file", str(file)) == 0, place.said
    first = await place.row()
    assert first is not None
    assert (first.user_id, first.gen, first.level) == ("6253282", 1, "read-write")
    assert await asyncio.to_thread(place.importing, f"{token}\ns%e+c/r=et\n") == 0, place.said
    second = await place.row()
    assert second is not None
    assert second.gen == 2
    assert "@odd_bot" in place.said
    assert token not in place.said


async def test_an_invalidated_login_is_gone_on_both_sides(place: Place) -> None:
    code, _ = await asyncio.to_thread(place.by_browser)
    assert code == 0

    def invalidate() -> int:
        with place.command("accounts", "invalidate", "--oauth1") as process:
            process.communicate(timeout=START_S)
        return process.returncode

    assert await asyncio.to_thread(invalidate) == 0, place.said
    assert place.odd.tokens == {}
    assert await place.row() is None
    assert await asyncio.to_thread(invalidate) == 2


def test_the_server_itself_takes_no_signature_of_another_secret(place: Place) -> None:
    header = (
        f'OAuth oauth_consumer_key="{KEY}", oauth_nonce="abcdefghijkl", oauth_signature="x",'
        ' oauth_signature_method="HMAC-SHA1", oauth_timestamp="'
        f'{int(SystemClock().now().timestamp())}", oauth_version="1.0", oauth_callback="oob"'
    )
    answer = requests.post(
        f"{place.url}/oauth/request_token", headers={"Authorization": header}, timeout=CALL_S
    )
    assert answer.json()["errors"][0]["code"] == 32
