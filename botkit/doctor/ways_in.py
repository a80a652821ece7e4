"""Check the ways by which events come in, besides those that need no setting.

These are the hooks of other software, X's webhook, and the rules and searches of the bot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botkit.bot.http_server import check_hooks, check_webhook
from botkit.doctor.findings import Check, about_app
from botkit.errors import ConfigError
from botkit.model.triggers import Trigger
from botkit.sources.push.rules import check_plan
from botkit.sources.push.webhooks import Webhooks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from botkit.bot.compose_client import X
    from botkit.bot.definition import Bot
    from botkit.config import Settings
    from botkit.doctor.findings import Finding
    from botkit.doctor.report import Report
    from botkit.model.users import Account

__all__ = ["WaysIn"]


class WaysIn:
    """Run the checks of hooks, webhook and declared sources.

    Args:
        bot: The bot, None if none is named or it cannot be loaded.
        x: The client with the stored logins, None if X is not asked.
    """

    def __init__(
        self, settings: Settings, bot: Bot | None, accounts: Sequence[Account], x: X | None
    ) -> None:
        self._settings = settings
        self._bot = bot
        self._accounts = accounts
        self._x = x

    async def run(self, report: Report) -> None:
        """Run each check for which the settings or the bot give a reason."""
        if self._settings.hooks:
            check = Check("hooks")
            await report.ask(check, lambda: self._hooks(check))
        if self._bot is not None and self._accounts:
            check = Check("sources")
            await report.ask(check, lambda: self._sources(check))
        if self._settings.bot.source == "webhook":
            check = Check("webhook", about_app(self._settings.webhook.app))
            await report.ask(check, lambda: self._webhook(check))

    async def _hooks(self, check: Check) -> list[Finding]:
        hooks = self._settings.hooks
        found = _of_settings(check, lambda: check_hooks(self._settings, self._accounts))
        names = (name for each in self._accounts for name in (each.id, each.username, each.alias))
        here = {name.casefold() for name in names}
        for name, hook in hooks.items():
            if hook.account and hook.account.lstrip("@").casefold() not in here:
                cause = f"[hooks.{name}] is for {hook.account!r}, which is not authorized here."
                found.append(check.wrong(cause, "Run botkit setup, or change account."))
        if self._bot is not None and not self._bot.plan.handles(Trigger):
            cause = f"{self._bot.name} has no handler for Trigger: what hooks bring does nothing."
            found.append(check.wrong(cause, "Register one, or remove the [hooks.NAME] sections."))
        return found or [check.fine(", ".join(f"POST /hooks/{name}" for name in hooks))]

    async def _sources(self, check: Check) -> list[Finding]:
        assert self._bot is not None
        declared = self._bot.plan.wiring.sources
        if not (declared.rules or declared.polled):
            return []
        plan = self._settings.app_named(self._accounts[0].app).plan
        found = _of_settings(check, lambda: check_plan(declared, plan=plan))
        rules, polls = len(declared.rules), len(declared.polled)
        return found or [check.fine(f"the {plan} plan takes all: rules {rules}, polls {polls}")]

    async def _webhook(self, check: Check) -> list[Finding]:
        """Ask X if it takes the address for valid."""
        if found := _of_settings(check, lambda: check_webhook(self._settings)):
            return found
        url, name = self._settings.webhook.public_url or "", self._settings.webhook.app
        mine = [each for each in self._accounts if each.app == name]
        if self._x is None or not mine:
            return [check.not_asked(f"{url}: X was not asked.")]
        webhooks = Webhooks(self._x.sender, account_id=mine[0].id)
        valid = {each.url: each.valid for each in await webhooks.listing()}
        if url not in valid:
            return [check.fine(f"X has no webhook {url} yet: botkit run registers it")]
        if valid[url]:
            return [check.fine(f"X takes {url} for valid")]
        cause = f"X takes {url} for invalid, and delivers nothing."
        cure = "Start the bot, make sure that X reaches it there, then botkit webhooks check."
        return [check.wrong(cause, cure)]


def _of_settings(check: Check, look: Callable[[], None]) -> list[Finding]:
    """Return a finding for each problem that a check of the settings names."""
    try:
        look()
    except ConfigError as error:
        return [check.wrong(problem, error.hint) for problem in error.problems]
    return []
