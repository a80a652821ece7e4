"""Add accounts that are authorized while the bot runs: by invitation, or by a setup beside it.

The bot starts the new account's sources, handlers and schedules without a restart. If an account
moved to another app, or its app can now open the stream, its sources are restarted. An account
that the bot must not act for is left alone, and the reason is logged once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec
import structlog

from botkit.bot.compose_client import X
from botkit.bot.handlers.handler_parts import HandlerValues
from botkit.bot.listening import Listening
from botkit.errors import BotkitError, ConfigError, StoreUnavailable
from botkit.model.users import Account
from botkit.runtime.life.lifecycle import Runtime
from botkit.runtime.life.status import Reports
from botkit.runtime.life.ticks import Scheduler

if TYPE_CHECKING:
    from botkit.ports import Source

__all__ = ["AccountJoins"]

_log = structlog.get_logger(__name__)


class AccountJoins(msgspec.Struct, kw_only=True):
    """Hold the accounts that a running bot acts for, and add new ones.

    Attributes:
        only: The account that the settings name; "" if the bot acts for every stored account.
        accounts: The accounts that the bot acts for, by id.
        sources: The name of each running source, with the reason why that kind was chosen.
        values: The values for handlers; an account is added here before its sources start.
        check: Raises `AccessDenied` for an account whose logins do not allow what the bot may do.
    """

    only: str
    accounts: dict[str, Account]
    sources: dict[str, str]
    x: X
    listening: Listening
    scheduler: Scheduler
    runtime: Runtime
    reports: Reports
    values: HandlerValues
    check: Callable[[Account], Awaitable[None]]
    _refused: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    _turn: asyncio.Lock = msgspec.field(default_factory=asyncio.Lock)

    async def look(self) -> None:
        """Read the accounts from the store, add the new ones, and update those that changed.

        Raises:
            StoreUnavailable: Accounts may have been missed; call `look` again.
        """
        async with self._turn:
            for account in await self._wanted():
                if account.id not in self.accounts:
                    await self._take_on(account)
                else:
                    await self._keep_up(account)

    def refusal(self, account_id: str) -> str:
        """Return why the bot does not act for the account, or not in its present form; else ""."""
        others = "" if account_id in self.accounts else "[bot] account names another account"
        return self._refused.get(account_id, others)

    async def _wanted(self) -> list[Account]:
        if not self.only:
            return await self.x.store.accounts.listing()
        account = await self.x.store.accounts.get(self.only)
        return [] if account is None else [account]

    async def _take_on(self, account: Account) -> None:
        if not await self.x.store.credentials.listing(account.id):
            return  # the account has no stored login: not yet, or not any more
        try:
            await self.check(account)
            sources, reasons = self.listening.sources([account])
        except StoreUnavailable:
            raise
        except BotkitError as refused:
            self._say_once(account, str(refused))
            return
        await self.scheduler.add(account.id)
        self._act_for(account, sources, reasons)
        _log.info("account.joined", account=account.username, sources=dict(reasons))

    async def _keep_up(self, account: Account) -> None:
        """Restart the account's sources if its app, or what that app can do, has changed."""
        is_moved = self.accounts[account.id].app != account.app
        if is_moved and account.app not in self.x.keeper.context.apps:
            why = f"it has moved to app {account.app}, which the settings of this bot do not have"
            self._say_once(account, f"{why}: add it, and restart the bot")
            return
        try:
            if not self.listening.is_outdated(account):
                return
        except ConfigError as refused:
            self._say_once(account, str(refused))
            return
        ended = self.listening.leave(account)
        for name in ended:
            await self.runtime.remove_part(name)
        sources, reasons = self.listening.sources([account])
        gone = [name for name in ended if name not in reasons]
        self._act_for(account, sources, reasons, gone=gone)
        for name in gone:
            self.reports(name, "ended")
        _log.info("account.sources_restarted", account=account.username, sources=dict(reasons))

    def _act_for(
        self,
        account: Account,
        sources: Iterable[Source],
        reasons: Mapping[str, str],
        *,
        gone: Collection[str] = (),
    ) -> None:
        self.values.know(account)
        self.accounts[account.id] = account
        for name in gone:
            self.sources.pop(name, None)
        self.sources.update(reasons)
        if self._refused.pop(account.id, None) is not None:
            self.reports(f"account/{account.id}", "working")
        for source in sources:
            self.runtime.add_part(source.name, source.run)

    def _say_once(self, account: Account, why: str) -> None:
        if self._refused.get(account.id) != why:
            self._refused[account.id] = why
            _log.error("account.not_joined", account=account.username, why=why)
            state = "behind" if account.id in self.accounts else "stopped"
            self.reports(f"account/{account.id}", state, why)
