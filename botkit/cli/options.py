"""The options that many commands share, and the ways in which all of them read and print."""

from __future__ import annotations

import asyncio
import functools
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import click

from botkit.cli.output import echo, echo_json, hide
from botkit.config import Settings, load_settings, secrets_of
from botkit.config.file_faults import unreadable
from botkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from botkit.bot.keys.key_making import KeyWish
    from botkit.model.users import Account

__all__ = [
    "MAX_INPUT_BYTES",
    "Decorator",
    "GivenSettings",
    "TimeWithZone",
    "account_option",
    "app_option",
    "echo_outcome",
    "json_option",
    "key_options",
    "key_wish",
    "limit_option",
    "read_small_file",
    "run_async",
    "say_as",
    "settings_options",
    "switch_account_option",
]

T = TypeVar("T")
F = TypeVar("F", bound="Callable[..., Any]")


class Decorator(Protocol):
    """Adds an option to a command."""

    def __call__(self, command: F, /) -> F:
        """Return the command with the option."""
        ...


MAX_INPUT_BYTES = 64 * 1024
"""The most that a command reads of a login that is given to it."""


class TimeWithZone(click.ParamType[datetime]):
    """A time with a zone, in RFC 3339."""

    name = "TIME"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return the time; fail without a zone."""
        try:
            at = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail("write it as 2026-12-24T18:00:00+01:00", param, ctx)
        if at.tzinfo is None:
            self.fail("it needs a zone: add Z, or +01:00", param, ctx)
        return at


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
app_option: Decorator = click.option(
    "--app", help="The app of the settings. Default: the account's, else `default`."
)
switch_account_option: Decorator = click.option(
    "--switch-account", is_flag=True, help="Take another account than the stored one."
)


class GivenSettings(NamedTuple):
    """The values of `--config` and `--set`."""

    config_file: Path | None
    overrides: tuple[str, ...]

    def read(self, *, log_level: str | None = None) -> Settings:
        """Read all settings, and set logging up if `log_level` is given.

        From here on secrets are in memory, so core dumps are forbidden.

        Args:
            log_level: The least level that is logged: `warning` for most commands that use a
                login. A `debug` in the settings stays.

        Raises:
            ConfigError: A setting is wrong; `problems` lists every fault.
        """
        from botkit.telemetry.core_dumps import forbid_dumps

        settings = load_settings(config_file=self.config_file, overrides=self.overrides)
        hide(secrets_of(settings))
        if not settings.run.debuggable:
            forbid_dumps()
        if log_level is not None:
            from botkit.bot.serving import log_as

            log_as(settings, level=log_level)
        return settings


def settings_options(command: Callable[..., T]) -> Callable[..., T]:
    """Add `--config` and `--set`; the command gets both as `given`, a `GivenSettings`."""

    @functools.wraps(command)
    def call(*, config_file: Path | None, overrides: tuple[str, ...], **others: Any) -> T:
        return command(given=GivenSettings(config_file, overrides), **others)

    overridden = click.option(
        "--set",
        "overrides",
        metavar="SECTION.NAME=VALUE",
        multiple=True,
        help="Set a setting for this call; may be given more than once. Not for secrets.",
    )(call)
    return click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The botkit.toml to read. Default: the one in this folder.",
    )(overridden)


def key_options(command: F) -> F:
    """Add the options that decide whether a vault key is made, and where."""
    made = click.option(
        "--make-key", is_flag=True, help="Make a vault key if none is there, without a terminal."
    )(command)
    return click.option(
        "--key-beside-store",
        is_flag=True,
        help="Make it beside the store: whoever has that folder then has the logins.",
    )(made)


def key_wish(*, make_key: bool, key_beside_store: bool) -> KeyWish:
    """Return the wish of `key_options`; on a terminal, where a person reads, a key may be made."""
    from botkit.bot.keys.key_making import KeyWish

    on_terminal = sys.stdin.isatty()
    return KeyWish(may_make=make_key or on_terminal, beside_store=key_beside_store)


def read_small_file(file: Path) -> bytes:
    """Return the content of a file that holds a login.

    Raises:
        ConfigError: The file cannot be read, or is too large to hold a login.
    """
    try:
        if file.stat().st_size > MAX_INPUT_BYTES:
            raise ConfigError(f"{file} is larger than 64 KiB: it holds something else.")
        return file.read_bytes()
    except OSError as fault:
        raise ConfigError(f"{file} {unreadable(fault)}.") from fault


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine."""
    return asyncio.run(work)


def say_as(name: str) -> Callable[[str], None]:
    """Return a function that prints a line for a person on stderr, with `name` before it."""

    def say(text: str) -> None:
        echo(f"{name:<7} {text}", err=True)

    return say


def echo_outcome(account: Account, outcome: str, *, as_json: bool, **facts: object) -> None:
    """Print the outcome for an account as JSON if `as_json`; persons read it on stderr."""
    if as_json:
        who = {"id": account.id, "username": account.username, "app": account.app}
        echo_json({**who, "outcome": outcome, **facts})
