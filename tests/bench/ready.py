"""A whole start of a bot, for E3: run as a process of its own on a folder that `prepare` made."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

__all__ = ["ACCOUNT_ID", "prepare"]

ACCOUNT_ID = "1"

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
    asyncio.run(_fill(folder))


_BOT = """
from botkit import Actions, Bot, Mention
from botkit.filters import contains

bot = Bot("bench")


@bot.on(Mention, contains("hello"))
async def greet(mention: Mention, act: Actions) -> None:
    await act.reply(mention, "Hello!")
"""


async def _fill(folder: Path) -> None:
    from datetime import timedelta

    from botkit.bot.assembly import open_the_vault
    from botkit.client.system import SystemClock
    from botkit.config import load_settings
    from botkit.model.records import CredentialRow
    from botkit.model.tokens import CredentialKind
    from botkit.model.users import Account
    from botkit.storage import open_store

    clock = SystemClock()
    settings = load_settings(environ={}, folder=folder)
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


async def _run(folder: Path) -> None:
    from botkit.bot.joining import open_runtime
    from botkit.bot.serving import log_as
    from botkit.cli.loading import load_bot
    from botkit.client.system import SystemClock
    from botkit.config import load_settings
    from botkit.storage import open_store

    settings = load_settings(environ={}, folder=folder)
    redactor = log_as(settings, level="error")
    bot = load_bot(settings.bot.target or "")
    async with (
        open_store(settings.store_url, clock=SystemClock(), create=False) as store,
        open_runtime(bot, settings, store=store, redactor=redactor),
    ):
        os._exit(0)  # what a stop costs is another question


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    asyncio.run(_run(Path(sys.argv[1])))
