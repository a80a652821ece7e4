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
    code = 0
    try:
        code = _run_command(list(sys.argv[1:] if argv is None else argv))
        _print("")
    except OSError as error:  # the interpreter's own last flush would print a trace
        from botkit.cli.entry import output_failed

        return output_failed(error, code)
    return code


def _run_command(arguments: Sequence[str]) -> int:
    if not arguments or (arguments[0] in _HELP and len(arguments) == 1):
        return _print(help_page())
    if arguments == ["--version"]:
        return _print(f"botkit {__version__}\n")
    if arguments[0] == _RUN:
        from botkit.cli.startup import starting

        with starting():
            return _invoke(arguments)
    return _invoke(arguments)


def _print(text: str) -> int:
    """Write to stdout now, if there is one: a supervisor may have closed it."""
    if sys.stdout is not None:
        sys.stdout.write(text)
        sys.stdout.flush()
    return 0


def _invoke(arguments: Sequence[str]) -> int:
    from botkit.cli.entry import invoke

    return invoke(arguments, COMMANDS)
