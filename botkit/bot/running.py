"""Run a bot on the store of its settings: alone in a process, or inside another program."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from botkit.bot.accounts.account_choice import TWO_WAYS
from botkit.bot.accounts.label_reminder import remind_of_label
from botkit.bot.compose import open_runtime
from botkit.errors import ConfigError
from botkit.storage.copies import held_against_copies
from botkit.storage.files import file_of
from botkit.storage.opening import missing_file, open_store
from botkit.storage.vault.key_places import warning_of_key
from botkit.system import SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from botkit.bot.bot_runtime import BotRuntime
    from botkit.bot.compose import RunOptions
    from botkit.bot.plan import Plan
    from botkit.config import Settings
    from botkit.model.records import StatusReport
    from botkit.model.users import Account
    from botkit.ports import Store

__all__ = ["RunningBot", "held_alone", "open_bot"]

_log = structlog.get_logger(__name__)


class RunningBot:
    """Control a bot that runs inside your program; `Bot.running` makes it.

    Each property returns the bot's state at the moment of reading.
    """

    def __init__(self, runtime: BotRuntime) -> None:
        self._runtime = runtime

    @property
    def accounts(self) -> tuple[Account, ...]:
        """Return the accounts that the bot acts for, with those authorized since its start."""
        return self._runtime.accounts

    @property
    def sources(self) -> Mapping[str, str]:
        """Return the name of each source, with the reason why that kind was chosen."""
        return dict(self._runtime.sources)

    @property
    def status(self) -> Mapping[str, StatusReport]:
        """Return the last report of each part, by the names that `botkit status` shows."""
        return dict(self._runtime.reports.current)

    @property
    def is_stopped(self) -> bool:
        """Return True if the bot takes in no more events."""
        return self._runtime.stopped

    async def stop(self, drain_s: float | None = None) -> tuple[str, ...]:
        """Stop the bot in order before the block ends; a second call changes nothing.

        Intake stops, and handlers have `drain_s` seconds to finish (by default `[run] drain_s`).
        Returns the names of the handlers that do not end although they were cancelled: they end
        with the process, and their events run again at the next start.
        """
        await self._runtime.stop(drain_s)
        return tuple(self._runtime.stubborn)


@asynccontextmanager
async def open_bot(
    plan: Plan, settings: Settings, options: RunOptions
) -> AsyncGenerator[BotRuntime]:
    """Run a bot on the store that its settings name, until the block ends.

    Raises:
        ConfigError: No account is authorized yet.
        StateError: The store cannot be opened, or a bot runs on a copy of it.
        BotkitError: Any other error that `open_runtime` raises.
    """
    await asyncio.to_thread(_must_be_set_up, settings)
    warning = await asyncio.to_thread(warning_of_key, settings)
    if warning:
        _log.warning("vault_key.beside_store", why=warning)
    clock = SystemClock(options.ahead)
    async with (
        open_store(settings.store_url, clock=clock, create=False) as store,
        held_alone(settings, store),
        open_runtime(plan, settings, store=store, options=options, clock=clock) as running,
    ):
        reminding = remind_of_label(running.accounts, running.x.sender, store)
        running.tasks.start(reminding, "label")
        yield running


@asynccontextmanager
async def held_alone(settings: Settings, store: Store) -> AsyncGenerator[None]:
    """Keep bots on copies of the store from starting, until the block ends."""
    lock = held_against_copies(store.store_id, file_of(settings.store_url))
    await asyncio.to_thread(lock.__enter__)
    try:
        yield
    finally:
        await asyncio.to_thread(lock.__exit__, None, None, None)


def _must_be_set_up(settings: Settings) -> None:
    """Raise `ConfigError` with both next steps if there is no store: setup never ran.

    Raises:
        StoreUnavailable: The system does not let this user look for the store.
    """
    url = settings.store_url
    if missing_file(url) is not None:
        hint = "Make one: botkit accounts invite" if settings.connect.on else TWO_WAYS
        raise ConfigError(f"No account is authorized yet: there is no store at {url}.", hint=hint)
