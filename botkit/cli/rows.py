"""Print rows: aligned and cut to the window on a terminal, as plain lines elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from botkit.cli.output import clean, echo

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

__all__ = ["print_rows"]

_GAP = 2
_LEAST_OF_LAST = 16
"""The least width of the last column; with less room, the key gets a line of its own."""


def print_rows(headers: Sequence[str], rows: Iterable[Sequence[str]], *, key: str) -> None:
    """Print the rows, each cell without secrets, its control characters escaped.

    On a terminal, cut the last column at the window's edge. Other commands take the column `key`
    as an argument, so never cut it: if it leaves no room, print it on a line of its own.
    """
    cells = [[clean(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in cells:
            echo("  ".join(cell for cell in row if cell))
        return
    if cells:
        from rich.console import Console

        _print_table(Console(), [list(headers), *cells], headers.index(key))


def _print_table(console: Console, rows: Sequence[list[str]], key: int) -> None:
    """Print the rows, the first one bold."""
    from rich.cells import cell_len, set_cell_size
    from rich.text import Text

    widths = [max(cell_len(row[at]) for row in rows) for at in range(len(rows[0]))]
    last = len(widths) - 1
    least = [*widths[:last], widths[last] if key == last else min(widths[last], _LEAST_OF_LAST)]
    is_apart = sum(least) + _GAP * last > console.width
    columns = [at for at in range(len(widths)) if at != key or not is_apart]
    for number, row in enumerate(rows):
        line = "".join(set_cell_size(row[at], widths[at] + _GAP) for at in columns[:-1])
        line += _cut(row[columns[-1]], console.width - cell_len(line))
        lines = [line.rstrip(), *([" " * _GAP + row[key]] if is_apart else [])]
        console.print(Text("\n".join(lines), "" if number else "bold"), soft_wrap=True)


def _cut(text: str, room: int) -> str:
    from rich.cells import cell_len, set_cell_size

    return text if cell_len(text) <= room else f"{set_cell_size(text, max(0, room - 1))}…"
