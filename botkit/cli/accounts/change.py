"""`botkit accounts rename | revoke | remove | rekey`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from botkit.cli.help import HelpCommand
from botkit.cli.options import (
    GivenSettings,
    echo_outcome,
    json_option,
    run_async,
    say_as,
    settings_options,
)
from botkit.cli.output import echo_json
from botkit.cli.store_access import open_the_store, open_x_of, run_on_store, the_account
from botkit.errors import ConfigError, Conflict
from botkit.model.tokens import CredentialKind, LoginState

if TYPE_CHECKING:
    from botkit.config import Settings
    from botkit.model.records import CredentialRow
    from botkit.model.users import Account
    from botkit.ports import Store

__all__ = ["rekey_command", "remove_command", "rename_command", "revoke_command"]

_say = say_as("accounts")

_LONGEST_NAME = 64
_NOT_DONE = 1


@click.command(cls=HelpCommand, name="rename", help="Give an account a name of your own.")
@click.argument("account")
@click.argument("name")
@settings_options
@json_option
def rename_command(
    *,
    account: str,
    name: str,
    given: GivenSettings,
    as_json: bool,
) -> None:
    """Store the name; commands and settings take it from then on. X does not learn of it."""
    settings = given.read()
    alias = name.removeprefix("@")
    _refuse_name(alias)

    async def run(store: Store) -> None:
        found = await the_account(store, account, settings)
        own = alias.casefold() == found.username.casefold()
        try:
            await store.accounts.rename(found.id, "" if own else alias)
        except Conflict as taken:
            raise ConfigError(taken.message, hint="Choose another name.") from taken
        called = found.username if own else alias
        _say(f"@{found.username} is called {called} from now on")
        echo_outcome(found, "renamed", as_json=as_json, alias=None if own else alias)

    run_on_store(settings, run)


@click.command(cls=HelpCommand, name="revoke", help="End a login at X, then forget it here.")
@click.argument("account")
@click.option("--app", help="Its login through this app. Default: the account's app.")
@click.option("--force", is_flag=True, help="Remove them here even if X cannot be asked.")
@settings_options
@json_option
def revoke_command(
    *,
    account: str,
    app: str | None,
    force: bool,
    given: GivenSettings,
    as_json: bool,
) -> int:
    """Revoke the login at X, and remove it here once X has confirmed."""
    settings = given.read(log_level="warning")
    return run_async(_revoke(settings, account, app, force=force, as_json=as_json))


async def _revoke(
    settings: Settings, wanted: str, app: str | None, *, force: bool, as_json: bool
) -> int:
    from botkit.client.upkeep.revoke import revoke_login

    async with open_the_store(settings) as store:
        account = await the_account(store, wanted, settings)
        kind = CredentialKind.OAUTH2
        row = await store.credentials.get(account.id, app or account.app, kind)
        if row is None:
            raise ConfigError(
                f"@{account.username} has no OAuth 2.0 login through app {app or account.app!r}.",
                hint="An OAuth 1.0a token is ended by: "
                f"botkit accounts invalidate {account.username} --oauth1",
            )
        async with open_x_of(settings, store) as x:
            keeper = x.keeper
            confirmed = await revoke_login(keeper.context, row, force=force, lock=keeper.lock)
    echo_outcome(account, "revoked", as_json=as_json, kind=kind.value, confirmed_by_x=confirmed)
    if confirmed:
        _say(f"the login of @{account.username} is revoked at X and removed here")
        return 0
    _say(f"the login of @{account.username} is removed here; X did NOT confirm that it has ended:")
    _say("take the access back on X (Settings, Security, Apps and sessions)")
    return _NOT_DONE


@click.command(cls=HelpCommand, name="remove", help="Forget an account and its logins, here only.")
@click.argument("account")
@click.option("--force", is_flag=True, help="Although a login of it is alive at X.")
@settings_options
@json_option
def remove_command(
    *,
    account: str,
    force: bool,
    given: GivenSettings,
    as_json: bool,
) -> None:
    """Remove the account here; without `--force` only if X takes none of its logins."""
    settings = given.read()
    run_async(_remove(settings, account, force=force, as_json=as_json))


async def _remove(settings: Settings, wanted: str, *, force: bool, as_json: bool) -> None:
    async with open_the_store(settings) as store:
        account = await the_account(store, wanted, settings)
        rows = await store.credentials.listing(account.id)
        alive = [row for row in rows if row.status is not LoginState.DEAD]
        if alive and not force:
            kinds = ", ".join(row.kind.value for row in alive)
            ends = "; ".join(_ending(account, row) for row in alive)
            raise ConfigError(
                f"@{account.username} has a login that X still takes ({kinds}).",
                hint=f"End it first: {ends}; or --force.",
            )
        if not rows:
            await store.accounts.remove(account.id)
        else:
            async with open_x_of(settings, store) as x:
                for row in rows:
                    async with x.keeper.lock(row):
                        await x.keeper.context.rows.remove(row)
                await store.accounts.remove(account.id)
    _say(f"@{account.username} is forgotten here")
    echo_outcome(account, "removed", as_json=as_json)


def _ending(account: Account, row: CredentialRow) -> str:
    """Return the command that ends this login of the account."""
    app = "" if row.app == account.app else f" --app {row.app}"
    if row.kind is CredentialKind.OAUTH1:
        return f"botkit accounts invalidate {account.username} --oauth1{app}"
    return f"botkit accounts revoke {account.username}{app}"


@click.command(
    cls=HelpCommand, name="rekey", help="Seal all logins with a new vault key, while bots run."
)
@settings_options
@json_option
def rekey_command(*, given: GivenSettings, as_json: bool) -> int:
    """Make a new key, seal everything with it, then drop the old key."""
    settings = given.read(log_level="warning")
    return run_async(_rekey(settings, as_json=as_json))


async def _rekey(settings: Settings, *, as_json: bool) -> int:
    from botkit.bot.compose_client import open_x
    from botkit.bot.keys.rekey import begin_rekey, finish_rekey

    async with open_the_store(settings) as store:
        vault = await begin_rekey(settings, store, tell=_say)
        async with open_x(settings, store, vault) as x:
            is_done = await finish_rekey(settings, store, vault, x.keeper.lock, tell=_say)
    if as_json:
        echo_json({"outcome": "rekeyed" if is_done else "not done"})
    return 0 if is_done else _NOT_DONE


def _refuse_name(name: str) -> None:
    fits = 0 < len(name) <= _LONGEST_NAME and all(
        letter.isalnum() or letter in "._-" for letter in name
    )
    if not fits or name.isdigit():
        raise ConfigError(
            f"{name!r} cannot be an account's name.",
            hint="Letters, digits, dot, hyphen and underscore, at least one that is no digit.",
        )
