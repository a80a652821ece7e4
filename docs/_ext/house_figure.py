"""Draws the house from the import contract, so that the figure cannot lie."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from typing import Any

_CONTRACT = "Rooms import only downwards"
_ROW, _HEIGHT, _WIDTH, _GAP = 52, 36, 660, 10

_DASHED = ' stroke-dasharray="5 4" opacity="0.6"'


def layers() -> list[list[str]]:
    """The rooms, top to bottom; rooms of one layer do not know each other."""
    document = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    contracts = document["tool"]["importlinter"]["contracts"]
    contract = next(c for c in contracts if c["name"] == _CONTRACT)
    return [
        [room.strip().strip("()") for room in layer.split("|")] for layer in contract["layers"]
    ]


def _is_empty(room: str) -> bool:
    """Whether a room has its place and nothing in it yet."""
    return not (Path("botkit", room).exists() or Path("botkit", f"{room}.py").exists())


def draw(rooms: list[list[str]]) -> str:
    """The layers as an SVG figure, readable in light and dark."""
    height = len(rooms) * _ROW + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img"',
        ' aria-label="The rooms of botkit, top to bottom" style="max-width:100%;height:auto">',
    ]
    for row, names in enumerate(rooms):
        width = (_WIDTH - _GAP * (len(names) - 1)) / len(names)
        y = row * _ROW + 4
        for column, name in enumerate(names):
            x = column * (width + _GAP)
            parts.append(
                f'<rect x="{x:.0f}" y="{y}" width="{width:.0f}" height="{_HEIGHT}" rx="6"'
                f' fill="none" stroke="currentColor"{_DASHED if _is_empty(name) else ""}/>'
                f'<text x="{x + width / 2:.0f}" y="{y + 23}" text-anchor="middle"'
                f' fill="currentColor" font-family="monospace" font-size="15">{name}</text>'
            )
    parts.append("</svg>")
    return "".join(parts)


class HouseFigure(SphinxDirective):
    """`.. house-figure::` puts the figure there."""

    def run(self) -> list[nodes.Node]:
        """Draw it."""
        self.env.note_reread()
        return [nodes.raw("", draw(layers()), format="html")]


def setup(app: Any) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("house-figure", HouseFigure)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
