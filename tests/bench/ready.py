"""A folder in which `botkit run` starts a bot: its module, its settings, an account that is logged in."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from botkit.config import Settings

__all__ = ["ACCOUNT_ID", "RUNNING", "prepare"]

ACCOUNT_ID = "1"
RUNNING = '"event": "running"'
"""Stands in the line that `botkit run` logs when it hears."""

_NOBODY = "http://127.0.0.1:9"  # no connection is waited for before the bot is ready


def prepare(folder: Path, *, api_url: str = _NOBODY) -> None:
    """A bot, its settings, and a store with one account that is logged in."""
    key = "made-up-".ljust(42, "k") + "A="
    settings = {
        "bot": {"target": "bench_bot:bot"},
        "app": {"client_id": "made-up", "client_secret": "made-up", "bearer_token": "made-up"},
        "x": {"api_url": api_url},
        "store": {"url": f"sqlite:///{folder / 'botkit.db'}", "key": key},
    }
    lines = [
        line
        for section, values in settings.items()
        for line in (f"[{section}]", *(f'{name} = "{value}"' for name, value in values.items()))
    ]
    (folder / "botkit.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "bench_bot.py").write_text(_BOT, encoding="utf-8")
    from botkit.config import load_settings

    asyncio.run(_fill(load_settings(environ={}, folder=folder)))


_BOT = """
from botkit import Actions, Bot, Mention
from botkit.filters import contains

bot = Bot("bench")


@bot.on(Mention, contains("hello"))
async def greet(mention: Mention, act: Actions) -> None:
    await act.reply(mention, "Hello!")
"""


async def _fill(settings: Settings) -> None:
    from datetime import timedelta

    from botkit.bot.assembly import open_the_vault
    from botkit.client.system import SystemClock
    from botkit.model.records import CredentialRow
    from botkit.model.tokens import CredentialKind
    from botkit.model.users import Account
    from botkit.storage import open_store

    clock = SystemClock()
    async with open_store(settings.store_url, clock=clock) as store:
        vault = await open_the_vault(settings, store)
        await store.accounts.put(Account(id=ACCOUNT_ID, username="bench", app="default"))
        kind = CredentialKind.OAUTH2
        tokens = {"access_token": "made-up", "refresh_token": "made-up"}
        now = clock.now()
        await store.credentials.replace(
            CredentialRow(
                account_id=ACCOUNT_ID,
                app="default",
                kind=kind,
                gen=1,
                sealed=vault.seal(tokens, account_id=ACCOUNT_ID, app="default", kind=kind, gen=1),
                user_id=ACCOUNT_ID,
                username="bench",
                scopes=("tweet.read", "tweet.write", "users.read", "offline.access"),
                since=now,
                granted_at=now,
                access_until=now + timedelta(hours=2),
            )
        )
