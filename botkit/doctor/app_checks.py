"""Run all checks of one app: its keys, its bearer token, its callback URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botkit.doctor import app_keys, callbacks
from botkit.protocol.refusals.table import Verdict

if TYPE_CHECKING:
    from botkit.bot.compose_client import X
    from botkit.doctor.app_keys import CheckedApp
    from botkit.doctor.findings import Finding
    from botkit.doctor.probes import Probes
    from botkit.doctor.report import Report
    from botkit.model.tokens import Secret

__all__ = ["AppChecks"]

_BEARER = "keys.bearer"


class AppChecks:
    """Run the checks of one app, in their order.

    Args:
        x: The client with the stored logins; None if there are none, or they cannot be opened.
        needs_bearer: True if the settings demand the activity stream, which needs a bearer token.
    """

    def __init__(self, app: CheckedApp, x: X | None, *, needs_bearer: bool) -> None:
        self._app = app
        self._x = x
        self._needs_bearer = needs_bearer
        self._fetched: Secret | None = None
        self._keys_work = True

    async def run(self, report: Report, probes: Probes | None) -> None:
        """Run every check; without `probes`, run only those that do not ask X."""
        app = self._app
        report.findings += app_keys.look(app, hints=probes is None)
        report.findings += callbacks.check_rules(app)
        if probes is None:
            return
        await report.ask(app.check("keys.client"), lambda: app_keys.prove_client(app, probes))
        await report.ask(app.check("keys.api"), lambda: self._prove_api(probes))
        await report.ask(app.check(_BEARER), lambda: self._prove_bearer(probes))
        await report.ask(
            app.check("callback.registered"),
            lambda: callbacks.prove_registered(app, probes, keys_work=self._keys_work),
        )

    async def _prove_api(self, probes: Probes) -> list[Finding]:
        found, self._fetched = await app_keys.prove_api(self._app, probes)
        self._keys_work = all(line.verdict is not Verdict.WRONG for line in found)
        return found

    async def _prove_bearer(self, probes: Probes) -> list[Finding]:
        app = self._app
        given = await self._given()
        if given or self._fetched:
            return await app_keys.prove_bearer(app, probes, given=given, fetched=self._fetched)
        if app.api is not None:
            return []  # the finding on api key and secret says why there is no bearer token
        if self._needs_bearer:
            cause = "source = stream needs the app's bearer token, and there is none."
            cure = "Set bearer_token, or api_key and api_secret, or source = auto."
            return [app.check(_BEARER).wrong(cause, cure)]
        return [app.check(_BEARER).fine("none, so the bot polls its mentions")]

    async def _given(self) -> Secret | None:
        """Return the bearer token of the settings, else the one that was given to setup."""
        keys, name = self._app.keys, self._app.name
        if keys.bearer_token or keys.can_act_as_app or self._x is None:
            return keys.bearer_token or None
        return await self._x.keeper.bearer(name) if self._x.keeper.app_can_serve(name) else None
