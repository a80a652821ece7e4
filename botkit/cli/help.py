"""Help texts that begin with the purpose of the command, not with its usage."""

from __future__ import annotations

import click

__all__ = ["HelpCommand", "HelpGroup"]


class HelpCommand(click.Command):
    """A command whose help has its purpose first, then its usage."""

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help."""
        _purpose_first(self, ctx, formatter)


class HelpGroup(click.Group):
    """A group of commands whose help has its purpose first, as that of its commands has."""

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
