"""Run `botkit run`, the long-running process of a bot."""

from __future__ import annotations

from datetime import timedelta

import click

from botkit.cli.help import HelpCommand
from botkit.cli.options import GivenSettings, run_async, settings_options
from botkit.cli.startup import started
from botkit.errors import ConfigError

__all__ = ["command"]


@click.command(
    cls=HelpCommand,
    name="run",
    help="Run a bot until it is told to stop (SIGTERM drains, then exits).",
)
@click.argument("target", required=False, metavar="[MODULE:BOT]")
@click.option("--dry-run", is_flag=True, help="Send nothing: record what would have been sent.")
@click.option("--force", is_flag=True, help="Start although the account may not do all it needs.")
@click.option("--ahead", type=float, default=0.0, hidden=True)  # set by `botkit dev` to move time
@click.option(
    "--from-now",
    is_flag=True,
    help="Skip what happened before now; it is recorded as dropped.",
)
@settings_options
def command(
    *,
    target: str | None,
    dry_run: bool,
    force: bool,
    ahead: float,
    from_now: bool,
    given: GivenSettings,
) -> int:
    """Run the bot that `target` or botkit.toml names; return the exit code."""
    settings = given.read()
    named = target or settings.bot.target
    if not named:
        raise ConfigError(
            "Which bot? None is named.",
            hint='Say botkit run MODULE:BOT, or set target = "MODULE:BOT" under [bot].',
        )
    from botkit.bot.compose import RunOptions
    from botkit.bot.serving import log_as, serve
    from botkit.cli.loading import load_bot

    redactor = log_as(settings)
    bot = load_bot(named)
    return run_async(
        serve(
            bot.plan,
            settings,
            RunOptions(
                dry_run=dry_run,
                force=force,
                from_now=from_now,
                ahead=timedelta(seconds=ahead),
                redactor=redactor,
            ),
            on_running=started,
        )
    )
