"""Outcomes as lines of text: one for each row, and one more for each further peer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.rows import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.bench.rows import Bar
    from tests.bench.running import Compared, Outcome

__all__ = ["COLUMNS", "table"]

COLUMNS = (
    "row",
    "path",
    "ours",
    "of limit",
    "bar",
    "of peer",
    "bar",
    "stretch",
    "wall",
    "verdict",
)
_UNITS = {
    Figure.PER_CPU_S: "/CPU s",
    Figure.PER_S: "/s",
    Figure.CPU_US: " us",
    Figure.MS: " ms",
    Figure.KB: " kB",
    Figure.TIMES: "x",
}
_LARGE = 100


def table(outcomes: Sequence[Outcome]) -> str:
    """The whole table, and under it which peers are not installed."""
    lines = [COLUMNS, *(line for outcome in outcomes for line in _lines(outcome))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    shown = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    packages = dict.fromkeys(
        variant.package or variant.needs for outcome in outcomes for variant in outcome.absent
    )
    notes = [f"peer not installed: pip install {package}" for package in packages]
    return "\n".join([*shown, *notes])


def _lines(outcome: Outcome) -> Iterator[tuple[str, ...]]:
    row, limit = outcome.row, outcome.limit
    peers: list[Compared | None] = [*outcome.peers] or [None]
    for number, peer in enumerate(peers):
        first = number == 0
        bars = [peer.against.bar if peer else None]
        bars = [limit.against.bar if limit else row.ceiling, *bars] if first else bars
        yield (
            row.id if first else "",
            row.path if first else "",
            _figure(outcome.ours, row.figure) if first else "",
            _cell(limit, row.figure) if first else "",
            _bar(limit.against.bar if limit else row.ceiling) if first else "",
            _cell(peer, row.figure),
            _bar(peer.against.bar if peer else None),
            " / ".join(_stretch(bar) for bar in bars),
            " / ".join(_wall(one) for one in ([limit] if first else []) + [peer]),
            outcome.verdict if first else "",
        )


def _figure(value: float, figure: Figure) -> str:
    number = f"{value:,.0f}" if value >= _LARGE else f"{value:.3g}"
    return number.replace(",", " ") + _UNITS[figure]


def _cell(compared: Compared | None, figure: Figure) -> str:
    if compared is None:
        return "-"
    name = compared.against.variant.name
    return f"{compared.ratio:.3g}x {name} ({_figure(compared.figure, figure)})"


def _bar(bar: Bar | None) -> str:
    return "-" if bar is None else str(bar)


def _stretch(bar: Bar | None) -> str:
    return "-" if bar is None or bar.stretch is None else f"{bar.stretch:g}x"


def _wall(compared: Compared | None) -> str:
    return "-" if compared is None else f"{compared.wall:.2g}x"
