"""Move a login to another machine: `botkit accounts export`, and `import` of its file."""

from __future__ import annotations

import asyncio
import getpass
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from botkit.cli.help import HelpCommand
from botkit.cli.options import (
    MAX_INPUT_BYTES,
    GivenSettings,
    echo_outcome,
    json_option,
    read_small_file,
    run_async,
    say_as,
    settings_options,
)
from botkit.cli.store_access import open_store_with_key, open_the_store, open_x_of, the_account
from botkit.config.file_faults import unreadable
from botkit.errors import ConfigError
from botkit.model.tokens import LoginState

if TYPE_CHECKING:
    from botkit.bot.keys.key_making import KeyWish
    from botkit.cli.options import Decorator
    from botkit.client.upkeep.login_transfer import Parcel
    from botkit.config import Settings
    from botkit.model.users import Account

__all__ = ["export_command", "import_sealed", "passphrase_option"]

_say = say_as("accounts")

_PERSON = 2

passphrase_option: Decorator = click.option(
    "--passphrase-file",
    metavar="FILE",
    type=click.Path(dir_okay=False, exists=True),
    help="Read the passphrase from the first line of this file. Default: ask at the terminal.",
)


@click.command(
    cls=HelpCommand, name="export", help="Seal a login with a passphrase, for another machine."
)
@click.argument("account", required=False)
@click.option(
    "--file",
    "file",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Where to write it; must not be there yet. Default: standard output.",
)
@passphrase_option
@click.option("--again", is_flag=True, help="Although it left before: that file was lost.")
@settings_options
@json_option
def export_command(
    *,
    account: str | None,
    file: str | None,
    passphrase_file: str | None,
    again: bool,
    given: GivenSettings,
    as_json: bool,
) -> None:
    """Mark the login here as handed over, then write the copy for the other machine."""
    if as_json and file is None:
        raise click.UsageError("--json needs --file: the login itself goes to standard output.")
    settings = given.read(log_level="warning")
    if file is not None and os.path.lexists(file):
        raise ConfigError(f"{file} is there already; it was not touched.")
    passphrase = _passphrase(passphrase_file, twice=True)
    left, kinds = run_async(_export(settings, account, file, passphrase, again=again))
    echo_outcome(left, "exported", as_json=as_json, kinds=kinds, file=file)


async def _export(
    settings: Settings, wanted: str | None, file: str | None, passphrase: str, *, again: bool
) -> tuple[Account, list[str]]:
    import msgspec

    from botkit.bot.compose_client import open_the_vault, open_x
    from botkit.client.upkeep import login_transfer
    from botkit.storage.vault.parcel import seal_parcel

    async with open_the_store(settings) as store:
        account = await the_account(store, wanted, settings)
        vault = await open_the_vault(settings, store)
        # Refuse a passphrase that is too short before the login is marked.
        await asyncio.to_thread(seal_parcel, b"", passphrase)
        async with open_x(settings, store, vault) as x:
            rows = await login_transfer.hand_over(x.keeper, account, again=again)
            try:
                parcel = await login_transfer.pack(x.keeper, account, rows)
                content = msgspec.json.encode(parcel)
                text = await asyncio.to_thread(seal_parcel, content, passphrase)
                await _written(file, text)
            except BaseException:
                await login_transfer.take_back(x.keeper, rows)
                raise
    kinds = sorted(row.kind.value for row in rows)
    _say(f"@{account.username} ({' and '.join(kinds)}) is sealed{f' in {file}' if file else ''}")
    _say("the OAuth 2.0 login here is marked as handed over and refreshes nothing any more")
    _say("there: botkit accounts import --file FILE; once only, then remove the file")
    return account, kinds


async def _written(file: str | None, text: str) -> None:
    """Write the text to its end, even if the command is cancelled meanwhile.

    A cancelled export takes the login back, which must not happen once the copy has left.
    """
    writing = asyncio.get_running_loop().run_in_executor(None, _write, file, text)
    while not writing.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([writing])
    writing.result()


def _write(file: str | None, text: str) -> None:
    """Write the text to a new file that only this user may read, or to stdout.

    The file is complete and synced, or it does not exist.
    """
    if file is None:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(file, flags, 0o600)
    except OSError as fault:
        raise ConfigError(f"{file} cannot be written: {fault.strerror}.") from fault
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(descriptor)
    except OSError as fault:
        Path(file).unlink(missing_ok=True)
        raise ConfigError(f"{file} cannot be written: {fault.strerror}.") from fault


def import_sealed(
    settings: Settings,
    wish: KeyWish,
    *,
    file: Path | None,
    passphrase_file: str | None,
    app: str,
    wanted: str = "",
    as_json: bool = False,
) -> int:
    """Store a login that `export` wrote, ask X whose it is, and return the exit code.

    `wanted` is the name or id of the account that the login must belong to, "" for any.

    Raises:
        ConfigError: The file, the passphrase, the app or the account is the wrong one.
        Conflict: The stored login is newer.
    """
    from botkit.client.upkeep.login_transfer import read_parcel
    from botkit.storage.vault.parcel import open_parcel

    if file is None and passphrase_file is None and not sys.stdin.isatty():
        raise ConfigError(
            "The login comes on standard input, so the passphrase cannot be asked for.",
            hint="Say --passphrase-file FILE, or --file FILE for the login.",
        )
    settings.app_named(app)
    text = sys.stdin.read(MAX_INPUT_BYTES) if file is None else _read(file)
    passphrase = _passphrase(passphrase_file, twice=False)
    parcel = read_parcel(open_parcel(text, passphrase))
    _refuse_other(parcel.account, wanted.removeprefix("@"))
    code, account = run_async(_import(settings, parcel, app, wish))
    kinds = [login.kind.value for login in parcel.logins]
    echo_outcome(account, "imported", as_json=as_json, kinds=kinds, exit_code=code)
    if code == 0 and file is not None:
        _remove_used(file)
    return code


def _refuse_other(found: Account, wanted: str) -> None:
    names = {found.id, found.username.casefold(), found.alias.casefold()}
    if wanted and wanted.casefold() not in names:
        raise ConfigError(
            f"The file holds the login of @{found.username}, not of @{wanted}; "
            "nothing was changed."
        )


async def _import(
    settings: Settings, parcel: Parcel, app: str, wish: KeyWish
) -> tuple[int, Account]:
    from botkit.cli.accounts.check import exit_code, next_step
    from botkit.client.upkeep.check import check_logins
    from botkit.client.upkeep.login_transfer import take_over

    async with (
        open_store_with_key(settings, wish, tell=_say) as store,
        open_x_of(settings, store) as x,
    ):
        account = await take_over(x.keeper, parcel, app=app)
        checked = await check_logins(x.keeper, account, on_asked=lambda: None)
    for login in checked:
        if login.status is LoginState.OK and login.owner is not None:
            _say(f"{login.kind.value}: alive, @{login.owner.username}'s, and this machine's now")
        else:
            why = login.reason or (login.error.message if login.error else "")
            _say(f"{login.kind.value}: {login.status.value}, not proven: {why}")
            again = next_step(account, login.status, login.reason, login.kind)
            _say(again or f"it is kept; ask again: botkit accounts check {account.username}")
    return exit_code(checked), account


def _read(file: Path) -> str:
    return read_small_file(file).decode("ascii", "replace")


def _remove_used(file: Path) -> None:
    """Remove the file of an imported login: a second import would end that login."""
    try:
        file.unlink()
        _say(f"{file} is used up and was removed")
    except OSError as fault:
        _say(f"{file} is used up, and could not be removed ({fault.strerror}): remove it")


def _passphrase(file: str | None, *, twice: bool) -> str:
    if file is not None:
        try:
            with Path(file).open(encoding="utf-8-sig") as opened:
                return opened.readline(MAX_INPUT_BYTES).strip("\r\n")
        except OSError as fault:
            raise ConfigError(f"--passphrase-file: {file} {unreadable(fault)}.") from fault
        except UnicodeDecodeError as fault:
            raise ConfigError(f"--passphrase-file: {file} is not UTF-8 text.") from fault
    if not sys.stdin.isatty():
        raise ConfigError(
            "There is no terminal to ask for the passphrase.", hint="Say --passphrase-file FILE."
        )
    passphrase = getpass.getpass("Passphrase: ")
    if twice and getpass.getpass("Once more: ") != passphrase:
        raise ConfigError("The two passphrases differ; nothing was done.")
    return passphrase
