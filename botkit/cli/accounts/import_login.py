"""`botkit accounts import`, and `accounts invalidate` of tokens that never expire."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from botkit.cli.accounts.move import import_sealed, passphrase_option
from botkit.cli.help import HelpCommand
from botkit.cli.options import (
    MAX_INPUT_BYTES,
    GivenSettings,
    account_option,
    app_option,
    echo_outcome,
    json_option,
    key_options,
    key_wish,
    read_small_file,
    run_async,
    say_as,
    settings_options,
    switch_account_option,
)
from botkit.cli.output import echo_json
from botkit.cli.store_access import (
    app_for,
    open_store_with_key,
    open_the_store,
    open_x_of,
    the_account,
)
from botkit.errors import ConfigError
from botkit.model.tokens import CredentialKind, TokenPair
from botkit.protocol.oauth.oauth1_flow import read_given_pair

if TYPE_CHECKING:
    from botkit.config import Settings

__all__ = ["import_command", "invalidate_command"]

_say = say_as("accounts")


@click.command(cls=HelpCommand, name="import", help="Take over a login that was made elsewhere.")
@click.argument("target", required=False, metavar="[MODULE:BOT]")
@click.option(
    "--oauth1",
    is_flag=True,
    help="The access token of X's console with its second half, two lines on standard input.",
)
@click.option(
    "--file",
    "file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Read it from this file instead of standard input.",
)
@app_option
@switch_account_option
@passphrase_option
@key_options
@account_option
@settings_options
@json_option
def import_command(
    *,
    target: str | None,
    oauth1: bool,
    file: Path | None,
    app: str | None,
    switch_account: bool,
    passphrase_file: str | None,
    make_key: bool,
    key_beside_store: bool,
    account: str | None,
    given: GivenSettings,
    as_json: bool,
) -> int:
    """Read the login, ask X whose it is, and store it sealed."""
    settings = given.read(log_level="warning")
    wish = key_wish(make_key=make_key, key_beside_store=key_beside_store)
    if not oauth1:
        return import_sealed(
            settings,
            wish,
            file=file,
            passphrase_file=passphrase_file,
            app=app or "default",
            wanted=account or "",
            as_json=as_json,
        )
    from botkit.cli.accounts.setup import say_proofs
    from botkit.cli.loading import load_bot
    from botkit.wizard.setup import SetUp, SetupOptions, set_up_from_pair

    named = target or settings.bot.target
    bot = load_bot(named) if named else None
    pair = _read_pair(file)
    wanted = account or settings.bot.account or ""

    async def run() -> SetUp:
        named = await app_for(settings, app, wanted)
        asked = SetupOptions(app=named, account=wanted, confirmed=switch_account, adds=False)
        async with open_store_with_key(settings, wish, tell=_say) as store:
            return await set_up_from_pair(settings, store, bot, asked, pair, tell=_say)

    imported = run_async(run())
    who = imported.login.account
    echo_outcome(who, "imported", as_json=as_json, kinds=[imported.login.row.kind.value])
    return say_proofs(imported)


@click.command(
    cls=HelpCommand, name="invalidate", help="Make a token that never expires dead at X, and here."
)
@click.argument("account", required=False)
@click.option("--oauth1", is_flag=True, help="The account's OAuth 1.0a access token.")
@click.option("--app-only", is_flag=True, help="The app's bearer token.")
@app_option
@settings_options
@json_option
def invalidate_command(
    *,
    account: str | None,
    oauth1: bool,
    app_only: bool,
    app: str | None,
    given: GivenSettings,
    as_json: bool,
) -> int:
    """Invalidate the token at X, and remove it here once X has confirmed."""
    if oauth1 == app_only or (app_only and account):
        raise click.UsageError("Say which: ACCOUNT --oauth1, or --app-only (with --app).")
    settings = given.read(log_level="warning")
    if app_only:
        return run_async(_invalidate_bearer(settings, app or "default", as_json=as_json))
    return run_async(_invalidate_pair(settings, account, app, as_json=as_json))


async def _invalidate_bearer(settings: Settings, app: str, *, as_json: bool) -> int:
    from botkit.client.upkeep.invalidate import invalidate_bearer

    settings.app_named(app)
    async with open_the_store(settings) as store, open_x_of(settings, store) as x:
        if not await invalidate_bearer(x.keeper.context, app):
            raise ConfigError(f"No bearer token of app {app!r} is known here.")
    _say(f"the bearer token of app {app!r} is dead; whoever uses it has to fetch the new one")
    if as_json:
        echo_json({"app": app, "outcome": "invalidated", "kind": CredentialKind.APP_ONLY.value})
    return 0


async def _invalidate_pair(
    settings: Settings, account: str | None, app: str | None, *, as_json: bool
) -> int:
    from botkit.client.upkeep.invalidate import invalidate_pair

    async with open_the_store(settings) as store:
        found = await the_account(store, account, settings)
        through = app or found.app
        row = await store.credentials.get(found.id, through, CredentialKind.OAUTH1)
        if row is None:
            raise ConfigError(
                f"@{found.username} has no OAuth 1.0a login through app {through!r}."
            )
        async with open_x_of(settings, store) as x:
            await invalidate_pair(x.keeper.context, row)
            await x.keeper.context.rows.remove(row)
    _say(f"the OAuth 1.0a login of @{found.username} is dead at X and removed here")
    echo_outcome(found, "invalidated", as_json=as_json, kind=CredentialKind.OAUTH1.value)
    return 0


def _read_pair(file: Path | None) -> TokenPair:
    """Read the token and its secret from the file, the terminal or standard input.

    Never from arguments: other users of the machine can see those.

    Raises:
        ConfigError: The text is neither two lines nor the JSON object.
    """
    if file is not None:
        return read_given_pair(read_small_file(file).decode("utf-8", "replace"))
    if sys.stdin.isatty():
        token = getpass.getpass("Access token: ")
        return read_given_pair(f"{token}\n{getpass.getpass('Access token secret: ')}")
    return read_given_pair(sys.stdin.read(MAX_INPUT_BYTES))
