"""The callback URL: by each of X's rules, and whether X has it registered.

Source: docs/explanation/x-facts.md, 5.2 to 5.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botkit.doctor.findings import fine, not_asked, of_error, response_of, untold, wrong
from botkit.errors import BotkitError
from botkit.protocol.oauth.callback_urls import check_redirect_uri
from botkit.protocol.refusals.table import Topic, diagnose_error

if TYPE_CHECKING:
    from botkit.doctor.app_keys import CheckedApp
    from botkit.doctor.findings import Finding
    from botkit.doctor.probes import Probes

__all__ = ["check_rules", "prove_registered"]

_RULES, _REGISTERED = "callback", "callback.registered"


def check_rules(app: CheckedApp) -> list[Finding]:
    """A line for each rule that the callback URL breaks; what often goes wrong is only said."""
    problems = check_redirect_uri(app.redirect_uri)
    broken = [
        wrong(
            _RULES,
            f"redirect_uri {app.redirect_uri} [{problem.rule}]: {problem.text}",
            problem.cure,
            about=app.about,
        )
        for problem in problems
        if problem.fatal
    ]
    if broken:
        return broken
    careful = "".join(f"; careful [{problem.rule}]: {problem.text}" for problem in problems)
    return [fine(_RULES, f"{app.redirect_uri} keeps the rules{careful}", about=app.about)]


async def prove_registered(app: CheckedApp, asking: Probes, *, keys_work: bool) -> list[Finding]:
    """Whether X has it, letter by letter; only the api key and secret can ask that.

    `keys_work`: X takes these, or did not say.
    """
    pair = app.api
    if pair is None:
        cause = "Without api_key and api_secret only a login shows whether X has it registered."
        return [not_asked(_REGISTERED, cause, about=app.about)]
    if any(problem.fatal for problem in check_redirect_uri(app.redirect_uri)):
        return []
    try:
        await asking.check_callback(pair, app.redirect_uri)
    except BotkitError as error:
        asking.note(app.name, error)
        return [_refused(app, error, keys_work=keys_work)]
    return [fine(_REGISTERED, f"X has {app.redirect_uri} for the app", about=app.about)]


def _refused(app: CheckedApp, error: BotkitError, *, keys_work: bool) -> Finding:
    response = response_of(error)
    row = None if response is None else diagnose_error(response)
    if row is not None and row.topic is Topic.API_KEYS and not keys_work:
        cause = "X does not take the api key and secret, by which it is asked."
        return untold(_REGISTERED, cause, "See the line keys.api.", about=app.about)
    if row is not None and row.id == "pin-or-callback":
        cause = "X lets this app log in by PIN only, or with no callback URL."
        cure = "Use `botkit setup --pin`, or make it a Web App or Automated App in X's console."
        return untold(_REGISTERED, cause, cure, about=app.about)
    return of_error(_REGISTERED, error, about=app.about, topic=Topic.CALLBACK)
