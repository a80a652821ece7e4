"""Lists every command with the text of its own `--help`, asked for at build time."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import click
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from botkit.cli.commands_table import COMMANDS, help_page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_WIDTH = 88


def commands() -> Iterator[tuple[str, str]]:
    """Each command as it is called, and its help; groups before what stands in them."""
    for entry in COMMANDS:
        command = importlib.import_module(entry.module).command
        yield from _with_inner(command, f"botkit {entry.name}")


def _with_inner(command: click.Command, called: str) -> Iterator[tuple[str, str]]:
    context = click.Context(
        command, info_name=called, terminal_width=_WIDTH, max_content_width=_WIDTH
    )
    yield called, command.get_help(context)
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from _with_inner(inner, f"{called} {name}")


class CommandLine(SphinxDirective):
    """`.. command-line::` puts a section for each command there."""

    def run(self) -> list[nodes.Node]:
        """Build them."""
        self.env.note_reread()
        found: list[nodes.Node] = [_literal(help_page())]
        for called, text in commands():
            section = nodes.section(ids=[called.replace(" ", "-")], names=[called])
            section += nodes.title(called, called)
            section += _literal(text)
            found.append(section)
        return found


def _literal(text: str) -> nodes.literal_block:
    return nodes.literal_block(text, text, language="text")


def setup(app: Any) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("command-line", CommandLine)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
