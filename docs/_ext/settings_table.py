"""Lists every setting from the settings themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docutils import nodes
from docutils.parsers.rst import Directive
from pydantic_core import PydanticUndefined

from botkit import config

if TYPE_CHECKING:
    from typing import Any

_HEAD = ("Setting", "Environment", "Default")


def rows() -> list[tuple[str, str, str]]:
    """Name, variable and default of each setting."""
    found = []
    for name in config.setting_names():
        section, _, field = name.rpartition(".")
        model = config.AppSettings if section == "apps.NAME" else _model(section)
        info = model.model_fields[field]
        default = info.get_default(call_default_factory=True)
        shown = "" if default in (None, PydanticUndefined, {}) else str(default)
        found.append((name, "BOTKIT_" + name.upper().replace(".", "__"), shown))
    return found


def _model(section: str) -> Any:
    return type(config.Settings.model_fields[section].get_default() or config.AppSettings())


class SettingsTable(Directive):
    """`.. settings-table::` puts the table there."""

    def run(self) -> list[nodes.Node]:
        """Build it."""
        table = nodes.table()
        group = nodes.tgroup(cols=len(_HEAD))
        table += group
        group += [nodes.colspec(colwidth=1) for _ in _HEAD]
        head, body = nodes.thead(), nodes.tbody()
        group += head
        group += body
        head += _row(_HEAD, literal=False)
        body += [_row(row, literal=True) for row in rows()]
        return [table]


def _row(cells: tuple[str, ...], *, literal: bool) -> nodes.row:
    row = nodes.row()
    for cell in cells:
        text = nodes.literal(cell, cell) if literal and cell else nodes.Text(cell)
        row += nodes.entry("", nodes.paragraph("", "", text))
    return row


def setup(app: Any) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("settings-table", SettingsTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
