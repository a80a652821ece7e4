"""Find the problems of a bot, who must act, and the next step, for `botkit status`.

Source: docs/reference/cli.md, "What is wrong".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from botkit.model.hearing import GapRow
from botkit.model.records import CredentialRow, StatusReport, Wait, WriteState
from botkit.model.tokens import LoginState
from botkit.model.users import Account
from botkit.telemetry.counted import counted
from botkit.telemetry.times import rfc3339
from botkit.waiting.status_codes import PASSES, PERSON, REFUSED, STORE, X, code_of_wait

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from decimal import Decimal

__all__ = [
    "Facts",
    "Problem",
    "by_weight",
    "exhausted",
    "exit_code",
    "live_problem",
    "problems_of",
]

_BY_WEIGHT = (STORE, PERSON, X, REFUSED, PASSES)
_RUN = "start it: botkit run (its last log lines say why it ended)"
_STEPS = {
    "login": "botkit accounts list shows which login, and the command that mends it",
    "account": "log in on x.com as the account, and do what X asks there",
    "handler": "start the bot with that handler, or one with was=; or botkit events drop",
    "credits": "top up the app's credits in X's console, then restart the bot: it goes on at once",
    "budget": "wait, or raise [budget] hour_usd or day_usd",
    "write": "botkit writes list --state UNCERTAIN --state UNRESOLVED",
}
_GOOD = frozenset({"live", "running", "working", "starting", "ended", "off", "on", "OK", "enough"})
_SAID_ELSEWHERE = ("login/", "app/", "fallback/", "gaps/")
_PERSONAL = frozenset({"account", "access"})


class Problem(Struct, frozen=True, kw_only=True):
    """Hold a problem of a bot.

    Attributes:
        code: The exit code of `botkit status` for it.
        what: The problem in words.
        next_step: The step that a person has to take, "" if the problem passes by itself.
    """

    code: int
    what: str
    next_step: str = ""


class Facts(Struct, frozen=True, kw_only=True):
    """Hold the facts about a bot that its store contains."""

    accounts: Sequence[Account]
    rows: Sequence[CredentialRow]
    runner: str | None
    reports: Sequence[StatusReport]
    waits: Sequence[Wait]
    events: Mapping[str, int]
    writes: Mapping[WriteState, int]
    gaps: Sequence[GapRow]


def exit_code(problems: Iterable[Problem]) -> int:
    """Return the exit code of the most urgent problem, 0 if there are none."""
    codes = {problem.code for problem in problems}
    return next((code for code in _BY_WEIGHT if code in codes), 0)


def live_problem(runner: str | None, parts: Iterable[StatusReport]) -> Problem | None:
    """Return the problem that a restart of the bot would cure, None if there is none."""
    if not runner:
        return Problem(code=PASSES, what="no bot is running on this store", next_step=_RUN)
    for part in parts:
        if (part.part, part.state) == ("handlers", "saturated"):
            return Problem(code=PASSES, what=part.detail, next_step="restart the bot")
    return None


def by_weight(problems: Iterable[Problem]) -> list[Problem]:
    """Return the problems, the most urgent first."""
    return sorted(problems, key=lambda problem: _BY_WEIGHT.index(problem.code))


def problems_of(facts: Facts) -> list[Problem]:
    """Return all problems that the facts show."""
    return [
        *_of_logins(facts.accounts, facts.rows),
        *_of_runner(facts.runner, facts.reports),
        *_of_waits(facts.waits),
        *_of_records(facts),
    ]


def exhausted(username: str, spent: str, limit: Decimal, until: datetime) -> Problem:
    """Return the problem of an account that has used up its budget until `until`."""
    what = f"@{username} has spent {spent} of {limit} USD, until {rfc3339(until)}"
    return Problem(code=REFUSED, what=what, next_step=_STEPS["budget"])


def _of_logins(accounts: Iterable[Account], rows: Iterable[CredentialRow]) -> Iterator[Problem]:
    from botkit.client.logins.login_states import next_step

    used = {(account.id, account.app) for account in accounts}
    if not used:
        yield Problem(code=PERSON, what="no account is authorized yet", next_step="botkit setup")
    alike: dict[tuple[str, str], list[CredentialRow]] = {}
    for row in rows:
        is_used = not row.account_id or (row.account_id, row.app) in used
        if is_used and row.status is not LoginState.OK:
            alike.setdefault((row.status.value, row.reason), []).append(row)
    for (status, reason), same in alike.items():
        row = same[0]
        whose = f"@{row.username}" if row.account_id else f"app {row.app}"
        others = f" and {counted(len(same) - 1, 'more login')}" if len(same) > 1 else ""
        code = PASSES if row.status is LoginState.UNCERTAIN else PERSON
        what = f"{whose}{others}: {row.kind.value} login {status}"
        said = f": {reason.rstrip('.')}" if reason else ""
        yield Problem(code=code, what=what + said, next_step=next_step(row))


def _of_runner(runner: str | None, reports: Iterable[StatusReport]) -> Iterator[Problem]:
    if not runner:
        yield Problem(code=PASSES, what="no bot is running on this store", next_step=_RUN)
        return
    alike: dict[tuple[str, str, str], list[StatusReport]] = {}
    for report in reports:
        if report.state not in _GOOD and not report.part.startswith(_SAID_ELSEWHERE):
            kind = report.part.partition("/")[0]
            name = report.part.partition("/")[2]
            detail = report.detail.replace(name, "") if name else report.detail
            alike.setdefault((kind, report.state, detail), []).append(report)
    for same in alike.values():
        report = same[0]
        others = f" and {len(same) - 1} more" if len(same) > 1 else ""
        said = f": {report.detail.rstrip('.')}" if report.detail else ""
        kind = report.part.partition("/")[0]
        code = int(report.data.get("code", PERSON if kind in _PERSONAL else PASSES))
        yield Problem(
            code=code,
            what=f"{report.part}{others} {report.state}{said}",
            next_step=_step_after(report, kind, code),
        )


def _step_after(report: StatusReport, kind: str, code: int) -> str:
    """Return the next step for a part's state; "" if its detail names it or the state passes."""
    if "next_step" in report.data:
        return report.data["next_step"]
    if report.state == "wrong":
        return "see part.crashed in the log"
    if kind == "account":
        return _STEPS["account"] if report.state == "stopped" else ""
    if code == REFUSED:
        return _STEPS["credits" if "credits" in report.detail else "budget"]
    if code == PERSON and kind not in _PERSONAL:
        return "botkit doctor names the key or the login, and the cure"
    return ""


def _of_waits(waits: Iterable[Wait]) -> Iterator[Problem]:
    for wait in waits:
        until = f" until {rfc3339(wait.until)}" if wait.until else ""
        events = counted(wait.events, "event waits", "events wait")
        yield Problem(
            code=code_of_wait(wait.waiting_for, has_end=wait.until is not None),
            what=f"{events} for {wait.waiting_for}{until}",
            next_step=_STEPS.get(wait.waiting_for.partition("/")[0], ""),
        )


def _of_records(facts: Facts) -> Iterator[Problem]:
    dead = facts.events["dead"]
    if dead:
        step = "botkit events list --dead shows why; then botkit events retry, or drop"
        yield Problem(code=PASSES, what=counted(dead, "dead letter"), next_step=step)
    unresolved = facts.writes.get(WriteState.UNRESOLVED, 0)
    if unresolved:
        what = f"{counted(unresolved, 'write')} whose outcome a person has to find out"
        step = "botkit writes list --state UNRESOLVED, then botkit writes settle"
        yield Problem(code=PASSES, what=what, next_step=step)
    uncertain = facts.writes.get(WriteState.UNCERTAIN, 0)
    if uncertain:
        yield Problem(
            code=PASSES, what=f"{counted(uncertain, 'write')} whose outcome botkit looks for"
        )
    if facts.gaps:
        what = (
            f"{counted(len(facts.gaps), 'gap')}: some events of that time may not have been heard"
        )
        yield Problem(code=PASSES, what=what, next_step="botkit events gaps")
