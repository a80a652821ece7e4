"""Print rows: aligned and cut to the window on a terminal, as plain lines elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from botkit.cli.output import clean, echo

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["print_rows"]


def print_rows(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print the rows, each cell without secrets, its control characters escaped."""
    cells = [[clean(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in cells:
            echo("  ".join(cell for cell in row if cell))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*headers, box=None, pad_edge=False, header_style="bold")
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
