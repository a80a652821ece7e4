"""Run the doctor: every check in its order.

The doctor never writes to X. Like any call with a login, its calls may refresh a login that is
due, and store the login's state that X's answer proves.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botkit.bot.compose_client import (
    endpoints_of,
    keys_of,
    limits_of,
    open_the_vault,
    open_transport,
    open_x,
)
from botkit.bot.definition import Bot
from botkit.client.logins.endpoints import AppKeys
from botkit.doctor import account_standing
from botkit.doctor.account_checks import AccountChecks
from botkit.doctor.app_checks import AppChecks
from botkit.doctor.app_keys import CheckedApp
from botkit.doctor.findings import Check, about_app
from botkit.doctor.logins import NextStep
from botkit.doctor.probes import Probes
from botkit.doctor.report import Report
from botkit.doctor.ways_in import WaysIn
from botkit.errors import BotkitError, ConfigError
from botkit.ports import Store
from botkit.protocol.refusals.table import diagnose
from botkit.runtime.writes.checks.budget import Budget
from botkit.system import SystemClock, SystemEntropy
from botkit.telemetry.counted import counted

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
    """Hold the options of a run.

    Attributes:
        bot: The bot, the error that its loading raised, or None if no bot is named.
        account: The only account to check; "" for all.
        opening: Opens the store if it exists.
        next_step: Returns the command that repairs a login.
        offline: Do not ask X.
    """

    bot: Bot | BotkitError | None
    opening: Callable[[], AbstractAsyncContextManager[Store]]
    next_step: NextStep
    account: str = ""
    offline: bool = False


async def examine(
    settings: Settings,
    options: DoctorOptions,
    *,
    transport: Transport | None = None,
    clock: Clock | None = None,
    entropy: Entropy | None = None,
) -> Report:
    """Run every check; return the report on everything that would make a write fail."""
    time, chance = clock or SystemClock(), entropy or SystemEntropy()
    report = Report(clock=time)
    report.findings.append(Check("settings").fine("every setting is known and can be read"))
    report.findings += _check_bot(options.bot)
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(open_transport(settings, transport))
        all_probes = Probes(opened, endpoints_of(settings), time, chance)
        run = _DoctorRun(settings, options, report, stack)
        await run.open_store()
        await run.open_x(opened, chance)
        probes = all_probes if await run.reaches_x(all_probes) else None
        apps = run.apps()
        for app in apps:
            needs = settings.bot.source in {"stream", "webhook"}
            await AppChecks(app, run.x, needs_bearer=needs).run(report, probes)
        await run.check_accounts(probes)
        if not options.account:
            await run.check_ways_in(probes)
        if probes is not None:
            for app in apps:
                report.findings += account_standing.judge_app(app.name, probes)
            for account in run.accounts:
                report.findings += account_standing.judge_account(account, probes)
    return report


class _DoctorRun:
    """Hold the state of one run: the open store, its accounts and logins, the client for X."""

    def __init__(
        self, settings: Settings, options: DoctorOptions, report: Report, stack: AsyncExitStack
    ) -> None:
        self._settings = settings
        self._options = options
        self._report = report
        self._stack = stack
        self._store: Store | None = None
        self._rows: Sequence[CredentialRow] = ()
        self.accounts: Sequence[Account] = ()
        self.x: X | None = None

    async def open_store(self) -> None:
        """Open the store and read its accounts and logins."""
        check, of_account = Check("store"), Check("account")

        async def look() -> list[Finding]:
            try:
                store = await self._stack.enter_async_context(self._options.opening())
            except ConfigError as nothing_yet:
                cause = f"No account is authorized yet: {nothing_yet.message}"
                return [of_account.wrong(cause, nothing_yet.hint)]
            everyone = await store.accounts.listing()
            self._rows = await store.credentials.listing()
            self._store = store
            count = len(everyone)
            found = [check.fine(f"{counted(count, 'account')} in {store.url}")]
            try:
                self.accounts = await self._chosen(store, everyone)
            except ConfigError as unknown:
                return [*found, of_account.of_error(unknown)]
            if not everyone:
                found.append(
                    of_account.wrong("No account is authorized yet.", "Run botkit setup.")
                )
            return found

        await self._report.ask(check, look)

    async def _chosen(self, store: Store, everyone: Sequence[Account]) -> Sequence[Account]:
        name = self._options.account
        if not name:
            return everyone
        one = await store.accounts.get(name)
        if one is None:
            known = ", ".join(f"@{account.username}" for account in everyone) or "none"
            raise ConfigError(f"There is no account {name!r} here.", hint=f"Known: {known}.")
        return [one]

    async def open_x(self, transport: Transport, entropy: Entropy) -> None:
        """Open the vault, and the client for X that uses its logins."""
        store = self._store
        if store is None or (not self._rows and await store.vault_check() is None):
            return  # nothing is sealed yet: setup will make the key
        check = Check("vault")

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
            return [check.fine("the key opens what is sealed")]

        await self._report.ask(check, look)

    async def reaches_x(self, probes: Probes) -> bool:
        """Check that X answers, and this machine's clock; return True if X may be asked more."""
        check, url = Check("x"), self._settings.x.api_url
        if self._options.offline:
            self._report.findings.append(check.not_asked("X was not asked (--offline)."))
            return False
        is_there = False

        async def look() -> list[Finding]:
            nonlocal is_there
            status = await probes.status_of_x()
            if status in _NOT_X:
                cause = f"{url} answers {status} to a call without credentials: that is not X."
                return [check.untold(cause, "Check x.api_url and any proxy in between.")]
            row = diagnose(status)
            if row.id in {"server-error", "gone"}:
                cause = f"{row.cause} ({url} answers {status}.)"
                return [check.untold(cause, row.cure, code=_UNREACHABLE)]
            is_there = True
            return [check.fine(f"{url} answers"), _check_clock(probes.clock_off)]

        await self._report.ask(check, look)
        return is_there

    def apps(self) -> list[CheckedApp]:
        """Return the apps of the accounts; if no account is named, also all apps with keys."""
        names = {account.app for account in self.accounts}
        if not self._options.account:
            names |= set(self._settings.apps)
            if not names or keys_of(self._settings.app_named()) != AppKeys():
                names.add("default")
        found: list[CheckedApp] = []
        for name in sorted(names):
            try:
                found.append(self._app(name))
            except ConfigError as missing:
                self._report.findings.append(Check("app", about_app(name)).of_error(missing))
        return found

    def _app(self, name: str) -> CheckedApp:
        app = self._settings.app_named(name)
        mine = (account for account in self.accounts if account.app == name)
        uses = frozenset(row.kind for account in mine for row in self._rows_of(account))
        return CheckedApp(name=name, keys=keys_of(app), redirect_uri=app.redirect_uri, uses=uses)

    async def check_accounts(self, probes: Probes | None) -> None:
        """Run the checks of every account."""
        if self._store is None:
            return
        limits = limits_of(self._settings)
        budget = self.x.budget if self.x else Budget(self._store, self._report.clock, limits)
        for account in self.accounts:
            await AccountChecks(
                account,
                self._rows_of(account),
                bot=self._options.bot if isinstance(self._options.bot, Bot) else Bot("botkit"),
                store=self._store,
                budget=budget,
                has_bearer=self._has_bearer(account.app),
                next_step=self._options.next_step,
            ).run(self._report, probes, self.x)

    async def check_ways_in(self, probes: Probes | None) -> None:
        """Run the checks of hooks, webhook and declared sources."""
        bot = self._options.bot if isinstance(self._options.bot, Bot) else None
        x = self.x if probes is not None else None
        await WaysIn(self._settings, bot, self.accounts, x).run(self._report)

    def _rows_of(self, account: Account) -> list[CredentialRow]:
        """Return the account's logins through its app."""
        mine = (row for row in self._rows if row.account_id == account.id)
        return [row for row in mine if row.app == account.app]

    def _has_bearer(self, app: str) -> bool:
        if self.x is not None:
            return self.x.keeper.app_can_serve(app)
        try:
            return keys_of(self._settings.app_named(app)).can_act_as_app
        except ConfigError:
            return False  # another finding says that there is no such app


def _check_bot(bot: Bot | BotkitError | None) -> list[Finding]:
    """Check that the bot can be loaded and its handlers served."""
    check = Check("bot")
    if isinstance(bot, BotkitError):
        problems = bot.problems if isinstance(bot, ConfigError) else (bot.message,)
        return [check.wrong(problem, bot.hint) for problem in problems]
    if bot is None:
        return [check.fine("none is named: judged as one that may post and reply")]
    return [check.fine(f"{bot.name} may {', '.join(sorted(bot.may))}")]


def _check_clock(off: timedelta | None) -> Finding:
    check = Check("clock")
    if off is None:
        return check.untold("X did not say what time it has.")
    seconds = off.total_seconds()
    if abs(seconds) <= _CLOCK_OFF_S:
        return check.fine(f"{abs(seconds):.0f} s from X's")
    minutes, left = divmod(round(abs(seconds)), 60)
    way = "behind" if seconds > 0 else "ahead of"
    cause = f"The clock of this machine is {minutes} min {left:02d} s {way} X's."
    return check.wrong(cause, "Set it by NTP.")
