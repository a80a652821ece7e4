"""Draws the rooms and sub-rooms from the import contracts, and lists what each is for.

The layers come from `pyproject.toml`, the purposes from the first sentence of each room's
docstring: neither can differ from the code.
"""

from __future__ import annotations

import ast
import tomllib
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

_ROOT = Path(__file__).parents[2]
_HOUSE = "botkit"
_WIDTH, _GAP, _HEAD, _LINE = 760, 10, 34, 18

Layers = list[list[str]]
"""Names from top to bottom; those of one layer do not import each other."""


def contracts() -> dict[str, Layers]:
    """Return the layers inside `botkit` and inside each room that has sub-rooms, by room."""
    document = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found = document["tool"]["importlinter"]["contracts"]
    return {
        container: [_names(layer) for layer in contract["layers"]]
        for contract in found
        if contract["type"] == "layers"
        for container in contract["containers"]
    }


def purpose(room: str) -> str:
    """Return the first sentence of the docstring of a package or module, "" if there is none."""
    path = _ROOT.joinpath(*room.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not file.is_file():
        return ""
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return " ".join(docstring.partition("\n\n")[0].split())


def rooms(layers: Mapping[str, Layers], inside: str = _HOUSE) -> Iterator[str]:
    """Yield the full name of each room from top to bottom, its sub-rooms after it."""
    for layer in layers.get(inside, ()):
        for name in layer:
            room = f"{inside}.{name}"
            yield room
            yield from rooms(layers, room)


def draw(layers: Mapping[str, Layers]) -> str:
    """Return the figure as SVG, readable in light and dark."""
    parts: list[str] = []
    y = 4
    for names in layers[_HOUSE]:
        inner = [layers.get(f"{_HOUSE}.{name}", []) for name in names]
        height = _HEAD + _LINE * max(len(lines) for lines in inner)
        width = (_WIDTH - _GAP * (len(names) - 1)) / len(names)
        for column, (name, lines) in enumerate(zip(names, inner, strict=True)):
            x = column * (width + _GAP)
            parts.append(_box(name, lines, x=x, y=y, width=width, height=height))
        y += height + _GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" role="img"'
        ' aria-label="The rooms of botkit, top to bottom" style="max-width:100%;height:auto"'
        f' font-family="monospace" text-anchor="middle" fill="currentColor">{"".join(parts)}</svg>'
    )


def _names(layer: str) -> list[str]:
    return [name.strip().strip("()") for name in layer.split("|")]


def _box(name: str, lines: Layers, *, x: float, y: float, width: float, height: float) -> str:
    """Return one room: its name, and a line for each layer of its sub-rooms."""
    middle = x + width / 2
    inside = "".join(
        f'<text x="{middle:.0f}" y="{y + _HEAD + 6 + _LINE * row}" font-size="11"'
        f' opacity="0.8">{" | ".join(line)}</text>'
        for row, line in enumerate(lines)
    )
    return (
        f"<g><title>{escape(purpose(f'{_HOUSE}.{name}'))}</title>"
        f'<rect x="{x:.0f}" y="{y}" width="{width:.0f}" height="{height}" rx="6" fill="none"'
        f' stroke="currentColor"/><text x="{middle:.0f}" y="{y + 22}" font-size="15">{name}</text>'
        f"{inside}</g>"
    )


class ArchitectureFigure(SphinxDirective):
    """`.. architecture-figure::` puts the figure there."""

    def run(self) -> list[nodes.Node]:
        """Draw it."""
        self.env.note_reread()
        return [nodes.raw("", draw(contracts()), format="html")]


class RoomList(SphinxDirective):
    """`.. room-list::` puts a table of all rooms and their purposes there."""

    def run(self) -> list[nodes.Node]:
        """Build it."""
        self.env.note_reread()
        table = nodes.table()
        group = nodes.tgroup(cols=2)
        table += group
        group += [nodes.colspec(colwidth=2), nodes.colspec(colwidth=5)]
        body = nodes.tbody()
        group += body
        for room in rooms(contracts()):
            text = purpose(room)
            if text:
                name = room.removeprefix(f"{_HOUSE}.")
                cell = nodes.entry("", nodes.paragraph("", "", nodes.literal(name, name)))
                body += nodes.row("", cell, nodes.entry("", *self.parse_text_to_nodes(text)))
        return [table]


def setup(app: Any) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("architecture-figure", ArchitectureFigure)
    app.add_directive("room-list", RoomList)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
