"""`botkit status`: report which parts are alive, which events wait and why, and the costs."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from botkit.cli.commands.checks.first_steps import is_before_setup, status_before_setup
from botkit.cli.commands.checks.source_lags import hearing_in_words, hearing_of
from botkit.cli.commands.checks.status_problems import (
    Facts,
    by_weight,
    exhausted,
    exit_code,
    live_problem,
    problems_of,
)
from botkit.cli.commands.gaps import between, gap_object
from botkit.cli.help import HelpCommand
from botkit.cli.options import (
    GivenSettings,
    json_option,
    settings_options,
)
from botkit.cli.output import echo, echo_json
from botkit.cli.store_access import run_on_store
from botkit.errors import ConfigError, StateError
from botkit.leases.owner import in_words
from botkit.model.records import WriteState
from botkit.system import SystemClock
from botkit.telemetry.counted import counted
from botkit.telemetry.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from botkit.cli.commands.checks.status_problems import Problem
    from botkit.config import Settings
    from botkit.model.records import CredentialRow, StatusReport
    from botkit.ports import Store

__all__ = ["command"]

_UNSETTLED = (WriteState.SENDING, WriteState.UNCERTAIN, WriteState.UNRESOLVED)
_FEW_GAPS = 5
_FEW_LOST = 5
_UNDER_WAY = timedelta(seconds=90)
"""A read that was sent later than this may still get its answer."""
_MOST_SHOWN = 20
"""Up to this many parts of one kind, accounts or writes get a line each; more share lines."""


@click.command(
    cls=HelpCommand,
    name="status",
    help="Say what is alive, what waits and why, and what was spent.",
)
@click.option(
    "--live",
    is_flag=True,
    help="Say only whether a restart would help: exit code 1 if so, else 0. For a health check.",
)
@settings_options
@json_option
def command(*, live: bool, given: GivenSettings, as_json: bool) -> int:
    """Print the state of the bot; return 0, or the exit code that tells who must act."""
    if live:
        return _live(given, as_json=as_json)
    settings = given.read()
    if is_before_setup(settings):
        return status_before_setup(settings, as_json=as_json)
    state, problems = run_on_store(settings, lambda store: _state_of(store, settings))
    code = exit_code(problems)
    if as_json:
        echo_json(state | {"exit_code": code})
    else:
        _print(state)
    return code


def _live(given: GivenSettings, *, as_json: bool) -> int:
    """Print if a restart would help the bot; it does not help where a person must act."""
    try:
        problem, said = run_on_store(given.read(), _look_for_life, check=False)
    except (ConfigError, StateError) as error:
        problem, said = None, f"a restart cures nothing: {error}"
    if as_json:
        echo_json({"live": problem is None, "why": said})
    else:
        echo(said)
    return 0 if problem is None else 1


async def _look_for_life(store: Store) -> tuple[Problem | None, str]:
    runner = await store.leases.holder("runner")
    problem = live_problem(runner, await store.progress.reports())
    if problem is None:
        return None, f"live: {in_words(runner or '')} runs the bot"
    if not runner:
        # A bot that cannot write to its store loses its lease; it ends by itself or recovers.
        await store.credentials.make_room()
    return problem, f"{problem.what}. Next: {problem.next_step}"


async def _state_of(store: Store, settings: Settings) -> tuple[dict[str, Any], list[Problem]]:
    facts = await _facts_of(store)
    accounts = await _accounts(store, facts, settings)
    problems = [*problems_of(facts), *_exhausted(accounts, settings)]
    unsettled = await store.writes.listing(states=_UNSETTLED, limit=1000)
    state = {
        "store": store.url,
        "runner": facts.runner,
        "keeper": await store.leases.holder("keeper"),
        "problems": [
            {"code": each.code, "what": each.what, "next_step": each.next_step}
            for each in by_weight(problems)
        ],
        "parts": [_part(report, facts) for report in facts.reports],
        "accounts": accounts,
        "lost_reads": await _lost_reads(store),
        "logins": [_login(row) for row in facts.rows],
        "events": dict(facts.events),
        "waiting": [
            {"for": wait.waiting_for, "events": wait.events, "until": wait.until}
            for wait in facts.waits
        ],
        "queued_writes": facts.writes.get(WriteState.QUEUED, 0),
        "schedules": await _schedules(store, facts),
        "unsettled_writes": [{"id": w.id, "state": w.state.value} for w in unsettled],
        "gaps": [gap_object(gap, facts.accounts) for gap in facts.gaps],
    }
    return state, problems


async def _facts_of(store: Store) -> Facts:
    runner = await store.leases.holder("runner")
    reports = await store.progress.reports()
    if reports and not runner:
        await store.credentials.make_room()  # it crashed: can the store take writes?
    return Facts(
        accounts=await store.accounts.listing(),
        rows=await store.credentials.listing(),
        runner=runner,
        reports=reports,
        waits=await store.events.waits(),
        events=await store.events.counts(),
        writes=await store.writes.unfinished(),
        gaps=await store.progress.gaps(state="open"),
    )


async def _schedules(store: Store, facts: Facts) -> list[dict[str, Any]]:
    """Return when each schedule runs next, the earliest first.

    A row that a running bot has left behind for a day is of a schedule that is not there any more.
    """
    gone = SystemClock().now() - timedelta(days=1)
    known = {each.id for each in facts.accounts}
    rows = [row for row in await store.progress.schedules() if row.account_id in known]
    return [
        {"name": row.id, "account_id": row.account_id, "next_at": row.next_at, "spec": row.spec}
        for row in rows
        if row.next_at > gone or not facts.runner
    ]


def _part(report: StatusReport, facts: Facts) -> dict[str, Any]:
    values = {name: getattr(report, name) for name in ("part", "state", "detail", "at")}
    return values | report.data | hearing_of(report, facts)


def _login(row: CredentialRow) -> dict[str, Any]:
    return {
        "account_id": row.account_id,
        "app": row.app,
        "kind": row.kind.value,
        "status": row.status.value,
        "reason": row.reason,
    }


def _exhausted(accounts: Sequence[dict[str, Any]], settings: Settings) -> list[Problem]:
    """Return a problem for each account that has used up its budget for this hour or today."""
    hour = SystemClock().now().replace(minute=0, second=0, microsecond=0)
    spans = (
        ("day", settings.budget.day_usd, hour.replace(hour=0) + timedelta(days=1)),
        ("hour", settings.budget.hour_usd, hour + timedelta(hours=1)),
    )
    return [
        exhausted(account["username"], account["spent_usd"][span], limit, until)
        for account in accounts
        for span, limit, until in spans
        if limit and Decimal(account["spent_usd"][span]) >= limit
    ]


async def _accounts(store: Store, facts: Facts, settings: Settings) -> list[dict[str, Any]]:
    """Return what is shown of each account, with the costs of all from one look at the ledger."""
    from botkit.client.logins.oauth1_fallback import stand_in_of

    now = SystemClock().now()
    spent = await _spent(store, now.replace(minute=0, second=0, microsecond=0))
    logins: defaultdict[tuple[str, str], list[CredentialRow]] = defaultdict(list)
    for row in facts.rows:
        logins[row.account_id, row.app].append(row)
    return [
        {
            "id": each.id,
            "username": each.username,
            "app": each.app,
            "fallback": stand_in_of(
                logins[each.id, each.app], allowed=settings.run.fallback, now=now
            )
            or None,
            "spent_usd": {span: str(sums[each.id]) for span, sums in spent.items()},
        }
        for each in facts.accounts
    ]


async def _spent(store: Store, hour: datetime) -> dict[str, defaultdict[str, Decimal]]:
    """Return by account id the sums spent in this hour and today (UTC), in USD."""
    spent = {"hour": defaultdict[str, Decimal](Decimal), "day": defaultdict[str, Decimal](Decimal)}
    for entry in await store.ledger.spent(since=hour.replace(hour=0)):
        cost = entry.reads_usd + entry.writes_usd
        spent["day"][entry.account_id] += cost
        if entry.hour + timedelta(hours=1) > hour:
            spent["hour"][entry.account_id] += cost
    return spent


async def _lost_reads(store: Store) -> list[dict[str, Any]]:
    """Return the reads whose answer was lost, added up by account and day, oldest first."""
    under_way = SystemClock().now() - _UNDER_WAY
    reads = [row for row in await store.ledger.open_reads() if row.given_up or row.at < under_way]
    days: defaultdict[tuple[str, str, bool], list[Decimal]] = defaultdict(list)
    for row in reads:
        days[row.account_id, str(row.at.date()), row.given_up].append(row.most_usd)
    return [
        {
            "account_id": account_id,
            "day": day,
            "given_up": given_up,
            "reads": len(most),
            "most_usd": str(sum(most, Decimal(0))),
        }
        for (account_id, day, given_up), most in days.items()
    ]


def _print(state: dict[str, Any]) -> None:
    echo(f"store    {state['store']}")
    echo(f"runner   {_named(state['runner'])}")
    _print_keeper(state)
    for problem in state["problems"]:
        step = f" Next: {problem['next_step']}" if problem["next_step"] else ""
        echo(f"problem  {problem['what']}.{step}")
    _print_parts(state)
    _print_accounts(state)
    _print_lost_reads(state)
    for row in state["logins"]:
        if not row["account_id"]:
            why = f": {row['reason']}" if row["reason"] else ""
            echo(f"app      {row['app']}: {row['kind']} {row['status']}{why}")
    counts = "  ".join(f"{name} {count}" for name, count in state["events"].items())
    echo(f"events   {counts}")
    for cause in state["waiting"]:
        until = f" until {rfc3339(cause['until'])}" if cause["until"] else ""
        echo(f"waits    {cause['events']} for {cause['for']}{until}")
    if late := state["events"]["late"]:
        echo(f"late     {late} heard too late to be answered: `botkit events retry --late`")
    _print_schedules(state)
    _print_writes(state)
    _print_gaps(state["gaps"])


def _print_gaps(gaps: Sequence[dict[str, Any]]) -> None:
    """Print the oldest gaps: events that may have been missed."""
    for gap in reversed(gaps[-_FEW_GAPS:]):
        echo(f"gap      {gap['account']} {between(gap)}: {gap['reason']}")
    if len(gaps) > _FEW_GAPS:
        echo(f"gap      and {len(gaps) - _FEW_GAPS} more: `botkit events gaps`")


def _print_parts(state: dict[str, Any]) -> None:
    """Print a line for each part; if many of a kind share a state, print one line for them."""
    for _, given in groupby(state["parts"], key=lambda part: part["part"].partition("/")[0]):
        for part in _few(list(given)):
            said = part["state"] if state["runner"] else f"was {part['state']}"
            detail = "; ".join(filter(None, [part["detail"], hearing_in_words(part)]))
            echo(f"{part['part']:<24} {said:<9} {detail}")


def _few(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the parts of one kind; if they are many, return one for each state."""
    if len(parts) <= _MOST_SHOWN:
        return parts
    shown: list[dict[str, Any]] = []
    ordered = sorted(parts, key=lambda part: part["state"])
    for _, alike in groupby(ordered, key=lambda part: part["state"]):
        first, *others = alike
        name = f"{first['part']} and {len(others)} more" if others else first["part"]
        shown.append(first | {"part": name})
    return shown


def _print_accounts(state: dict[str, Any]) -> None:
    for account in state["accounts"][:_MOST_SHOWN]:
        place = (account["id"], account["app"])
        logins = [row for row in state["logins"] if (row["account_id"], row["app"]) == place]
        shown = ", ".join(f"{r['kind']} {r['status']}" for r in logins) or "no login"
        spent = account["spent_usd"]
        echo(
            f"account  @{account['username']}: {shown};"
            f" spent {spent['day']} USD today, {spent['hour']} this hour"
        )
        if account["fallback"]:
            echo(f"fallback @{account['username']}: {account['fallback']}")
    others = state["accounts"][_MOST_SHOWN:]
    if others:
        day = sum((Decimal(each["spent_usd"]["day"]) for each in others), Decimal(0))
        echo(f"accounts {len(others)} more; spent {day} USD today; --json has them all")


def _print_lost_reads(state: dict[str, Any]) -> None:
    """Print what reads without an answer may have cost, of the newest days."""
    names = {account["id"]: f"@{account['username']}" for account in state["accounts"]}
    for row in state["lost_reads"][-_FEW_LOST:]:
        who = names.get(row["account_id"], row["account_id"] or "the app")
        reads = counted(row["reads"], "read")
        if row["given_up"]:
            said = f"the costs of {row['day']} hold at most {row['most_usd']} USD"
            echo(f"lost     {who}: {said} for {reads} without an answer")
        else:
            said = f"{reads} of {row['day']} without an answer, at most {row['most_usd']} USD"
            echo(f"lost     {who}: {said}; the bot reads again that day")


def _print_schedules(state: dict[str, Any]) -> None:
    """Print the next runs of schedules."""
    names = {account["id"]: account["username"] for account in state["accounts"]}
    for row in state["schedules"][:_MOST_SHOWN]:
        who = names[row["account_id"]]
        echo(f"next     {rfc3339(row['next_at'])} {row['name']} of @{who}: {row['spec']}")
    left = len(state["schedules"]) - _MOST_SHOWN
    if left > 0:
        echo(f"next     {left} more; --json has them all")


def _print_writes(state: dict[str, Any]) -> None:
    """Those that wait for their event, and those whose outcome is not known."""
    if state["queued_writes"]:
        echo(f"writes   {state['queued_writes']} to be sent when their events run again")
    for write in state["unsettled_writes"][:_MOST_SHOWN]:
        echo(f"write    {write['state']} {write['id']}")
    left = len(state["unsettled_writes"]) - _MOST_SHOWN
    if left > 0:
        echo(f"writes   {left} more whose outcome is not known: botkit writes list")


def _print_keeper(state: dict[str, Any]) -> None:
    """Print the process that refreshes the logins if it is not the runner."""
    if state["keeper"] not in {None, state["runner"]}:
        echo(f"keeper   {_named(state['keeper'])} refreshes the logins")


def _named(runner: str | None) -> str:
    """Return words for the running process; the name in its lease is for machines."""
    if not runner:
        return "no bot is running on this store"
    return in_words(runner)
