"""A simulated X on a socket in a thread, and an operator at its side who types commands."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from botkit.bot.compose_client import apps_of, endpoints_of, open_the_vault
from botkit.bot.keys.key_making import KeyWish, provide_key
from botkit.cli import main
from botkit.client.logins.login_rows import LoginRows
from botkit.config import load_settings
from botkit.model.records import CredentialRow
from botkit.model.tokens import CredentialKind, LoginState, Secret
from botkit.model.users import Account
from botkit.sandbox.x.listener import open_server
from botkit.storage import open_store
from botkit.system import SystemClock
from tests.unit.cli.doctoring import Doctor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from botkit.sandbox.world.grants import Grant
    from botkit.sandbox.x.listener import OpenServer

SCOPES = ("tweet.read", "tweet.write", "users.read", "offline.access")
KEY = base64.urlsafe_b64encode(bytes(range(32))).decode()


class _Serving(threading.Thread):
    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.opened: OpenServer | None = None
        self.ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()

    def run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        async with open_server() as self.opened:
            self.ready.set()
            await self._end.wait()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self.join(10)


@pytest.fixture(scope="module")
def _served() -> Iterator[OpenServer]:
    serving = _Serving()
    serving.start()
    assert serving.ready.wait(20)
    assert serving.opened is not None
    yield serving.opened
    serving.stop()


class Desk:
    """One machine of an operator: a folder, its settings, and what commands said there.

    Attributes:
        faults: What X does wrong, see `botkit.sandbox.x.faults`.
        out: What the last command said on stdout; `err` on stderr.
    """

    def __init__(
        self,
        opened: OpenServer,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self._opened = opened
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.folder = folder
        self.world = opened.world
        self.faults = opened.server.faults
        self.faults.clear()
        self.user = self.world.find_user("greeter") or self.world.add_user("greeter")
        self.app = self.world.grants.add_app("greeter")
        self.out = self.err = ""
        self.environ = {
            "BOTKIT_X__API_URL": opened.url,
            "BOTKIT_APP__CLIENT_ID": self.app.client_id,
            "BOTKIT_APP__CLIENT_SECRET": self.app.client_secret or "",
            "BOTKIT_APP__API_KEY": self.app.api_key,
            "BOTKIT_APP__API_SECRET": self.app.api_secret,
            "BOTKIT_STORE__KEY": KEY,
        }
        self.move_to(folder)

    def move_to(self, folder: Path, **changes: str | None) -> None:
        """Work on another machine: another folder, with its own settings."""
        folder.mkdir(mode=0o700, exist_ok=True)
        self.folder = folder
        self.environ |= {name: value for name, value in changes.items() if value is not None}
        for name in [name for name, value in changes.items() if value is None]:
            self.environ.pop(name, None)
        self._monkeypatch.chdir(folder)
        self._monkeypatch.setattr("botkit.config._taken", {})
        for name in [name for name in os.environ if name.startswith("BOTKIT_")]:  # noqa: TID251
            self._monkeypatch.delenv(name)
        for name, value in {**self.environ, "XDG_CONFIG_HOME": str(folder / "config")}.items():
            self._monkeypatch.setenv(name, value)

    def do(self, *arguments: str) -> int:
        """Run `botkit accounts ...`; gives the exit code."""
        return self.top("accounts", *arguments)

    def top(self, *arguments: str) -> int:
        """Run any command; gives the exit code."""
        code = main(arguments)
        self.out, self.err = self._capsys.readouterr()
        for secret in self.secrets():
            assert secret not in self.out + self.err
        return code

    def json(self, *arguments: str) -> Any:
        self.do(*arguments, "--json")
        return json.loads(self.out)

    def secrets(self) -> set[str]:
        """Everything that no command may show."""
        told = {self.app.client_secret or "", self.app.api_secret, KEY}
        for grant in self.world.grants.of_user(self.user.id):
            told |= {*grant.access, grant.refresh or ""}
        return told - {""}

    @property
    def refreshes(self) -> list[str]:
        """How the refreshes ended that X saw of this app, in order."""
        return [use.outcome for use in self.world.grants.log if use.grant_type == "refresh_token"]

    def log_in(self, *, left: timedelta = timedelta(hours=2), **changes: Any) -> Grant:
        """A login as setup would have left it here, and forget what X saw before."""
        grant = self.world.grants.grant(self.app, self.user.id, SCOPES)
        self.world.grants.log.clear()
        tokens = {
            "access_token": self.world.grants.newest_access(grant),
            "refresh_token": grant.refresh or "",
        }
        asyncio.run(self._store(CredentialKind.OAUTH2, tokens, left, changes))
        return grant

    def log_in_1a(self, token: str, token_secret: str) -> None:
        """An OAuth 1.0a login."""
        tokens = {"token": token, "token_secret": token_secret}
        asyncio.run(self._store(CredentialKind.OAUTH1, tokens, None, {}))

    async def _store(
        self,
        kind: CredentialKind,
        tokens: dict[str, str],
        left: timedelta | None,
        changes: dict[str, Any],
    ) -> None:
        settings = await asyncio.to_thread(load_settings)
        clock = SystemClock()
        async with open_store(settings.store_url, clock=clock) as store:
            wish = KeyWish(may_make=True)
            await provide_key(settings, store, wish, tell=lambda _: None)
            vault = await open_the_vault(settings, store)
            app, username = changes.pop("app", "default"), changes.pop("username", "greeter")
            account = Account(id=self.user.id, username=username, app=app)
            await store.accounts.put(account)
            now = clock.now()
            granted_at = now if left is None else now - timedelta(hours=2) + left
            rows = LoginRows(
                store, vault, clock, apps=apps_of(settings), endpoints=endpoints_of(settings)
            )
            known = await store.credentials.get(account.id, app, kind)
            gen = 1 if known is None else known.gen + 1
            row = CredentialRow(
                account_id=account.id,
                app=app,
                kind=kind,
                gen=gen,
                sealed=b"",
                user_id=account.id,
                username=account.username,
                scopes=changes.pop("scopes", SCOPES if left is not None else ()),
                since=now,
                granted_at=granted_at,
                access_until=None if left is None else now + left,
                **changes,
            )
            secrets = {name: Secret(token) for name, token in tokens.items()}
            await store.credentials.replace(rows.sealed(rows.bound(row), secrets))

    def row(self, kind: CredentialKind = CredentialKind.OAUTH2) -> CredentialRow | None:
        """The login as the store here has it."""

        async def read() -> CredentialRow | None:
            settings = await asyncio.to_thread(load_settings)
            async with open_store(settings.store_url, clock=SystemClock()) as store:
                return await store.credentials.get(self.user.id, "default", kind)

        return asyncio.run(read())

    @property
    def state(self) -> LoginState | None:
        row = self.row()
        return None if row is None else row.status


@pytest.fixture
def desk(
    _served: OpenServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Desk:
    """The machine where the bot was set up."""
    return Desk(_served, tmp_path / "laptop", monkeypatch, capsys)


@pytest.fixture
def doctor(desk: Desk) -> Iterator[Doctor]:
    yield Doctor(desk)
    desk.user.suspended = False
