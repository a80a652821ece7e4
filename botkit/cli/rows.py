"""Print rows: aligned and cut to the window on a terminal, as plain lines elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from botkit.telemetry.escaping import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["print_rows"]


def print_rows(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print the rows, with control characters in their texts escaped."""
    cells = [[escape(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in cells:
            click.echo("  ".join(cell for cell in row if cell))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*headers, box=None, pad_edge=False, header_style="bold")
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
