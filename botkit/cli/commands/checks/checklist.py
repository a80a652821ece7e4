"""`botkit checklist`: lead a person through the steps to the automated-account label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from botkit.cli.commands.checks.first_steps import SETUP_FIRST, is_before_setup
from botkit.cli.help import HelpCommand
from botkit.cli.options import (
    GivenSettings,
    account_option,
    json_option,
    settings_options,
)
from botkit.cli.output import echo, echo_json, report_line
from botkit.cli.store_access import open_x_of, run_on_store, the_account
from botkit.errors import BotkitError, Parked
from botkit.protocol.rules.label import STEPS, Label, StepState, judge
from botkit.system import SystemClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from botkit.config import Settings
    from botkit.model.users import Account, User
    from botkit.ports import Store

__all__ = ["command"]

_NOT_DONE = 1
_PERSON = 2
_SIGNS = {StepState.VERIFIED: "✓ verified", StepState.CONFIRMED: "✓ confirmed"}
_IDS = click.Choice([step.id for step in STEPS])


@click.command(
    cls=HelpCommand,
    name="checklist",
    help="Walk through the automated-account label, step by step.",
)
@click.option("--done", multiple=True, type=_IDS, help="Confirm a step that you have done.")
@click.option("--undo", multiple=True, type=_IDS, help="Take a confirmation back.")
@click.option("--offline", is_flag=True, help="Do not ask X what it shows of the account.")
@account_option
@settings_options
@json_option
def command(
    *,
    done: Sequence[str],
    undo: Sequence[str],
    offline: bool,
    account: str | None,
    given: GivenSettings,
    as_json: bool,
) -> int:
    """Print the nine steps; return 0 only if none is open, 2 if no account is authorized yet."""
    settings = given.read()
    if is_before_setup(settings):
        return _before_setup(as_json=as_json, confirms=bool(done or undo))

    async def work(store: Store) -> tuple[Account, Label, str] | None:
        if not await store.accounts.listing():
            return None
        found = await the_account(store, account, settings)
        await _mark(store, found, done, undo)
        profile, why = (None, "not asked") if offline else await _ask_x(settings, store, found)
        confirmed = {mark.step for mark in await store.accounts.marks(found.id)}
        return found, judge(profile, confirmed), why

    told = run_on_store(settings, work)
    if told is None:
        return _before_setup(as_json=as_json, confirms=bool(done or undo))
    found, label, why = told
    if as_json:
        echo_json(_as_dict(found, label, why))
    else:
        _print(found, label, why)
    return 0 if label.complete else _NOT_DONE


def _before_setup(*, as_json: bool, confirms: bool) -> int:
    """Print the steps, all open, without an account whose confirmations could be kept."""
    label = judge(None, ())
    kept = "A confirmation cannot be kept yet. " if confirms else ""
    if as_json:
        echo_json(_as_dict(None, label, kept + SETUP_FIRST))
    else:
        _print(None, label, "")
    report_line(f"botkit: {kept}{SETUP_FIRST}")
    return _PERSON


async def _mark(store: Store, account: Account, done: Sequence[str], undo: Sequence[str]) -> None:
    from botkit.model.records import Mark

    now = SystemClock().now()
    for step in done:
        await store.accounts.set_mark(Mark(account_id=account.id, step=step, at=now))
    for step in undo:
        await store.accounts.clear_mark(account.id, step)


async def _ask_x(settings: Settings, store: Store, account: Account) -> tuple[User | None, str]:
    """Return the account's profile as X shows it, or None and the reason why X did not tell."""
    from botkit.protocol.api import objects, requests

    try:
        async with open_x_of(settings, store) as x:
            response = await x.sender.send(requests.get_me(), account_id=account.id)
            users = objects.read_users(response)
    except (BotkitError, Parked) as problem:
        return None, f"X could not be asked: {problem}"
    return (users[0] if users else None), ""


def _print(account: Account | None, label: Label, why: str) -> None:
    who = "no account yet" if account is None else f"@{account.username}"
    echo(f"{who}: automated label, {label.done} of {len(STEPS)} steps")
    if why:
        echo(f"({why}; only your confirmations count)")
    for number, step in enumerate(STEPS, start=1):
        sign = _SIGNS.get(label.states[step.id], "  open")
        echo(f"  {number}. {sign:<12} {step.id:<18} {step.do}")
        if step.why and label.states[step.id] is StepState.OPEN:
            echo(f"{'':<37}{step.why}")
    if account is None:
        echo("What you have done can be confirmed here once the account is authorized.")
    elif label.next_step is not None:
        echo(f"When a step is done: botkit checklist --done {label.next_step.id}")
    else:
        echo("All done.")


def _as_dict(account: Account | None, label: Label, why: str) -> dict[str, Any]:
    return {
        "account": account and {"id": account.id, "username": account.username},
        "complete": label.complete,
        "done": label.done,
        "steps": [
            {"id": s.id, "state": label.states[s.id].value, "do": s.do, "why": s.why}
            for s in STEPS
        ],
        "problem": why,
    }
