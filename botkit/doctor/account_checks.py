"""Run all checks of one account: its logins, their access, its budget, its label."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botkit.doctor import abilities, logins
from botkit.doctor.findings import Check, about_account
from botkit.protocol.rules import pricing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from botkit.bot.compose_client import X
    from botkit.bot.definition import Bot
    from botkit.doctor.findings import Finding
    from botkit.doctor.logins import NextStep
    from botkit.doctor.probes import Probes
    from botkit.doctor.report import Report
    from botkit.model.records import CredentialRow
    from botkit.model.users import Account, User
    from botkit.ports import Store
    from botkit.runtime.writes.checks.budget import Budget

__all__ = ["AccountChecks"]

_LOGINS_LIMIT_S = 120.0
"""The time limit for all logins: it covers a refresh, and a second call after a refused token."""


class AccountChecks:
    """Run the checks of one account, in their order.

    Args:
        rows: The account's logins as they are stored.
        bot: The bot; the logins must allow its `may` and its scopes.
        has_bearer: True if the account's app has a bearer token.
    """

    def __init__(
        self,
        account: Account,
        rows: Sequence[CredentialRow],
        *,
        bot: Bot,
        store: Store,
        budget: Budget,
        has_bearer: bool,
        next_step: NextStep,
    ) -> None:
        self._account = account
        self._rows = rows
        self._bot = bot
        self._store = store
        self._budget = budget
        self._has_bearer = has_bearer
        self._next_step = next_step
        self._profile: User | None = None

    async def run(self, report: Report, probes: Probes | None, x: X | None) -> None:
        """Run every check; ask X if there are `probes` and a client `x`."""
        account, about = self._account, about_account(self._account)
        if probes is None or x is None:
            report.findings += logins.stored_logins(account, self._rows, next_step=self._next_step)
        else:
            await report.ask(
                Check("login", about),
                lambda: self._ask_x(report, probes, x),
                limit_s=_LOGINS_LIMIT_S,
            )
        await report.ask(Check("access", about), self._access)
        await report.ask(
            Check("budget", about), lambda: abilities.check_budget(account, self._budget)
        )
        await report.ask(Check("label", about), self._label)

    async def _ask_x(self, report: Report, probes: Probes, x: X) -> list[Finding]:
        account = self._account
        charge = pricing.charge_of_owner_check(account.id)

        def note() -> None:
            self._budget.note(account.id, charge, app=account.app)
            report.times_asked += 1
            report.cost_usd += charge.each_usd

        found, self._profile = await logins.ask_logins(
            x.keeper, account, probes, next_step=self._next_step, on_asked=note
        )
        # Read the rows again: X's answers may have changed the stored access levels.
        listed = await self._store.credentials.listing(account.id)
        self._rows = [row for row in listed if row.app == account.app]
        return found

    async def _access(self) -> list[Finding]:
        held = abilities.holdings_of(self._rows, has_bearer=self._has_bearer)
        bot = self._bot
        return abilities.check_access(
            self._account, held, may=bot.may, scopes=bot.plan.scopes, rows=self._rows
        )

    async def _label(self) -> list[Finding]:
        confirmed = {mark.step for mark in await self._store.accounts.marks(self._account.id)}
        return abilities.check_label(self._account, self._profile, confirmed)
