"""`botkit accounts check`: ask X which user each login belongs to; for a person or for cron."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from botkit.cli.entry import exit_code_of
from botkit.cli.help import HelpCommand
from botkit.cli.options import (
    GivenSettings,
    json_option,
    run_async,
    settings_options,
)
from botkit.cli.output import echo, echo_json
from botkit.cli.store_access import open_the_store, open_x_of, the_account
from botkit.model.tokens import CredentialKind, LoginState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from botkit.client.upkeep.check import Checked
    from botkit.config import Settings
    from botkit.model.users import Account
    from botkit.ports import Store

__all__ = ["check_command", "exit_code", "next_step"]

_CHECK = "botkit accounts check"
_FINE, _UNCERTAIN, _PERSON = 0, 1, 2
_CODES = {
    LoginState.OK: _FINE,
    LoginState.UNCERTAIN: _UNCERTAIN,
    LoginState.DEAD: _PERSON,
    LoginState.CONFIG: _PERSON,
}


@click.command(
    cls=HelpCommand,
    name="check",
    help="Ask X whose the logins are, refreshing first when due; safe beside a running bot.",
)
@click.argument("account", required=False)
@settings_options
@json_option
def check_command(*, account: str | None, given: GivenSettings, as_json: bool) -> int:
    """Check one account or all of them, and return the exit code of the worst login."""
    settings = given.read(log_level="warning")
    found = run_async(_check_all(settings, account))
    if as_json:
        echo_json([_as_dict(who, checked) for who, checked in found])
    else:
        for who, checked in found:
            _print(who, checked)
    return max(exit_code(checked) for _, checked in found)


async def _check_all(
    settings: Settings, wanted: str | None
) -> list[tuple[Account, list[Checked]]]:
    from botkit.client.upkeep.check import check_logins
    from botkit.protocol.rules import pricing

    async with open_the_store(settings) as store:
        chosen = await _chosen(store, wanted, settings)
        async with open_x_of(settings, store) as x:
            found: list[tuple[Account, list[Checked]]] = []
            for account in chosen:

                def note(who: Account = account) -> None:
                    charge = pricing.charge_of_owner_check(who.id)
                    x.budget.note(who.id, charge, app=who.app)

                checked = await check_logins(x.keeper, account, on_asked=note)
                found.append((await _renamed(store, account, checked), checked))
            return found


async def _chosen(store: Store, wanted: str | None, settings: Settings) -> list[Account]:
    """Return the account that was named, else all accounts."""
    everyone = await store.accounts.listing()
    if wanted or not everyone:
        return [await the_account(store, wanted, settings)]
    return everyone


async def _renamed(store: Store, account: Account, checked: Sequence[Checked]) -> Account:
    """Store the name that X has for the account now, and return the account with that name."""
    import msgspec

    for login in checked:
        owner = login.owner
        if owner is not None and owner.id == account.id and owner.username != account.username:
            account = msgspec.structs.replace(account, username=owner.username, name=owner.name)
            await store.accounts.put(account)
    return account


def exit_code(checked: Sequence[Checked]) -> int:
    """Return the exit code for an account's logins.

    It is 2 if a person must act, 1 if a login is uncertain, else that of the error that kept X
    from answering, else 0.
    """
    codes = {_CODES[login.status] for login in checked} or {_PERSON}
    if max(codes) > _FINE:
        return max(codes)
    return max((exit_code_of(login.error) for login in checked if login.error), default=_FINE)


def _as_dict(account: Account, checked: Sequence[Checked]) -> dict[str, Any]:
    return {
        "id": account.id,
        "username": account.username,
        "alias": account.alias or None,
        "app": account.app,
        "exit_code": exit_code(checked),
        "logins": [
            {
                "kind": login.kind.value,
                "status": login.status.value,
                "reason": login.reason,
                "since": login.since,
                "generation": login.gen,
                "access_token_left_s": None if login.left_s is None else round(login.left_s),
                "owner": None
                if login.owner is None
                else {"id": login.owner.id, "username": login.owner.username},
                "error": None if login.error is None else login.error.message,
                "next": next_step(account, login.status, login.reason, login.kind),
            }
            for login in checked
        ],
    }


def _print(account: Account, checked: Sequence[Checked]) -> None:
    echo(f"@{account.username}  id {account.id}  app {account.app}")
    if not checked:
        echo("  no login")
        echo(f"    next         botkit setup --account {account.username}")
    for login in checked:
        told = "X did not say whose it is"
        if login.owner is not None:
            told = f"X says it is @{login.owner.username}'s"
        echo(f"  {login.kind.value}  {login.status.value}  {told}")
        if login.left_s:
            echo(f"    access token {round(login.left_s) // 60} min left")
        for what, text in (
            ("reason", login.reason),
            ("error", "" if login.error is None else login.error.message),
            ("next", next_step(account, login.status, login.reason, login.kind)),
        ):
            if text:
                echo(f"    {what:<12} {text}")


def next_step(
    account: Account,
    status: LoginState,
    reason: str,
    kind: CredentialKind = CredentialKind.OAUTH2,
) -> str:
    """Return the next command to run, in full; "" if there is nothing to do."""
    from botkit.client.logins.login_rows import OTHER_CLIENT, OTHER_X
    from botkit.client.logins.oauth2_login import HANDED_OVER, NOT_GRANTED
    from botkit.client.upkeep.check import REFUSED_FRESH

    if status is LoginState.OK:
        return ""
    if reason.startswith(HANDED_OVER):
        return "Import it where it goes on; to take it back: botkit accounts import --file FILE"
    if reason.startswith(OTHER_X):
        return "Set x.api_url back, or give the other X a store of its own (BOTKIT_STORE__URL)."
    if status is LoginState.CONFIG and not reason.startswith(OTHER_CLIENT):
        return "Correct the app's keys in the settings; the login itself is untouched."
    way = " --oauth1" if kind is CredentialKind.OAUTH1 else ""
    app = "" if account.app == "default" else f" --app {account.app}"
    again = f"botkit setup{way}{app} --account {account.username}"
    if status is LoginState.CONFIG:
        return f"Set the app's keys back, or authorize it by the app of now: {again}"
    if reason == REFUSED_FRESH:
        return (
            f"X has had hours in which good tokens were refused: ask again in some minutes"
            f" ({_CHECK} {account.username}); if it stays so, authorize again: {again}"
        )
    if status is LoginState.UNCERTAIN and (way or reason.startswith(NOT_GRANTED)):
        return f"A running bot looks again by itself; ask again: {_CHECK} {account.username}"
    if status is LoginState.UNCERTAIN:
        return f"Works until the access token ends; to be safe authorize again: {again}"
    return f"Authorize again: {again}"
