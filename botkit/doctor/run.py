"""The examination: every check in its order.

It changes nothing but what asking with a login changes: a refresh that is due, and the state that
X's answer proves. It never writes to X.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botkit.bot import Bot
from botkit.bot.compose_client import (
    endpoints_of,
    keys_of,
    limits_of,
    open_the_vault,
    open_transport,
    open_x,
)
from botkit.client.logins.endpoints import AppKeys
from botkit.client.system import SystemClock, SystemEntropy
from botkit.doctor import account_standing
from botkit.doctor.account_round import AccountRound
from botkit.doctor.app_keys import CheckedApp
from botkit.doctor.app_round import AppRound
from botkit.doctor.findings import fine, not_asked, of_error, untold, wrong
from botkit.doctor.logins import NextStep
from botkit.doctor.probes import Probes
from botkit.doctor.report import Report
from botkit.errors import BotkitError, ConfigError
from botkit.ports import Store
from botkit.protocol.refusals.table import diagnose
from botkit.runtime.writes.budget import Budget

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from botkit.bot.compose_client import X
    from botkit.config import Settings
    from botkit.doctor.findings import Finding
    from botkit.model.records import CredentialRow
    from botkit.model.users import Account
    from botkit.ports import Clock, Entropy, Transport

__all__ = ["DoctorOptions", "examine"]

_CLOCK_OFF_S = 60.0
_NOT_X = range(200, 400)
_UNREACHABLE = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class DoctorOptions:
    """What the operator asked for.

    Attributes:
        bot: The bot, why it cannot be loaded, or None when none is named.
        account: Only this one, "" for all.
        opening: Opens the store that is there.
        next_step: The command that helps a login.
        offline: Do not ask X.
    """

    bot: Bot | BotkitError | None
    opening: Callable[[], AbstractAsyncContextManager[Store]]
    next_step: NextStep
    account: str = ""
    offline: bool = False


async def examine(
    settings: Settings,
    asked: DoctorOptions,
    *,
    transport: Transport | None = None,
    clock: Clock | None = None,
    entropy: Entropy | None = None,
) -> Report:
    """Check everything that would make the first write fail."""
    time, chance = clock or SystemClock(), entropy or SystemEntropy()
    report = Report(clock=time)
    report.findings.append(fine("settings", "every setting is known and can be read"))
    report.findings += _bot(asked.bot)
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(open_transport(settings, transport))
        asking = Probes(opened, endpoints_of(settings), time, chance)
        exam = _DoctorRun(settings, asked, report, stack)
        await exam.open_store()
        await exam.open_x(opened, chance)
        way = asking if await exam.reaches_x(asking) else None
        apps = exam.apps()
        for app in apps:
            needs = settings.bot.source == "stream"
            await AppRound(app, exam.x, needs_bearer=needs).make(report, way)
        await exam.accounts_round(way)
        if way is not None:
            for app in apps:
                report.findings += account_standing.judge_app(app.name, way)
            for account in exam.accounts:
                report.findings += account_standing.judge_account(account, way)
    return report


class _DoctorRun:
    """What is opened on the way: the store, who is in it, and what speaks to X for them."""

    def __init__(
        self, settings: Settings, asked: DoctorOptions, report: Report, stack: AsyncExitStack
    ) -> None:
        self._settings = settings
        self._asked = asked
        self._report = report
        self._stack = stack
        self._store: Store | None = None
        self._rows: Sequence[CredentialRow] = ()
        self.accounts: Sequence[Account] = ()
        self.x: X | None = None

    async def open_store(self) -> None:
        """Open the store and see who is in it."""

        async def look() -> list[Finding]:
            try:
                store = await self._stack.enter_async_context(self._asked.opening())
            except ConfigError as nothing_yet:
                cause = f"No account is authorized yet: {nothing_yet.message}"
                return [wrong("account", cause, nothing_yet.hint)]
            everyone = await store.accounts.listing()
            self._rows = await store.credentials.listing()
            self._store = store
            count = len(everyone)
            found = [fine("store", f"{count} account{'s' * (count != 1)} in {store.url}")]
            try:
                self.accounts = await self._chosen(store, everyone)
            except ConfigError as unknown:
                return [*found, of_error("account", unknown)]
            if not everyone:
                cure = "Run botkit setup."
                found.append(wrong("account", "No account is authorized yet.", cure))
            return found

        await self._report.ask("store", look)

    async def _chosen(self, store: Store, everyone: Sequence[Account]) -> Sequence[Account]:
        name = self._asked.account
        if not name:
            return everyone
        one = await store.accounts.get(name)
        if one is None:
            known = ", ".join(f"@{account.username}" for account in everyone) or "none"
            raise ConfigError(f"There is no account {name!r} here.", hint=f"Known: {known}.")
        return [one]

    async def open_x(self, transport: Transport, entropy: Entropy) -> None:
        """Open the vault, and what speaks to X with what is in it."""
        store = self._store
        if store is None or (not self._rows and await store.vault_check() is None):
            return  # nothing is sealed yet, and setup makes the key

        async def look() -> list[Finding]:
            vault = await open_the_vault(self._settings, store)
            self.x = await self._stack.enter_async_context(
                open_x(
                    self._settings,
                    store,
                    vault,
                    transport=transport,
                    clock=self._report.clock,
                    entropy=entropy,
                )
            )
            await self.x.keeper.bearers.read()
            return [fine("vault", "the key opens what is sealed")]

        await self._report.ask("vault", look)

    async def reaches_x(self, asking: Probes) -> bool:
        """Whether X is there and may be asked; with what time it has there."""
        url = self._settings.x.api_url
        if self._asked.offline:
            self._report.findings.append(not_asked("x", "X was not asked (--offline)."))
            return False
        is_there = False

        async def look() -> list[Finding]:
            nonlocal is_there
            status = await asking.whether_there()
            if status in _NOT_X:
                cause = f"{url} answers {status} to a call without credentials: that is not X."
                return [untold("x", cause, "Check x.api_url and any proxy in between.")]
            row = diagnose(status)
            if row.id in {"server-error", "gone"}:
                cause = f"{row.cause} ({url} answers {status}.)"
                return [untold("x", cause, row.cure, code=_UNREACHABLE)]
            is_there = True
            return [fine("x", f"{url} answers"), _clock(asking.clock_off)]

        await self._report.ask("x", look)
        return is_there

    def apps(self) -> list[CheckedApp]:
        """The apps of these accounts; without a named account also all that have keys."""
        names = {account.app for account in self.accounts}
        if not self._asked.account:
            names |= set(self._settings.apps)
            if not names or keys_of(self._settings.app_named()) != AppKeys():
                names.add("default")
        found: list[CheckedApp] = []
        for name in sorted(names):
            try:
                found.append(self._app(name))
            except ConfigError as missing:
                self._report.findings.append(of_error("app", missing, about=f"app {name}"))
        return found

    def _app(self, name: str) -> CheckedApp:
        app = self._settings.app_named(name)
        mine = (account for account in self.accounts if account.app == name)
        uses = frozenset(row.kind for account in mine for row in self._rows_of(account))
        return CheckedApp(name=name, keys=keys_of(app), redirect_uri=app.redirect_uri, uses=uses)

    async def accounts_round(self, asking: Probes | None) -> None:
        """Every account's round."""
        if self._store is None:
            return
        limits = limits_of(self._settings)
        budget = self.x.budget if self.x else Budget(self._store, self._report.clock, limits)
        for account in self.accounts:
            await AccountRound(
                account,
                self._rows_of(account),
                bot=self._asked.bot if isinstance(self._asked.bot, Bot) else Bot("botkit"),
                store=self._store,
                budget=budget,
                has_bearer=self._has_bearer(account.app),
                next_step=self._asked.next_step,
            ).make(self._report, asking, self.x)

    def _rows_of(self, account: Account) -> list[CredentialRow]:
        """Its logins through its app."""
        mine = (row for row in self._rows if row.account_id == account.id)
        return [row for row in mine if row.app == account.app]

    def _has_bearer(self, app: str) -> bool:
        if self.x is not None:
            return self.x.keeper.app_can_serve(app)
        try:
            return keys_of(self._settings.app_named(app)).can_act_as_app
        except ConfigError:
            return False  # a line of its own says that there is no such app


def _bot(bot: Bot | BotkitError | None) -> list[Finding]:
    """Whether the bot can be loaded and its handlers served."""
    if isinstance(bot, BotkitError):
        problems = bot.problems if isinstance(bot, ConfigError) else (bot.message,)
        return [wrong("bot", problem, bot.hint) for problem in problems]
    if bot is None:
        return [fine("bot", "none is named: judged as one that may post and reply")]
    return [fine("bot", f"{bot.name} may {', '.join(sorted(bot.may))}")]


def _clock(off: timedelta | None) -> Finding:
    if off is None:
        return untold("clock", "X did not say what time it has.")
    seconds = off.total_seconds()
    if abs(seconds) <= _CLOCK_OFF_S:
        return fine("clock", f"{abs(seconds):.0f} s from X's")
    minutes, left = divmod(round(abs(seconds)), 60)
    way = "behind" if seconds > 0 else "ahead of"
    cause = f"The clock of this machine is {minutes} min {left:02d} s {way} X's."
    return wrong("clock", cause, "Set it by NTP.")
