"""Lists every log event: where it is logged is read from the code, its meaning from a table."""

from __future__ import annotations

import ast
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_ROOT = Path(__file__).parents[2]
_LEVELS = ("debug", "info", "warning", "error", "critical")
_HEAD = ("Event", "Level", "Fields", "Meaning")
_WIDTHS = (3, 2, 3, 6)


@dataclass
class LogEvent:
    """What the code says of one event, over all places that log it."""

    levels: set[str] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)


def meanings() -> dict[str, str]:
    """Return the meaning of each event."""
    path = _ROOT / "docs" / "reference" / "log_events.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def logged() -> dict[str, LogEvent]:
    """Return every event that a `_log` in `botkit/` logs, by its name."""
    found: dict[str, LogEvent] = {}
    for path in sorted((_ROOT / "botkit").rglob("*.py")):
        for call, level in _calls(ast.parse(path.read_text(encoding="utf-8"))):
            name = call.args[1 if level == "varies" else 0]
            if isinstance(name, ast.Name) and path.name == "abuse_log.py":
                continue  # it passes on the event of its callers
            key = name.value if isinstance(name, ast.Constant) else ast.unparse(name)
            event = found.setdefault(key, LogEvent())
            event.levels.add(level)
            event.fields |= set(_fields(call))
    return dict(sorted(found.items()))


def _calls(tree: ast.Module) -> Iterator[tuple[ast.Call, str]]:
    """Yield each call of a `_log` or of a `self._log`, with its level."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(
                    value=ast.Name(id="_log") | ast.Attribute(attr="_log"), attr=level
                )
            ) if level in _LEVELS:
                yield node, level
            case ast.Call(func=ast.Attribute(value=ast.Name(id="_log"), attr="log")):
                yield node, "varies"
            case _:
                pass


def _fields(call: ast.Call) -> Iterator[str]:
    """Yield the names of the call's fields; those of `**` are read from its dict displays."""
    for keyword in call.keywords:
        if keyword.arg is not None:
            yield keyword.arg
            continue
        for node in ast.walk(keyword.value):
            if isinstance(node, ast.Dict):
                yield from (key.value for key in node.keys if isinstance(key, ast.Constant))


class LogEvents(SphinxDirective):
    """`.. log-events::` puts the table there."""

    def run(self) -> list[nodes.Node]:
        """Build it."""
        self.env.note_reread()
        said = meanings()
        table = nodes.table()
        group = nodes.tgroup(cols=len(_HEAD))
        table += group
        group += [nodes.colspec(colwidth=width) for width in _WIDTHS]
        head, body = nodes.thead(), nodes.tbody()
        group += [head, body]
        head += nodes.row("", *(_entry(nodes.Text(title)) for title in _HEAD))
        for name, event in logged().items():
            body += nodes.row(
                "",
                _entry(nodes.literal(name, name)),
                _entry(nodes.Text(", ".join(sorted(event.levels)))),
                _entry(nodes.Text(", ".join(sorted(event.fields)))),
                nodes.entry("", *self.parse_text_to_nodes(said[name])),
            )
        return [table]


def _entry(text: nodes.Node) -> nodes.entry:
    return nodes.entry("", nodes.paragraph("", "", text))


def setup(app: Any) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("log-events", LogEvents)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
