"""`botkit setup`: authorize the bot's account, once."""

from __future__ import annotations

import asyncio
import getpass
import signal
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from botkit.cli.help import HelpCommand
from botkit.cli.options import (
    GivenSettings,
    account_option,
    app_option,
    key_options,
    key_wish,
    run_async,
    say_as,
    settings_options,
    switch_account_option,
)
from botkit.cli.store_access import app_for, open_store_with_key
from botkit.errors import AuthError

if TYPE_CHECKING:
    from collections.abc import Callable

    from botkit.bot.definition import Bot
    from botkit.bot.keys.key_making import KeyWish
    from botkit.config import Settings
    from botkit.model.users import User
    from botkit.wizard.setup import SetUp, SetupOptions

__all__ = ["command", "say_proofs"]

_say = say_as("setup")

_PERSON = 2
_CONTAINER_SIGNS = ("/.dockerenv", "/run/.containerenv")


@click.command(
    cls=HelpCommand, name="setup", help="Authorize the bot's account in a browser, once."
)
@click.argument("target", required=False, metavar="[MODULE:BOT]")
@click.option("--no-browser", is_flag=True, help="Only print the address, alone on stdout.")
@click.option(
    "--headless", is_flag=True, help="Do not listen: paste the address where the browser ends."
)
@click.option("--oauth1", is_flag=True, help="By OAuth 1.0a, with the app's API key.")
@click.option("--pin", is_flag=True, help="By OAuth 1.0a, with a PIN to type in.")
@click.option("--app-only", is_flag=True, help="Only the app's own bearer token, no account.")
@app_option
@switch_account_option
@click.option("--add", "adds", is_flag=True, help="Add an account to those that the store has.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, min_open=True),
    default=300.0,
    show_default=True,
    help="Seconds to wait.",
)
@key_options
@account_option
@settings_options
def command(
    *,
    target: str | None,
    no_browser: bool,
    headless: bool,
    oauth1: bool,
    pin: bool,
    app_only: bool,
    app: str | None,
    switch_account: bool,
    adds: bool,
    timeout_s: float,
    make_key: bool,
    key_beside_store: bool,
    account: str | None,
    given: GivenSettings,
) -> int:
    """Check the settings, authorize the account, prove its access, and say what comes next."""
    if app_only and (oauth1 or pin or headless):
        raise click.UsageError("--app-only needs no browser and no other way in beside it.")
    settings = given.read(log_level="warning")
    from botkit.cli.loading import load_bot
    from botkit.wizard.setup import SetupOptions

    named = target or settings.bot.target
    bot = load_bot(named) if named else None
    wish = key_wish(make_key=make_key, key_beside_store=key_beside_store)
    if app_only:
        return run_async(_run_app_only(settings, bot, app or "default", wish))
    asked = SetupOptions(
        account=account or settings.bot.account or "",
        confirmed=switch_account,
        adds=adds,
        may_add=_may_add if sys.stdin.isatty() else None,
        timeout_s=timeout_s,
        paste=_ask if headless else None,
        ask_bearer=_ask_hidden if sys.stdin.isatty() and not no_browser else None,
        way="pin" if pin else "oauth1" if oauth1 else "oauth2",
        ask_pin=_ask,
    )
    opens_browser = not (no_browser or headless)
    return run_async(_run(settings, bot, asked, wish, app=app, opens_browser=opens_browser))


async def _run(
    settings: Settings,
    bot: Bot | None,
    asked: SetupOptions,
    wish: KeyWish,
    *,
    app: str | None,
    opens_browser: bool,
) -> int:
    from botkit.wizard.setup import check_settings, set_up
    from botkit.wizard.steps import open_browser

    async def show(text: str) -> None:
        if not text.startswith(("http://", "https://")):
            _say(text)
            return
        if opens_browser:
            # Printed first: a browser in the terminal returns only when its user leaves it.
            _say("your browser shows X's page; authorize there. If it does not, open:")
            _say(text)
            if await open_browser(text):
                return
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    asked = replace(asked, app=await app_for(settings, app, asked.account))
    for warning in check_settings(settings, asked):
        _say(f"careful: {warning}")
    async with open_store_with_key(settings, wish, tell=_say) as store:
        done = await set_up(settings, store, bot, asked, show=show, tell=_say)
        if settings.store.key is None:
            await asyncio.to_thread(_warn_of_container)
    return say_proofs(done)


async def _run_app_only(settings: Settings, bot: Bot | None, app: str, wish: KeyWish) -> int:
    from botkit.wizard.app_only import check_app_only, set_up_app_only

    check_app_only(settings, app)
    async with open_store_with_key(settings, wish, tell=_say) as store:
        await set_up_app_only(settings, store, bot, app=app, tell=_say)
    _say("next: botkit setup for the account, if none is authorized yet, then botkit run")
    return 0


def say_proofs(done: SetUp) -> int:
    """Print each proof and the next step, and return the exit code."""
    for proof in done.proofs:
        _say(f"{proof.what} {proof.state}{': ' + proof.detail if proof.detail else ''}")
        if proof.cure:
            _say(f"  {proof.cure}")
    _say("next: botkit checklist (the automated-account label), then botkit run")
    return 0 if done.complete else _PERSON


def _warn_of_container() -> None:
    """Warn if this is a container: a key made inside is lost with it, and so is the login."""
    if any(Path(sign).exists() for sign in _CONTAINER_SIGNS):
        _say("careful: this is a container; keep the key outside of it and give it to the bot as")
        _say("         BOTKIT_STORE__KEY_FILE, or the login is lost with the container")


async def _may_add(user: User) -> bool:
    """Ask the person whether the bot shall also act for this account."""
    _say(f"@{user.username} (id {user.id}) consented, and is no account of this store yet")
    click.echo("Add it, so that the bot acts for it too? [y/N] ", err=True, nl=False)
    return _typed(sys.stdin.readline).strip().casefold() in {"y", "yes"}


async def _ask_hidden(prompt: str) -> str:
    """Return a secret from the terminal, which does not show it; "" at the end of the input."""
    _say("optional: the activity stream needs the same app's bearer token")
    with suppress(EOFError):
        return _typed(lambda: getpass.getpass(prompt))
    return ""


async def _ask(prompt: str) -> str:
    """Return a line from the terminal.

    Raises:
        AuthError: The input ended.
    """
    click.echo(prompt, err=True, nl=False)
    line = _typed(sys.stdin.readline)
    if not line:
        raise AuthError(
            "The input ended before the login did; nothing was stored.",
            hint="Start again where a person can type, or write the answer to standard input.",
        )
    return line


def _typed(read: Callable[[], str]) -> str:
    """Return what `read` reads from the terminal. It blocks the loop; Ctrl-C ends it at once.

    In a thread it could not be interrupted: the command would wait for the end of the line.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return read()
    finally:
        signal.signal(signal.SIGINT, before)
