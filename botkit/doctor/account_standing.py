"""What X's answers say beside their own question: enrolment, suspension, credits and caps.

A refusal that names one of them is wrong for sure. That it is fine follows from an answer that
came: a call that costs something for money, any call for the rest.

Source: docs/explanation/x-facts.md, 5.10, 7.8, 7.9 and 10.8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botkit.doctor.findings import fine, of_error, response_of, untold, wrong
from botkit.protocol.refusals.table import Topic, diagnose_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from botkit.doctor.findings import Finding
    from botkit.doctor.probes import Evidence, Probes
    from botkit.model.users import Account

__all__ = ["judge_account", "judge_app"]

_OF_APPS = {
    Topic.ENROLMENT: ("enrolment", "the app is let in"),
    Topic.APP: ("app", "the app is not suspended"),
    Topic.CREDITS: ("credits", "X took a call that costs something"),
    Topic.SPEND_CAP: ("spend-cap", "the spending limit is not reached"),
    Topic.USAGE_CAP: ("usage-cap", "the cap on reads is not reached"),
}
_MONEY = frozenset({Topic.CREDITS, Topic.SPEND_CAP, Topic.USAGE_CAP})
_NO_ANSWER = "No call got an answer that would tell."


def judge_app(app: str, asking: Probes) -> list[Finding]:
    """Enrolment, suspension, credits and caps of an app."""
    about = f"app {app}"
    seen = [one for one in asking.evidence if one.app == app]
    return [_of_app(topic, seen, about, asking.posts_read.get(app)) for topic in _OF_APPS]


def judge_account(account: Account, asking: Probes) -> list[Finding]:
    """Whether the account is suspended or locked."""
    about = f"@{account.username}"
    seen = [one for one in asking.evidence if one.account_id == account.id]
    refused = _refusal("account", Topic.STANDING, seen, about)
    if refused is not None:
        return [refused]
    if any(one.error is None for one in seen):
        return [fine("account", "X lets it in: neither suspended nor locked", about=about)]
    return [untold("account", _NO_ANSWER, about=about)]


def _of_app(
    topic: Topic, seen: Sequence[Evidence], about: str, posts: tuple[int, int] | None
) -> Finding:
    check, words = _OF_APPS[topic]
    refused = _refusal(check, topic, seen, about)
    if refused is not None:
        return refused
    if topic is Topic.USAGE_CAP and posts is not None:
        read, most = posts
        cause = f"{read:,} of {most:,} posts read in this cycle"
        if read >= most:
            return wrong(check, f"{cause}.", "It ends with the billing cycle.", about=about)
        return fine(check, cause, about=about)
    if any(one.error is None and (one.billed or topic not in _MONEY) for one in seen):
        return fine(check, words, about=about)
    return untold(check, _NO_ANSWER, about=about)


def _refusal(check: str, topic: Topic, seen: Iterable[Evidence], about: str) -> Finding | None:
    for one in seen:
        response = response_of(one.error)
        if response is not None and diagnose_error(response).topic is topic:
            return of_error(check, response, about=about)
    return None
