"""`botkit status`: report which parts are alive, which events wait and why, and the costs."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from botkit.cli.commands.first_steps import is_before_setup, status_before_setup
from botkit.cli.commands.gaps import between, gap_object
from botkit.cli.help import HelpCommand
from botkit.cli.options import (
    GivenSettings,
    json_option,
    settings_options,
)
from botkit.cli.output import echo, echo_json
from botkit.cli.store_access import run_on_store
from botkit.leases.owner import in_words
from botkit.model.records import EventState, WriteState
from botkit.model.tokens import LoginState
from botkit.system import SystemClock
from botkit.telemetry.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from botkit.config import Settings
    from botkit.model.records import CredentialRow
    from botkit.model.users import Account
    from botkit.ports import Store

__all__ = ["command"]

_UNSETTLED = (WriteState.SENDING, WriteState.UNCERTAIN, WriteState.UNRESOLVED)
_MOST_QUEUED = 10_000
_FEW_GAPS = 5


@click.command(
    cls=HelpCommand,
    name="status",
    help="Say what is alive, what waits and why, and what was spent.",
)
@settings_options
@json_option
def command(*, given: GivenSettings, as_json: bool) -> int:
    """Print the state of the bot; return 0 if it runs and nothing is wrong, else 1 or 2."""
    settings = given.read()
    if is_before_setup(settings):
        return status_before_setup(settings, as_json=as_json)

    state = run_on_store(settings, lambda store: _state_of(store, settings))
    if as_json:
        echo_json(state)
    else:
        _print(state)
    return _exit_code(state)


async def _state_of(store: Store, settings: Settings) -> dict[str, Any]:
    everyone = await store.accounts.listing()
    logins = await store.credentials.listing()
    unsettled = await store.writes.listing(states=_UNSETTLED, limit=1000)
    runner = await store.leases.holder("runner")
    return {
        "store": store.url,
        "runner": runner,
        "keeper": await store.leases.holder("keeper"),
        "parts": [
            {"part": r.part, "state": r.state, "detail": r.detail, "at": r.at, **r.data}
            for r in await store.progress.reports()
        ],
        "accounts": [await _account(store, a, logins, settings) for a in everyone],
        "logins": [
            {
                "account_id": row.account_id,
                "app": row.app,
                "kind": row.kind.value,
                "status": row.status.value,
                "reason": row.reason,
            }
            for row in logins
        ],
        "events": dict(await store.events.counts()),
        "waiting": await _waiting(store),
        "queued_writes": len(
            await store.writes.listing(states=[WriteState.QUEUED], limit=_MOST_QUEUED)
        ),
        "unsettled_writes": [{"id": w.id, "state": w.state.value} for w in unsettled],
        "gaps": [gap_object(g, everyone) for g in await store.progress.gaps(state="open")],
    }


async def _account(
    store: Store, account: Account, logins: Sequence[CredentialRow], settings: Settings
) -> dict[str, Any]:
    from botkit.client.logins.oauth1_fallback import stand_in_of

    its = [row for row in logins if (row.account_id, row.app) == (account.id, account.app)]
    fallback = stand_in_of(its, allowed=settings.run.fallback, now=SystemClock().now())
    return {
        "id": account.id,
        "username": account.username,
        "app": account.app,
        "fallback": fallback or None,
        "spent_usd": await _spent(store, account.id),
    }


async def _waiting(store: Store) -> list[dict[str, Any]]:
    """Return each cause that events wait for, how many wait, and until when at the latest."""
    causes: dict[str, list[datetime | None]] = {}
    for event in await store.events.listing(state=EventState.WAITING, limit=1000):
        if event.waiting_for:
            causes.setdefault(event.waiting_for, []).append(event.not_before)
    return [
        {"for": cause, "events": len(times), "until": max((t for t in times if t), default=None)}
        for cause, times in sorted(causes.items())
    ]


async def _spent(store: Store, account_id: str) -> dict[str, str]:
    """Return the sums that the account spent in this hour and today (UTC), in USD."""
    hour = SystemClock().now().replace(minute=0, second=0, microsecond=0)
    entries = await store.ledger.spent(account_id, since=hour.replace(hour=0))
    day = sum((e.reads_usd + e.writes_usd for e in entries), Decimal(0))
    this_hour = sum(
        (e.reads_usd + e.writes_usd for e in entries if e.hour + timedelta(hours=1) > hour),
        Decimal(0),
    )
    return {"hour": str(this_hour), "day": str(day)}


def _print(state: dict[str, Any]) -> None:
    echo(f"store    {state['store']}")
    echo(f"runner   {_named(state['runner'])}")
    _print_keeper(state)
    for part in state["parts"]:
        said = part["state"] if state["runner"] else f"was {part['state']}"
        echo(f"{part['part']:<24} {said:<9} {part['detail']}")
    for account in state["accounts"]:
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
    _print_writes(state)
    _print_gaps(state["gaps"])


def _print_gaps(gaps: Sequence[dict[str, Any]]) -> None:
    """The oldest of what may not have been heard."""
    for gap in reversed(gaps[-_FEW_GAPS:]):
        echo(f"gap      {gap['account']} {between(gap)}: {gap['reason']}")
    if len(gaps) > _FEW_GAPS:
        echo(f"gap      and {len(gaps) - _FEW_GAPS} more: `botkit events gaps`")


def _print_writes(state: dict[str, Any]) -> None:
    """Those that wait for their event, and those whose outcome is not known."""
    if state["queued_writes"]:
        echo(f"writes   {state['queued_writes']} to be sent when their events run again")
    for write in state["unsettled_writes"]:
        echo(f"write    {write['state']} {write['id']}")


def _print_keeper(state: dict[str, Any]) -> None:
    """Print the process that refreshes the logins if it is not the runner."""
    if state["keeper"] not in {None, state["runner"]}:
        echo(f"keeper   {_named(state['keeper'])} refreshes the logins")


def _named(runner: str | None) -> str:
    """Return words for the running process; the name in its lease is for machines."""
    if not runner:
        return "no bot is running on this store"
    return in_words(runner)


def _exit_code(state: dict[str, Any]) -> int:
    used = {(account["id"], account["app"]) for account in state["accounts"]}
    statuses = {
        row["status"]
        for row in state["logins"]
        if not row["account_id"] or (row["account_id"], row["app"]) in used
    }
    if not state["accounts"] or statuses & {LoginState.DEAD.value, LoginState.CONFIG.value}:
        return 2
    if not state["runner"] or LoginState.UNCERTAIN.value in statuses:
        return 1
    return 0
