"""`botkit setup`: authorize the bot's account, once."""

from __future__ import annotations

import asyncio
import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from botkit.cli.help import Command
from botkit.cli.options import (
    account_option,
    open_the_store,
    read_settings,
    run_async,
    settings_options,
)
from botkit.telemetry.escaping import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from botkit.bot import Bot
    from botkit.config import Settings
    from botkit.wizard.setup import Asked

__all__ = ["command"]

_PERSON = 2
_CONTAINER_SIGNS = ("/.dockerenv", "/run/.containerenv")


@click.command(cls=Command, name="setup", help="Authorize the bot's account in a browser, once.")
@click.argument("target", required=False, metavar="[MODULE:BOT]")
@click.option("--no-browser", is_flag=True, help="Only print the address, alone on stdout.")
@click.option(
    "--headless", is_flag=True, help="Do not listen: paste the address where the browser ends."
)
@click.option("--app", default="default", show_default=True, help="The app of the settings.")
@click.option("--switch-account", is_flag=True, help="Take another account than the stored one.")
@click.option("--timeout", "timeout_s", default=300.0, show_default=True, help="Seconds to wait.")
@account_option
@settings_options
def command(
    *,
    target: str | None,
    no_browser: bool,
    headless: bool,
    app: str,
    switch_account: bool,
    timeout_s: float,
    account: str | None,
    config_file: Path | None,
    overrides: Sequence[str],
) -> int:
    """Check the settings, authorize, prove it, and say what comes next."""
    settings = read_settings(config_file, overrides)
    from botkit.bot.serving import log_as
    from botkit.cli.loading import load_bot
    from botkit.wizard.setup import Asked

    log_as(settings, level="warning")
    named = target or settings.bot.target
    bot = load_bot(named) if named else None
    asked = Asked(
        app=app,
        account=account or settings.bot.account or "",
        confirmed=switch_account,
        timeout_s=timeout_s,
        paste=_ask if headless else None,
        ask_bearer=_ask_hidden if sys.stdin.isatty() and not no_browser else None,
    )
    return run_async(_run(settings, bot, asked, opens_browser=not (no_browser or headless)))


async def _run(settings: Settings, bot: Bot | None, asked: Asked, *, opens_browser: bool) -> int:
    from botkit.wizard.setup import check_settings, set_up
    from botkit.wizard.steps import open_browser

    async def show(text: str) -> None:
        if not text.startswith(("http://", "https://")):
            _say(text)
            return
        if opens_browser:
            # Said first: a browser in the terminal returns only when it is left.
            _say("your browser shows X's page; authorize there. If it does not, open:")
            _say(text)
            if await open_browser(text):
                return
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    for warning in check_settings(settings, asked):
        _say(f"careful: {warning}")
    async with open_the_store(settings, create=True) as store:
        had_key = settings.store.key is not None
        done = await set_up(settings, store, bot, asked, show=show, tell=_say)
        if not had_key:
            await asyncio.to_thread(_warn_of_container)
    for proof in done.proofs:
        _say(f"{proof.what} {proof.state}{': ' + proof.detail if proof.detail else ''}")
        if proof.cure:
            _say(f"  {proof.cure}")
    _say("next: botkit checklist (the automated-account label), then botkit run")
    return 0 if done.complete else _PERSON


def _say(text: str) -> None:
    click.echo(f"setup   {escape(text)}", err=True)


def _warn_of_container() -> None:
    """A key that is made inside a container is gone with it, and the login with the key."""
    if any(Path(sign).exists() for sign in _CONTAINER_SIGNS):
        _say("careful: this is a container; keep the key outside of it and give it to the bot as")
        _say("         BOTKIT_STORE__KEY_FILE, or the login is lost with the container")


async def _ask_hidden(prompt: str) -> str:
    """A secret from the terminal, not shown as it is typed."""
    _say("optional: the activity stream needs the same app's bearer token")
    return await asyncio.to_thread(getpass.getpass, prompt)


async def _ask(prompt: str) -> str:
    """A line from the terminal."""
    click.echo(prompt, err=True, nl=False)
    line: str = await asyncio.to_thread(sys.stdin.readline)
    if not line:
        raise click.Abort
    return line
