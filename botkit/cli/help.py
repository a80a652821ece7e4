"""Help whose first line says what a command is for."""

from __future__ import annotations

import click

__all__ = ["HelpCommand", "HelpGroup"]


class HelpCommand(click.Command):
    """A command that says first what it is for, then how it is called."""

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help."""
        _purpose_first(self, ctx, formatter)


class HelpGroup(click.Group):
    """A command with commands of its own, which say it first as well."""

    command_class: type[click.Command] | None = HelpCommand

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help."""
        _purpose_first(self, ctx, formatter)


def _purpose_first(
    command: click.Command, ctx: click.Context, formatter: click.HelpFormatter
) -> None:
    if command.help:
        formatter.write_text(command.help)
        formatter.write_paragraph()
    command.format_usage(ctx, formatter)
    command.format_options(ctx, formatter)
    command.format_epilog(ctx, formatter)
