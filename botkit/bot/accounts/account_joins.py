"""Takes on accounts that are authorized while the bot runs: by invitation, or by setup beside it.

A newcomer is heard, acted for and ticked from then on, without a restart; one that moved to
another app, or whose app can open the stream by now, is heard anew. An account that the bot must
not act for is left alone, and why is said once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec
import structlog

from botkit.bot.compose_client import X
from botkit.bot.handler_parts import HandlerValues
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
    """The accounts that a running bot acts for, and how one more joins them.

    Attributes:
        only: The one account of the settings; "" when the bot acts for all of the store.
        accounts: Those it acts for, by id.
        sources: What they are heard by, for each source the reason for that way.
        values: The values that handlers are given; they know an account before it is acted for.
        check: Raises `AccessDenied` for an account that may not do what the bot may.
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
        """Act for every account of the store that the bot is to act for, as it is by now.

        Raises:
            StoreUnavailable: Some may be missing; look again.
        """
        async with self._turn:
            for account in await self._wanted():
                if account.id not in self.accounts:
                    await self._take_on(account)
                else:
                    await self._keep_up(account)

    def refusal(self, account_id: str) -> str:
        """Why the bot does not act for an account, or not as it is now; "" when it does."""
        others = "" if account_id in self.accounts else "[bot] account names another account"
        return self._refused.get(account_id, others)

    async def _wanted(self) -> list[Account]:
        if not self.only:
            return await self.x.store.accounts.listing()
        account = await self.x.store.accounts.get(self.only)
        return [] if account is None else [account]

    async def _take_on(self, account: Account) -> None:
        if not await self.x.store.credentials.listing(account.id):
            return  # a login without tokens yet, or none any more
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
        """Hear one of ours through its app of now, by what that app can do now."""
        is_moved = self.accounts[account.id].app != account.app
        if is_moved and account.app not in self.x.keeper.around.apps:
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
