"""Check the standing of apps and accounts with X: enrolment, suspension, credits and caps.

These checks make no calls: the answers to the other checks' calls are the evidence. A refusal
about one of these topics proves that it is wrong. A success proves that it is fine: for money a
success of a call that costs something, for the rest a success of any call.

Source: docs/explanation/x-facts.md, 5.10, 7.8, 7.9 and 10.8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botkit.doctor.findings import Check, about_account, about_app, diagnosis_of
from botkit.protocol.refusals.table import Topic

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


def judge_app(app: str, probes: Probes) -> list[Finding]:
    """Judge enrolment, suspension, credits and caps of an app."""
    seen = [one for one in probes.evidence if one.app == app]
    return [_of_app(app, topic, seen, probes.posts_read.get(app)) for topic in _OF_APPS]


def judge_account(account: Account, probes: Probes) -> list[Finding]:
    """Judge whether the account is suspended or locked."""
    check = Check("account", about_account(account))
    seen = [one for one in probes.evidence if one.account_id == account.id]
    refused = _refusal(check, Topic.STANDING, seen)
    if refused is not None:
        return [refused]
    if any(one.error is None for one in seen):
        return [check.fine("X lets it in: neither suspended nor locked")]
    return [check.untold(_NO_ANSWER)]


def _of_app(
    app: str, topic: Topic, seen: Sequence[Evidence], posts: tuple[int, int] | None
) -> Finding:
    name, words = _OF_APPS[topic]
    check = Check(name, about_app(app))
    refused = _refusal(check, topic, seen)
    if refused is not None:
        return refused
    if topic is Topic.USAGE_CAP and posts is not None:
        read, most = posts
        cause = f"{read:,} of {most:,} posts read in this cycle"
        if read >= most:
            return check.wrong(f"{cause}.", "It ends with the billing cycle.")
        return check.fine(cause)
    if any(one.error is None and (one.billed or topic not in _MONEY) for one in seen):
        return check.fine(words)
    return check.untold(_NO_ANSWER)


def _refusal(check: Check, topic: Topic, seen: Iterable[Evidence]) -> Finding | None:
    """Return the finding on X's first refusal about the topic; None if there is none."""
    for one in seen:
        row = diagnosis_of(one.error)
        if one.error is not None and row is not None and row.topic is topic:
            return check.of_error(one.error)
    return None
