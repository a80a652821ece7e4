"""The command line: one module for each command, which parses, calls and prints.

`main` answers `--version` and `--help` itself, without importing click or any other large module.
Every other word makes it import click and the one command of that name.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from botkit import __version__
from botkit.cli.commands_table import COMMANDS, help_page

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_HELP = frozenset({"--help", "-h", "help"})
_RUN = "run"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command, and return its exit code (see `EXIT_CODES` in `entry`)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or (arguments[0] in _HELP and len(arguments) == 1):
        sys.stdout.write(help_page())
        return 0
    if arguments == ["--version"]:
        sys.stdout.write(f"botkit {__version__}\n")
        return 0
    if arguments[0] == _RUN:
        from botkit.cli.startup import starting

        with starting():
            return _invoke(arguments)
    return _invoke(arguments)


def _invoke(arguments: Sequence[str]) -> int:
    from botkit.cli.entry import invoke

    return invoke(arguments, COMMANDS)
