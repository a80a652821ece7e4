"""Lists every setting from the settings themselves: a section for each, with its own words."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from docutils import nodes
from pydantic_core import PydanticUndefined
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective

from botkit import config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

_HEAD = ("Setting", "Environment", "Default")
_WIDTHS = (2, 4, 4)

Row = tuple[str, str, str, str]
"""One setting: its name, its variable, its default, and what is said about it."""


def sections() -> Iterator[tuple[str, str, list[Row]]]:
    """Each section's name, what it is for, and its rows."""
    said = ModuleAnalyzer.for_module(config.__name__).find_attr_docs()
    for section, names in _by_section().items():
        model = _model(section)
        rows = []
        for name in names:
            info = model.model_fields[name]
            about = " ".join(said.get((model.__name__, name), [])).strip()
            rows.append(
                (
                    name,
                    _variable(section, name),
                    _default(info),
                    " ".join(filter(None, [_choice(info), about])),
                )
            )
        yield section, inspect.getdoc(model) or "", rows


def _by_section() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for full_name in config.sections.setting_names():
        section, _, name = full_name.rpartition(".")
        if section != "apps.NAME":  # the same as [app]
            found.setdefault(section, []).append(name)
    return found


def _model(section: str) -> type[BaseModel]:
    return config.sections.SECTIONS[section.removesuffix(".NAME")]


def _variable(section: str, name: str) -> str:
    return f"BOTKIT_{section}__{name}".upper().replace(".", "__")


def _default(info: FieldInfo) -> str:
    value = info.get_default(call_default_factory=True)
    if value is None or value is PydanticUndefined or value == {}:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _choice(info: FieldInfo) -> str:
    if get_origin(info.annotation) is Literal:
        return f"One of {', '.join(get_args(info.annotation))}."
    return ""


class SettingsTable(SphinxDirective):
    """`.. settings-table::` puts a section for each section of the settings there."""

    def run(self) -> list[nodes.Node]:
        """Build them."""
        self.env.note_reread()
        found: list[nodes.Node] = []
        for name, about, rows in sections():
            section = nodes.section(
                ids=[f"settings-{name.removesuffix('.NAME')}"], names=[f"settings {name}"]
            )
            section += nodes.title(f"[{name}]", f"[{name}]")
            section += self.parse_text_to_nodes(about)
            section += self._table(rows)
            found.append(section)
        return found

    def _table(self, rows: list[Row]) -> nodes.table:
        table = nodes.table()
        group = nodes.tgroup(cols=len(_HEAD))
        table += group
        group += [nodes.colspec(colwidth=width) for width in _WIDTHS]
        head, body = nodes.thead(), nodes.tbody()
        group += head
        group += body
        head += nodes.row("", *(_entry(nodes.Text(title)) for title in _HEAD))
        for name, variable, default, about in rows:
            cells = [_literal(text) for text in (name, variable, default)]
            if about:
                cells[-1] += self.parse_text_to_nodes(about)
            body += nodes.row("", *cells)
        return table


def _literal(text: str) -> nodes.entry:
    return _entry(nodes.literal(text, text)) if text else nodes.entry()


def _entry(text: nodes.Node) -> nodes.entry:
    return nodes.entry("", nodes.paragraph("", "", text))


def setup(app: Any) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("settings-table", SettingsTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
