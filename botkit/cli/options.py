"""The options that many commands share, and what they open: settings, store, clock."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

from botkit.config import Settings, load_settings
from botkit.errors import ConfigError
from botkit.telemetry.escaping import escape

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable

    from botkit.bot.keys.key_making import KeyWish
    from botkit.model.users import Account
    from botkit.ports import Store

__all__ = [
    "Decorator",
    "account_option",
    "done",
    "echo_json",
    "json_option",
    "key_options",
    "key_wish",
    "limit_option",
    "open_store_with_key",
    "open_the_store",
    "read_settings",
    "run_async",
    "settings_options",
    "the_account",
]

T = TypeVar("T")
F = TypeVar("F", bound="Callable[..., Any]")


class Decorator(Protocol):
    """Adds an option to a command."""

    def __call__(self, command: F, /) -> F:
        """Return the command with the option."""
        ...


json_option: Decorator = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, for a program to read."
)
limit_option: Decorator = click.option(
    "--limit",
    type=click.IntRange(1, 1_000_000),
    default=50,
    show_default=True,
    help="How many at most.",
)
account_option: Decorator = click.option(
    "--account", metavar="NAME", help="The account, by username or id. Needed if there are more."
)


def settings_options(command: F) -> F:
    """Add `--config` and `--set`."""
    overridden = click.option(
        "--set",
        "overrides",
        metavar="SECTION.NAME=VALUE",
        multiple=True,
        help="Set a setting for this call; may be given more than once. Not for secrets.",
    )(command)
    return click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The botkit.toml to read. Default: the one in this folder.",
    )(overridden)


def key_options(command: F) -> F:
    """Add what makes a vault key: `--make-key` and `--key-beside-store`."""
    made = click.option(
        "--make-key", is_flag=True, help="Make a vault key if none is there, without a terminal."
    )(command)
    return click.option(
        "--key-beside-store",
        is_flag=True,
        help="Make it beside the store: whoever has that folder then has the logins.",
    )(made)


def key_wish(*, make_key: bool, key_beside_store: bool) -> KeyWish:
    """What those two ask for; on a terminal somebody reads where the key is."""
    from botkit.bot.keys.key_making import KeyWish

    on_terminal = sys.stdin.isatty()
    return KeyWish(may_make=make_key or on_terminal, beside_store=key_beside_store)


def read_settings(config_file: Path | None, overrides: Iterable[str] = ()) -> Settings:
    """The settings that a command works with; from here on secrets are in memory.

    Raises:
        ConfigError: With every fault.
    """
    from botkit.telemetry.core_dumps import forbid_dumps

    settings = load_settings(config_file=config_file, overrides=list(overrides))
    if not settings.run.debuggable:
        forbid_dumps()
    return settings


@contextlib.asynccontextmanager
async def open_the_store(settings: Settings, *, create: bool = False) -> AsyncGenerator[Store]:
    """The settings' store; by default only one that is there already.

    Raises:
        StateError: It cannot be opened.
        ConfigError: There is none yet.
    """
    from botkit.storage import open_store
    from botkit.system import SystemClock

    url = settings.store_url
    if not create:
        await asyncio.to_thread(_must_exist, url)
    await asyncio.to_thread(_warn_of_key, settings)
    async with open_store(url, clock=SystemClock(), create=create) as store:
        yield store


@contextlib.asynccontextmanager
async def open_store_with_key(
    settings: Settings, wish: KeyWish, *, tell: Callable[[str], None]
) -> AsyncGenerator[Store]:
    """The settings' store with a vault key, made where they are not there: both or neither.

    Raises:
        StateError: It cannot be opened, or the key cannot be used.
        ConfigError: There is no key and none may be made, or not where it was asked for.
    """
    from botkit.bot.keys.key_making import check_wish, provide_key
    from botkit.storage.sqlite.database_file import check_place

    path = await asyncio.to_thread(_missing, settings.store_url)
    if path is not None:
        await asyncio.to_thread(check_place, path)
        await asyncio.to_thread(check_wish, settings, wish)
    async with open_the_store(settings, create=True) as store:
        await provide_key(settings, store, wish, tell=tell)
        yield store


async def app_for(settings: Settings, app: str | None, account: str) -> str:
    """The app that was asked for, else the one that the account remembers, else `default`."""
    from botkit.storage import open_store
    from botkit.system import SystemClock

    if app is not None:
        return app
    url = settings.store_url
    if not account or await asyncio.to_thread(_missing, url) is not None:
        return "default"
    async with open_store(url, clock=SystemClock(), check=False) as store:
        found = await store.accounts.get(account)
    return "default" if found is None else found.app


def _missing(url: str) -> Path | None:
    """The store's file if it is one and not there."""
    from botkit.storage.files import file_of

    path = file_of(url)
    return None if path is None or path.exists() else path


def _must_exist(url: str) -> None:
    path = _missing(url)
    if path is not None:
        raise ConfigError(
            f"There is no store at {path} yet.",
            hint="`botkit setup` makes it, or say where it is: --set store.url=sqlite:///PATH.",
        )


def _warn_of_key(settings: Settings) -> None:
    from botkit.storage.vault.key_places import warning_of_key

    warning = warning_of_key(settings)
    if warning:
        click.echo(f"botkit  careful: {escape(warning)}", err=True)


async def the_account(store: Store, wanted: str | None, settings: Settings) -> Account:
    """The account that the command is about: named, configured, or the only one.

    Raises:
        ConfigError: There is none, or it is not clear which.
    """
    name = wanted or settings.bot.account
    if name:
        found = await store.accounts.get(name)
        if found is not None:
            return found
    everyone = await store.accounts.listing()
    if not everyone:
        raise ConfigError("No account is authorized yet.", hint="Run `botkit setup`.")
    known = ", ".join(f"@{account.username}" for account in everyone)
    if name:
        raise ConfigError(f"There is no account {name!r} here.", hint=f"Known: {known}.")
    if len(everyone) > 1:
        raise ConfigError(f"Which account? There are {known}.", hint="Say --account NAME.")
    return everyone[0]


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine."""
    return asyncio.run(work)


def done(account: Account, outcome: str, *, as_json: bool, **facts: object) -> None:
    """What became of an account, on stdout for a program; a person has read it on stderr."""
    if as_json:
        who = {"id": account.id, "username": account.username, "app": account.app}
        echo_json({**who, "outcome": outcome, **facts})


def echo_json(value: object) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))
