"""Load the command that was named, run it, and turn an error into one line and an exit code."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import click

from botkit import errors
from botkit.cli.output import redacting, report_line, report_trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from botkit.cli.commands_table import CommandEntry

__all__ = ["EXIT_CODES", "exit_code_of", "invoke", "output_failed", "report"]

EXIT_CODES = {
    "done": 0,
    "not done": 1,
    "a person must change something": 2,
    "refused": 3,
    "X not reachable": 4,
    "store or key": 5,
    "interrupted": 130,
    "terminated": 143,
}
_NOT_DONE = EXIT_CODES["not done"]


def invoke(arguments: Sequence[str], commands: Sequence[CommandEntry]) -> int:
    """Run `botkit` with these arguments, and return the exit code."""
    group = _Group(commands)
    _tolerate_other_encodings()
    with redacting():
        try:
            result = group.main(list(arguments), prog_name="botkit", standalone_mode=False)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - every error of a command ends here
            return _ended_by(_alone(error))
    return result if isinstance(result, int) else 0


def _tolerate_other_encodings() -> None:
    """Print escapes for characters that a terminal cannot show; read invalid bytes as U+FFFD."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace" if stream is sys.stdin else "backslashreplace")


def _alone(error: BaseException) -> BaseException:
    """Return the only error inside a group of errors, else the group itself."""
    from botkit.runtime.dispatch.exception_groups import leaves_of

    leaves = leaves_of(error)
    return leaves[0] if len(leaves) == 1 else error


def _ended_by(error: BaseException) -> int:
    """Print the error that ended the command, and return the exit code."""
    match error:
        case click.ClickException():
            error.show()
            return error.exit_code
        case click.Abort() | KeyboardInterrupt():
            return _ended_early(error)
        case BrokenPipeError():
            _forget_output()
            return _NOT_DONE
        case errors.BotkitError():
            report(error)
            return exit_code_of(error)
        case OSError() if (explained := _explained(error)) is not None:
            report(explained)
            return exit_code_of(explained)
        case _:  # its trace is printed without secrets
            _report_fault()
            return _NOT_DONE


def output_failed(error: OSError, code: int) -> int:
    """Print why the rest of the output could not be written; return the exit code.

    It is `code`, which the command returned, unless that says that all went well.
    """
    _forget_output()
    return code or _ended_by(error)


def _forget_output() -> None:
    """Send the rest of the output to nowhere, or the interpreter's last flush would fail again."""
    with contextlib.suppress(OSError, ValueError), Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _ended_early(end: BaseException) -> int:
    """Print why a command was aborted, and return the exit code.

    click raises the same exception when the input ends, when a person says no, and for Ctrl-C.
    """
    if isinstance(end.__context__, EOFError):
        sys.stderr.write("botkit: The input ended before the question was answered.\n")
        return EXIT_CODES["a person must change something"]
    if isinstance(end, KeyboardInterrupt) or isinstance(end.__context__, KeyboardInterrupt):
        sys.stderr.write("\nInterrupted.\n")
        return EXIT_CODES["interrupted"]
    sys.stderr.write("Nothing was done.\n")
    return _NOT_DONE


def report(error: errors.BotkitError) -> None:
    """Print the error and its cure on stderr, without a trace."""
    if isinstance(error, errors.ConfigError) and len(error.problems) > 1:
        for problem in error.problems:
            report_line(f"botkit: {problem}")
        if error.hint:
            report_line(f"  {error.hint}")
        return
    told = [error, *(error.others if isinstance(error, errors.AccessDenied) else ())]
    for each in told:
        report_line(f"botkit: {each}")


def _explained(fault: OSError) -> errors.ConfigError | None:
    """Return the error for a fault of files that a person must correct, else None."""
    from botkit.config.file_faults import as_config_error

    return as_config_error(fault)


def _report_fault() -> None:
    report_trace(traceback.format_exc())
    sys.stderr.write("botkit: a fault of botkit or of the bot's module, see above.\n")


def exit_code_of(error: errors.BotkitError) -> int:
    """Return the exit code for an error that ended a command."""
    if isinstance(error, errors.Forbidden):
        from botkit.protocol.refusals.table import Verdict, diagnose_error

        if diagnose_error(error).verdict is Verdict.WRONG:  # waiting does not cure it
            return EXIT_CODES["a person must change something"]
    return error.exit_code


class _Group(click.Group):
    """Commands by name; a module is imported only when its command is named."""

    def __init__(self, commands: Sequence[CommandEntry]) -> None:
        super().__init__("botkit", help="botkit runs automated accounts on X.")
        self._entries = {entry.name: entry for entry in commands}

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(self._entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        entry = self._entries.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = importlib.import_module(entry.module).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self._entries and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], self._entries, n=1)
            cure = f"Did you mean `botkit {near[0]}`?" if near else "`botkit --help` lists them."
            raise click.UsageError(f"There is no command {args[0]!r}. {cure}")
        return super().resolve_command(ctx, args)
