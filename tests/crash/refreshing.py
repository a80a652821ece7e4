"""Processes that refresh one login of one store, and what the next start finds there."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from botkit.bot.compose_client import apps_of, endpoints_of, open_the_vault, open_x
from botkit.client.logins.login_rows import LoginRows
from botkit.config import Settings, load_settings
from botkit.model.records import CredentialRow
from botkit.model.tokens import CredentialKind, LoginState, Secret
from botkit.model.users import Account
from botkit.storage import open_store
from botkit.system import SystemClock
from tests.crash.peer import Peer

__all__ = [
    "ACCOUNT",
    "DUE",
    "OVER",
    "Refreshers",
    "log_in",
    "plain_environment",
    "settled",
    "traced",
]

ACCOUNT = Account(id="1999", username="greeter")
DUE = timedelta(minutes=15)
OVER = timedelta(0)
KEY = base64.urlsafe_b64encode(bytes(32)).decode()


class Refreshers:
    """Processes that ask for the account's access token, forked from a warm one."""

    def __init__(self, folder: Path, peer: Peer, *, log: Path | None = None, **more: str) -> None:
        self.folder = folder
        self.environ = {
            "BOTKIT_X__API_URL": peer.url,
            "BOTKIT_APP__CLIENT_ID": "id",
            "BOTKIT_APP__CLIENT_SECRET": "its-half",
            "BOTKIT_STORE__URL": f"sqlite:///{folder / 'botkit.db'}",
            "BOTKIT_STORE__KEY": KEY,
        }
        self.settings: Settings = load_settings(environ=self.environ, folder=folder)
        self.log = log or folder / "log"
        self._log = self.log.open("a")
        self._warm = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("refresher.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=plain_environment(folder) | self.environ | more,
        )
        assert self._line() == "ready"

    def fork(self, number: int = 1) -> list[int]:
        """Processes that wait for `go`; gives their ids."""
        self._say(str(number))
        self.pids = [int(pid) for pid in self._line().split()]
        return self.pids

    def go(self) -> None:
        """Let them start."""
        self._say("go")

    def ends(self) -> list[tuple[int, str]]:
        """How each ended, with what it got."""
        ended = [self._line().partition(" ") for _ in self.pids]
        return [(int(code), token) for code, _, token in ended]

    def close(self) -> None:
        self._warm.kill()
        self._warm.communicate()
        self._log.close()

    def _say(self, line: str) -> None:
        assert self._warm.stdin is not None
        self._warm.stdin.write(line + "\n")
        self._warm.stdin.flush()

    def _line(self) -> str:
        assert self._warm.stdout is not None
        return self._warm.stdout.readline().rstrip("\n")


async def log_in(refreshers: Refreshers, peer: Peer, left: timedelta) -> None:
    """A new login, whose access token lives for that long."""
    settings = refreshers.settings
    access, refresh = peer.grant()
    clock = SystemClock()
    async with open_store(settings.store_url, clock=clock) as store:
        vault = await open_the_vault(settings, store)
        await store.accounts.put(ACCOUNT)
        kind = CredentialKind.OAUTH2
        known = await store.credentials.get(ACCOUNT.id, "default", kind)
        gen = 1 if known is None else known.gen + 1
        now = clock.now()
        tokens = {"access_token": Secret(access), "refresh_token": Secret(refresh)}
        rows = LoginRows(
            store, vault, clock, apps=apps_of(settings), endpoints=endpoints_of(settings)
        )
        row = CredentialRow(
            account_id=ACCOUNT.id,
            app="default",
            kind=kind,
            gen=gen,
            sealed=b"",
            user_id=ACCOUNT.id,
            username=ACCOUNT.username,
            scopes=("tweet.read", "users.read", "offline.access"),
            since=now,
            granted_at=now - timedelta(hours=2) + left,
            access_until=now + left,
        )
        await store.credentials.replace(rows.sealed(rows.bound(row), tokens))


async def settled(refreshers: Refreshers) -> tuple[LoginState, int, str]:
    """What a process finds that starts now: state, generation, and a token that it serves."""
    settings = refreshers.settings
    async with open_store(settings.store_url, clock=SystemClock(), create=False) as store:
        vault = await open_the_vault(settings, store)
        async with open_x(settings, store, vault) as x:
            status = await x.keeper.settled(ACCOUNT.id)
            token = (await x.keeper.access_token(ACCOUNT.id)).reveal()
            return status.status, status.gen, token


@contextmanager
def traced(strace: str, pid: int, *options: str) -> Iterator[None]:
    """Trace a process that waits; ends when the process has ended."""
    tracing = subprocess.Popen(
        [strace, "-f", "-o", os.devnull, *options, "-p", str(pid)],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert tracing.stderr is not None
    line = tracing.stderr.readline()
    try:
        if "attached" not in line:
            pytest.skip(f"strace may not attach here: {line.strip()}")
        yield
        tracing.communicate(timeout=20)
    finally:
        tracing.kill()
        tracing.communicate()


def plain_environment(home: Path) -> dict[str, str]:
    """The environment without any setting of botkit's."""
    kept = {
        name: value
        for name, value in os.environ.items()  # noqa: TID251 - for a process that is started
        if not name.startswith(("BOTKIT_", "COV_", "COVERAGE_"))
    }
    return kept | {"XDG_CONFIG_HOME": str(home / "config"), "PYTHONUNBUFFERED": "1"}
