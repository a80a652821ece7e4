"""Opens a bot on the store of its settings, in a process of its own or inside another."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from botkit.bot.accounts.account_choice import TWO_WAYS
from botkit.bot.accounts.label_reminder import remind_of_label
from botkit.bot.compose import open_runtime
from botkit.errors import ConfigError
from botkit.storage import open_store
from botkit.storage.files import file_of
from botkit.storage.vault.key_places import warning_of_key
from botkit.system import SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from botkit.bot.bot_runtime import BotRuntime
    from botkit.bot.compose import RunOptions
    from botkit.bot.plan import Plan
    from botkit.config import Settings

__all__ = ["open_bot"]

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_bot(
    plan: Plan, settings: Settings, options: RunOptions
) -> AsyncGenerator[BotRuntime]:
    """Run a bot until the block ends, on the store that its settings name.

    Raises:
        ConfigError: No account is authorized yet. And whatever `open_runtime` raises.
        StateError: The store cannot be opened.
    """
    await asyncio.to_thread(_must_be_set_up, settings)
    warning = await asyncio.to_thread(warning_of_key, settings)
    if warning:
        _log.warning("vault_key.beside_store", why=warning)
    async with (
        open_store(settings.store_url, clock=SystemClock(), create=False) as store,
        open_runtime(plan, settings, store=store, options=options) as running,
    ):
        reminding = remind_of_label(running.accounts, running.x.sender, store)
        running.tasks.start(reminding, "label")
        yield running


def _must_be_set_up(settings: Settings) -> None:
    """Before the first setup there is no store: say the two ways on, not what file is missing."""
    url = settings.store_url
    path = file_of(url)
    if path is not None and not path.exists():
        hint = "Make one: botkit accounts invite" if settings.connect.on else TWO_WAYS
        raise ConfigError(f"No account is authorized yet: there is no store at {url}.", hint=hint)
