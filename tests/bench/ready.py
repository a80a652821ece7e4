"""A folder in which `botkit run` starts a bot: its module, its settings, an account that is logged in."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from botkit.client.logins.login_rows import LoginRows
    from botkit.config import Settings
    from botkit.ports import Store

__all__ = ["ACCOUNT_ID", "RUNNING", "prepare", "secret"]

ACCOUNT_ID = "1"
RUNNING = '"event": "bot.started"'
"""Stands in the line that `botkit run` logs when it hears."""

_TOKEN_LENGTH = 91
_NOBODY = "http://127.0.0.1:9"  # no connection is waited for before the bot is ready


def prepare(
    folder: Path, *, api_url: str = _NOBODY, accounts: int = 1, oauth1: bool = False
) -> None:
    """A bot, its settings, and a store with so many accounts that are logged in.

    Their ids count from 1. With `oauth1` they hold an OAuth 1.0a token and nothing else.
    """
    key = "made-up-".ljust(42, "k") + "A="
    app = {"client_id": "made-up", "client_secret": "made-up", "bearer_token": "made-up"}
    if oauth1:
        app |= {"api_key": "made-up", "api_secret": "made-up"}
    settings = {
        "bot": {"target": "bench_bot:bot"},
        "app": app,
        "x": {"api_url": api_url},
        "store": {"url": f"sqlite:///{folder / 'botkit.db'}", "key": key},
    }
    lines = [
        line
        for section, values in settings.items()
        for line in (f"[{section}]", *(f'{name} = "{value}"' for name, value in values.items()))
    ]
    (folder / "botkit.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "botkit.toml").chmod(0o600)
    (folder / "bench_bot.py").write_text(_BOT, encoding="utf-8")
    from botkit.config import load_settings

    settled = load_settings(environ={}, folder=folder)
    asyncio.run(_fill(settled, accounts=accounts, oauth1=oauth1))


_BOT = """
from botkit import Actions, Bot, Mention
from botkit.filters import contains

bot = Bot("bench")


@bot.on(Mention, contains("hello"))
async def greet(mention: Mention, act: Actions) -> None:
    await act.reply(mention, "Hello!")
"""


def secret(kind: str, account_id: str) -> str:
    """A token of its own for each account, as long as X's are."""
    return f"{kind}-{account_id}-".ljust(_TOKEN_LENGTH, "x")


async def _fill(settings: Settings, *, accounts: int, oauth1: bool) -> None:
    from botkit.bot.compose_client import apps_of, endpoints_of, open_the_vault
    from botkit.client.logins.login_rows import LoginRows
    from botkit.storage import open_store
    from botkit.system import SystemClock

    clock = SystemClock()
    async with open_store(settings.store_url, clock=clock) as store:
        vault = await open_the_vault(settings, store)
        rows = LoginRows(
            store, vault, clock, apps=apps_of(settings), endpoints=endpoints_of(settings)
        )
        async with asyncio.TaskGroup() as group:  # so that many are committed together
            for number in range(1, accounts + 1):
                group.create_task(_log_in(store, rows, clock.now(), str(number), oauth1=oauth1))


async def _log_in(
    store: Store, rows: LoginRows, now: datetime, account_id: str, *, oauth1: bool
) -> None:
    from botkit.model.records import CredentialRow
    from botkit.model.tokens import CredentialKind, Secret
    from botkit.model.users import Account

    kind = CredentialKind.OAUTH1 if oauth1 else CredentialKind.OAUTH2
    names = ("token", "token_secret") if oauth1 else ("access_token", "refresh_token")
    tokens = {name: Secret(secret(name, account_id)) for name in names}
    scopes = ("tweet.read", "tweet.write", "users.read", "offline.access")
    username = "bench" if account_id == ACCOUNT_ID else f"bench{account_id}"
    await store.accounts.put(Account(id=account_id, username=username, app="default"))
    row = CredentialRow(
        account_id=account_id,
        app="default",
        kind=kind,
        gen=1,
        sealed=b"",
        user_id=account_id,
        username=username,
        scopes=() if oauth1 else scopes,
        level="read-write" if oauth1 else "",
        since=now,
        granted_at=now,
        access_until=None if oauth1 else now + timedelta(hours=2),
    )
    await store.credentials.replace(rows.sealed(rows.bound(row), tokens))
