"""`botkit accounts rename | revoke | remove | rekey`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from botkit.cli.help import HelpCommand
from botkit.cli.options import (
    done,
    echo_json,
    json_option,
    open_the_store,
    read_settings,
    run_async,
    settings_options,
    the_account,
)
from botkit.errors import ConfigError, Conflict
from botkit.model.tokens import CredentialKind, LoginState
from botkit.telemetry.escaping import escape

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from botkit.config import Settings
    from botkit.model.records import CredentialRow
    from botkit.model.users import Account

__all__ = ["rekey_command", "remove_command", "rename_command", "revoke_command"]

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
    config_file: Path | None,
    overrides: Sequence[str],
    as_json: bool,
) -> None:
    """Every command and the settings then take that name too; X is not told."""
    settings = read_settings(config_file, overrides)
    alias = name.removeprefix("@")
    _refuse_name(alias)

    async def run() -> None:
        async with open_the_store(settings) as store:
            found = await the_account(store, account, settings)
            own = alias.casefold() == found.username.casefold()
            try:
                await store.accounts.rename(found.id, "" if own else alias)
            except Conflict as taken:
                raise ConfigError(taken.message, hint="Choose another name.") from taken
            called = found.username if own else alias
            _say(f"@{found.username} is called {called} from now on")
            done(found, "renamed", as_json=as_json, alias=None if own else alias)

    run_async(run())


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
    config_file: Path | None,
    overrides: Sequence[str],
    as_json: bool,
) -> int:
    """Nothing is removed before X has confirmed."""
    settings = read_settings(config_file, overrides)
    from botkit.bot.serving import log_as

    log_as(settings, level="warning")
    return run_async(_revoke(settings, account, app, force=force, as_json=as_json))


async def _revoke(
    settings: Settings, wanted: str, app: str | None, *, force: bool, as_json: bool
) -> int:
    from botkit.bot.compose_client import open_the_vault, open_x
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
        vault = await open_the_vault(settings, store)
        async with open_x(settings, store, vault) as x:
            keeper = x.keeper
            confirmed = await revoke_login(keeper.around, row, force=force, lock=keeper.lock)
    done(account, "revoked", as_json=as_json, kind=kind.value, confirmed_by_x=confirmed)
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
    config_file: Path | None,
    overrides: Sequence[str],
    as_json: bool,
) -> None:
    """A login that lives at X has to be revoked first."""
    settings = read_settings(config_file, overrides)
    run_async(_remove(settings, account, force=force, as_json=as_json))


async def _remove(settings: Settings, wanted: str, *, force: bool, as_json: bool) -> None:
    from botkit.bot.compose_client import open_the_vault, open_x

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
            vault = await open_the_vault(settings, store)
            async with open_x(settings, store, vault) as x:
                for row in rows:
                    async with x.keeper.lock(row):
                        await x.keeper.around.rows.remove(row)
                await store.accounts.remove(account.id)
    _say(f"@{account.username} is forgotten here")
    done(account, "removed", as_json=as_json)


def _ending(account: Account, row: CredentialRow) -> str:
    """The command that ends a login of the account."""
    app = "" if row.app == account.app else f" --app {row.app}"
    if row.kind is CredentialKind.OAUTH1:
        return f"botkit accounts invalidate {account.username} --oauth1{app}"
    return f"botkit accounts revoke {account.username}{app}"


@click.command(
    cls=HelpCommand, name="rekey", help="Seal all logins with a new vault key, while bots run."
)
@settings_options
@json_option
def rekey_command(*, config_file: Path | None, overrides: Sequence[str], as_json: bool) -> int:
    """Make the key, seal everything again, drop the old key."""
    settings = read_settings(config_file, overrides)
    from botkit.bot.serving import log_as

    log_as(settings, level="warning")
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


def _say(text: str) -> None:
    click.echo(f"accounts {escape(text)}", err=True)
