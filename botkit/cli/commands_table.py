"""The table of all commands: name, module, the first line of the help, and the heading."""

from __future__ import annotations

from typing import NamedTuple

from botkit import __version__

__all__ = ["COMMANDS", "CommandEntry", "help_page"]


class CommandEntry(NamedTuple):
    """A command: its module, its purpose, and the heading that lists it."""

    name: str
    module: str
    summary: str
    heading: str


_START = "Start"
_OPERATE = "Operate"
_LOOK = "Look and repair"

COMMANDS: tuple[CommandEntry, ...] = (
    CommandEntry(
        "demo",
        "botkit.cli.sandbox.demo",
        "Show a whole bot at work against the sandbox.",
        _START,
    ),
    CommandEntry("new", "botkit.cli.commands.new", "Write a new bot project.", _START),
    CommandEntry(
        "dev",
        "botkit.cli.sandbox.dev",
        "Run a bot against the sandbox; reload on change.",
        _START,
    ),
    CommandEntry("sandbox", "botkit.cli.sandbox.serve", "Serve the simulated X alone.", _START),
    CommandEntry(
        "setup", "botkit.cli.accounts.setup", "Authorize the bot's account, once.", _OPERATE
    ),
    CommandEntry(
        "checklist",
        "botkit.cli.commands.checks.checklist",
        "Walk through the automated-account label.",
        _OPERATE,
    ),
    CommandEntry(
        "doctor",
        "botkit.cli.commands.checks.doctor",
        "Say what would make the first write fail, and the cure.",
        _OPERATE,
    ),
    CommandEntry(
        "run", "botkit.cli.commands.run", "Run a bot until it is told to stop.", _OPERATE
    ),
    CommandEntry(
        "post",
        "botkit.cli.commands.post",
        "Post a text: by the running bot, or from here.",
        _OPERATE,
    ),
    CommandEntry(
        "status", "botkit.cli.commands.checks.status", "Say what is alive and what waits.", _LOOK
    ),
    CommandEntry(
        "accounts",
        "botkit.cli.accounts.show",
        "List, check, move and end the accounts and logins.",
        _LOOK,
    ),
    CommandEntry(
        "events",
        "botkit.cli.commands.events",
        "Events and dead letters: list, retry, drop.",
        _LOOK,
    ),
    CommandEntry(
        "writes",
        "botkit.cli.commands.writes",
        "The journal of writes: list, show, settle.",
        _LOOK,
    ),
    CommandEntry(
        "rules",
        "botkit.cli.commands.rules",
        "The filtered stream's rules at X: list, compare, sync.",
        _LOOK,
    ),
    CommandEntry(
        "webhooks",
        "botkit.cli.commands.webhooks",
        "The webhooks at X: list, add, check, replay, remove.",
        _LOOK,
    ),
    CommandEntry(
        "users",
        "botkit.cli.commands.users",
        "Who has opted out: list, opt out, opt in.",
        _LOOK,
    ),
)


def help_page() -> str:
    """Return the text of `botkit --help`."""
    lines = [
        "Usage: botkit [--version] [--help] COMMAND ...",
        "",
        "  botkit runs automated accounts on X.",
    ]
    heading = ""
    for entry in COMMANDS:
        if entry.heading != heading:
            heading = entry.heading
            lines += ["", f"{heading}:"]
        lines.append(f"  {entry.name:<10} {entry.summary}")
    lines += [
        "",
        "`botkit COMMAND --help` says more. First steps: botkit demo; botkit new mybot.",
        f"botkit {__version__}",
        "",
    ]
    return "\n".join(lines)
