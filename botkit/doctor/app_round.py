"""All questions about one app: its keys, its bearer token, its callback URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botkit.doctor import app_keys, callbacks
from botkit.doctor.findings import fine, wrong
from botkit.protocol.refusals.table import Verdict

if TYPE_CHECKING:
    from botkit.bot.compose_client import X
    from botkit.doctor.app_keys import CheckedApp
    from botkit.doctor.findings import Finding
    from botkit.doctor.probes import Probes
    from botkit.doctor.report import Report
    from botkit.model.tokens import Secret

__all__ = ["AppRound"]

_BEARER = "keys.bearer"


class AppRound:
    """The round of one app.

    Args:
        x: What speaks to X with what is stored; None when nothing is, or it cannot be opened.
        needs_bearer: The settings want the activity stream, which only a bearer token opens.
    """

    def __init__(self, app: CheckedApp, x: X | None, *, needs_bearer: bool) -> None:
        self._app = app
        self._x = x
        self._needs_bearer = needs_bearer
        self._fetched: Secret | None = None
        self._keys_work = True

    async def make(self, report: Report, asking: Probes | None) -> None:
        """Ask everything, X only with `asking`."""
        app, about = self._app, self._app.about
        report.findings += app_keys.look(app, hints=asking is None)
        report.findings += callbacks.check_rules(app)
        if asking is None:
            return
        await report.ask("keys.client", lambda: app_keys.prove_client(app, asking), about=about)
        await report.ask("keys.api", lambda: self._prove_api(asking), about=about)
        await report.ask(_BEARER, lambda: self._prove_bearer(asking), about=about)
        await report.ask(
            "callback.registered",
            lambda: callbacks.prove_registered(app, asking, keys_work=self._keys_work),
            about=about,
        )

    async def _prove_api(self, asking: Probes) -> list[Finding]:
        found, self._fetched = await app_keys.prove_api(self._app, asking)
        self._keys_work = all(line.verdict is not Verdict.WRONG for line in found)
        return found

    async def _prove_bearer(self, asking: Probes) -> list[Finding]:
        app = self._app
        given = await self._given()
        if given or self._fetched:
            return await app_keys.prove_bearer(app, asking, given=given, fetched=self._fetched)
        if app.api is not None:
            return []  # the line on api key and secret says why there is none
        if self._needs_bearer:
            cause = "source = stream needs the app's bearer token, and there is none."
            cure = "Set bearer_token, or api_key and api_secret, or source = auto."
            return [wrong(_BEARER, cause, cure, about=app.about)]
        return [fine(_BEARER, "none, so the bot polls its mentions", about=app.about)]

    async def _given(self) -> Secret | None:
        """The bearer token of the settings, or the one that was given to setup."""
        keys, name = self._app.keys, self._app.name
        if keys.bearer_token or keys.can_act_as_app or self._x is None:
            return keys.bearer_token or None
        return await self._x.keeper.bearer(name) if self._x.keeper.app_can_serve(name) else None
