"""Takes on accounts that are authorized while the bot runs: by invitation, or by setup beside it.

A newcomer is heard, acted for and ticked from then on, without a restart. An account that the
bot must not act for is left alone, and why is said once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import msgspec
import structlog

from botkit.bot.listening import Listening
from botkit.config import Settings
from botkit.errors import BotkitError, StoreUnavailable
from botkit.model.users import Account
from botkit.ports import Store
from botkit.runtime.lifecycle import Runtime
from botkit.runtime.reports import Reports
from botkit.runtime.schedules import Scheduler

__all__ = ["Newcomers"]

_log = structlog.get_logger("botkit.bot")


class Newcomers(msgspec.Struct, kw_only=True):
    """The accounts that a running bot acts for, and how one more joins them.

    Attributes:
        accounts: Those it acts for, by id.
        check: Raises `AccessDenied` for an account that may not do what the bot may.
        known: Told of an account that handlers will run for.
        joined: Told of a newcomer, with what it is heard by and why.
    """

    settings: Settings
    store: Store
    accounts: dict[str, Account]
    listening: Listening
    scheduler: Scheduler
    runtime: Runtime
    reports: Reports
    check: Callable[[Account], Awaitable[None]]
    known: Callable[[Account], None]
    joined: Callable[[Account, Mapping[str, str]], None]
    _refused: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    _turn: asyncio.Lock = msgspec.field(default_factory=asyncio.Lock)

    async def look(self) -> None:
        """Take on every account of the store that the bot is to act for and does not yet.

        Raises:
            StoreUnavailable: Some may be missing; look again.
        """
        async with self._turn:
            for account in await self._wanted():
                known = self.accounts.get(account.id)
                if known is None:
                    await self._take_on(account)
                elif known.app != account.app:
                    self._say_once(account, f"it has moved to app {account.app}: restart the bot")

    def refusal(self, account_id: str) -> str:
        """Why the bot does not act for an account, or not as it is now; "" when it does."""
        others = "" if account_id in self.accounts else "[bot] account names another account"
        return self._refused.get(account_id, others)

    async def _wanted(self) -> list[Account]:
        only = self.settings.bot.account
        if not only:
            return await self.store.accounts.listing()
        account = await self.store.accounts.get(only)
        return [] if account is None else [account]

    async def _take_on(self, account: Account) -> None:
        if not await self.store.credentials.listing(account.id):
            return  # a login without tokens yet, or none any more
        try:
            await self.check(account)
            sources, reasons = self.listening.welcome(account)
        except StoreUnavailable:
            raise
        except BotkitError as refused:
            self._say_once(account, str(refused))
            return
        await self.scheduler.add(account.id)
        self.known(account)
        self.accounts[account.id] = account
        self._refused.pop(account.id, None)
        self.joined(account, reasons)
        for source in sources:
            self.runtime.add_part(source.name, source.run)
        _log.info("account joined", account=account.username, sources=dict(reasons))

    def _say_once(self, account: Account, why: str) -> None:
        if self._refused.get(account.id) != why:
            self._refused[account.id] = why
            _log.error("account not taken on", account=account.username, why=why)
            state = "behind" if account.id in self.accounts else "stopped"
            self.reports(f"account/{account.id}", state, why)
