"""Check the callback URL: by each of X's rules, and whether it is registered with X.

Source: docs/explanation/x-facts.md, 5.2 to 5.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botkit.doctor.findings import diagnosis_of
from botkit.errors import BotkitError
from botkit.protocol.oauth.callback_urls import check_redirect_uri
from botkit.protocol.refusals.table import Topic

if TYPE_CHECKING:
    from botkit.doctor.app_keys import CheckedApp
    from botkit.doctor.findings import Check, Finding
    from botkit.doctor.probes import Probes

__all__ = ["check_rules", "prove_registered"]


def check_rules(app: CheckedApp) -> list[Finding]:
    """Return a finding for each rule that the callback URL breaks.

    If no problem is fatal, return one finding that all is fine, and mention the others in it.
    """
    check = app.check("callback")
    problems = check_redirect_uri(app.redirect_uri)
    broken = [
        check.wrong(
            f"redirect_uri {app.redirect_uri} [{problem.rule}]: {problem.text}", problem.cure
        )
        for problem in problems
        if problem.fatal
    ]
    if broken:
        return broken
    careful = "".join(f"; careful [{problem.rule}]: {problem.text}" for problem in problems)
    return [check.fine(f"{app.redirect_uri} keeps the rules{careful}")]


async def prove_registered(app: CheckedApp, probes: Probes, *, keys_work: bool) -> list[Finding]:
    """Ask X whether exactly this callback URL is registered; the call needs api key and secret.

    `keys_work` is False if X is known to refuse these.
    """
    check, pair = app.check("callback.registered"), app.api
    if pair is None:
        cause = "Without api_key and api_secret only a login shows whether X has it registered."
        return [check.not_asked(cause)]
    if any(problem.fatal for problem in check_redirect_uri(app.redirect_uri)):
        return []
    try:
        await probes.check_callback(pair, app.redirect_uri)
    except BotkitError as error:
        probes.note(app.name, error)
        return [_refused(check, error, keys_work=keys_work)]
    return [check.fine(f"X has {app.redirect_uri} for the app")]


def _refused(check: Check, error: BotkitError, *, keys_work: bool) -> Finding:
    row = diagnosis_of(error)
    if row is not None and row.topic is Topic.API_KEYS and not keys_work:
        cause = "X does not take the api key and secret, by which it is asked."
        return check.untold(cause, "See the line keys.api.")
    if row is not None and row.id == "pin-or-callback":
        cause = "X lets this app log in by PIN only, or with no callback URL."
        cure = "Use `botkit setup --pin`, or make it a Web App or Automated App in X's console."
        return check.untold(cause, cure)
    return check.of_error(error, topic=Topic.CALLBACK)
