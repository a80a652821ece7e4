"""`botkit accounts`: list the accounts, and show the state of their logins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from botkit.cli.accounts.change import (
    rekey_command,
    remove_command,
    rename_command,
    revoke_command,
)
from botkit.cli.accounts.check import check_command, next_step
from botkit.cli.accounts.import_login import import_command, invalidate_command
from botkit.cli.accounts.invite import invite_command
from botkit.cli.accounts.move import export_command
from botkit.cli.help import HelpGroup
from botkit.cli.options import (
    GivenSettings,
    json_option,
    settings_options,
)
from botkit.cli.output import echo, echo_json
from botkit.cli.store_access import run_on_store, the_account
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


@click.group(
    cls=HelpGroup, name="accounts", help="List, check, move and end the accounts and logins."
)
def command() -> None:
    """Group the account commands."""


command.add_command(check_command)
command.add_command(invite_command)
command.add_command(rename_command)
command.add_command(export_command)
command.add_command(import_command)
command.add_command(revoke_command)
command.add_command(invalidate_command)
command.add_command(remove_command)
command.add_command(rekey_command)


@command.command(name="list", help="One line an account: who, which app, how the login is.")
@settings_options
@json_option
def list_accounts(*, given: GivenSettings, as_json: bool) -> None:
    """Print all accounts."""
    settings = given.read()

    async def gather(store: Store) -> list[dict[str, Any]]:
        return [
            _as_dict(account, await store.credentials.listing(account.id), settings)
            for account in await store.accounts.listing()
        ]

    found = run_on_store(settings, gather)
    if as_json:
        echo_json(found)
        return
    if not found:
        echo("No account is authorized yet. Run `botkit setup`.")
    for account in found:
        states = ", ".join(
            f"{_kind(account, each)} {each['status']}" for each in account["logins"]
        )
        echo(f"{_heading(account)}  {states}")


@command.command(name="show", help="One account in full: each login, its state and the next step.")
@click.argument("account", required=False)
@settings_options
@json_option
def show_account(*, account: str | None, given: GivenSettings, as_json: bool) -> int:
    """Print one account, and return the exit code of its worst login."""
    settings = given.read()

    async def gather(store: Store) -> dict[str, Any]:
        found = await the_account(store, account, settings)
        return _as_dict(found, await store.credentials.listing(found.id), settings)

    shown = run_on_store(settings, gather)
    if as_json:
        echo_json(shown)
    else:
        _print(shown)
    return _exit_code([login for login in shown["logins"] if login["app"] == shown["app"]])


def _as_dict(
    account: Account, rows: Sequence[CredentialRow], settings: Settings
) -> dict[str, Any]:
    from botkit.client.logins.oauth1_fallback import stand_in_of

    now = SystemClock().now()
    here = [row for row in rows if row.app == account.app]
    return {
        "id": account.id,
        "username": account.username,
        "alias": account.alias or None,
        "app": account.app,
        "logins": [_login(account, row, now) for row in rows],
        "fallback": stand_in_of(here, allowed=settings.run.fallback, now=now) or None,
    }


def _login(account: Account, row: CredentialRow, now: datetime) -> dict[str, Any]:
    left_s = None
    if row.access_until is not None:
        left_s = max(0, round((row.access_until - now).total_seconds()))
    return {
        "kind": row.kind.value,
        "app": row.app,
        "status": row.status.value,
        "since": row.since,
        "reason": row.reason,
        "generation": row.gen,
        "origin": row.origin or None,
        "client_id": row.client_id or None,
        "scopes": list(row.scopes),
        "access_level": row.level or None,
        "access_token_left_s": left_s,
        "last_success": row.last_success,
        "granted_at": row.granted_at,
        "refresh_under_way": row.intent is not None,
        "next": next_step(account, row.status, row.reason, row.kind),
    }


def _heading(account: dict[str, Any]) -> str:
    alias = f" ({account['alias']})" if account["alias"] else ""
    return f"@{account['username']}{alias}  id {account['id']}  app {account['app']}"


def _kind(account: dict[str, Any], login: dict[str, Any]) -> str:
    """Return the kind of the login, with its app if the account acts through another one now."""
    before = "" if login["app"] == account["app"] else f" (app {login['app']})"
    return f"{login['kind']}{before}"


def _print(shown: dict[str, Any]) -> None:
    echo(_heading(shown))
    for login in shown["logins"]:
        kind, since = _kind(shown, login), rfc3339(login["since"])
        echo(f"  {kind}  {login['status']} since {since}")
        if login["reason"]:
            echo(f"    reason       {login['reason']}")
        if login["scopes"]:
            echo(f"    scopes       {' '.join(login['scopes'])}")
        if login["access_level"]:
            echo(f"    access level {login['access_level']}")
        echo(f"    authorized   {rfc3339(login['granted_at'])}")
        if login["access_token_left_s"] is not None:
            echo(f"    access token {login['access_token_left_s'] // 60} min left")
        if login["origin"]:
            echo(f"    from         {login['origin']}")
        echo(f"    generation   {login['generation']}")
        if login["next"]:
            echo(f"    next         {login['next']}")
    if shown["fallback"]:
        echo(f"  fallback       {shown['fallback']}")


def _exit_code(logins: Sequence[dict[str, Any]]) -> int:
    states = {login["status"] for login in logins}
    if not states or states & {LoginState.DEAD.value, LoginState.CONFIG.value}:
        return 2
    return 1 if LoginState.UNCERTAIN.value in states else 0
