"""Render log lines for people: time, topic, event, then each field in words."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

__all__ = ["TextLines"]

_NAME = re.compile(r"(?P<topic>[a-z][a-z0-9_]*)\.(?P<happened>[a-z][a-z0-9_]*)")
_SENTENCES = {
    "part.state_changed": "{part} {state}",
    "write.confirmed": "confirmed · {operation} → {result}",
}
"""The wording of frequent events, the same as in `botkit demo`."""
_BARE = frozenset({"detail", "why", "reason"})
"""Fields whose value is a sentence of its own."""
_KEYS = frozenset({"key", "write"})
"""Fields with long keys, which a person copies into other commands: they come last."""
_UNITS = {"_s": "s", "_ms": "ms", "_usd": "USD"}
_TOPIC_WIDTH = 8
_SECONDS = len("2026-11-30T12:00:00")
_OWN = "botkit."
_LABELS = {"warning": "warning: ", "error": "error: ", "critical": "error: "}
_COLORS = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31m"}
_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"
_BETWEEN = " · "


class TextLines:
    """Serve as the last structlog processor; expects values that `Redactor` has made plain.

    An event `login.state_changed` becomes `login    state changed · status OK`; a line of another
    library has the name of its logger as the topic. Empty fields are left out.
    """

    def __init__(self, *, in_color: bool) -> None:
        self._in_color = in_color

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
        """Return the line, and the lines of the trace if there is one."""
        fields = dict(event)
        time = f"{fields.pop('timestamp', '')[:_SECONDS]}Z"
        level, logger = str(fields.pop("level", "")), str(fields.pop("logger", ""))
        traces = [fields.pop(name, None) for name in ("exception", "stack")]
        step = fields.pop("next_step", None)
        parts = [_headline(fields, logger, level), *_in_words(fields)]
        if step:
            parts.append(f"next: {_value(step)}")
        line = _BETWEEN.join(parts)
        if self._in_color:
            time = f"{_DIM}{time}{_PLAIN}"
            line = f"{_COLORS[level]}{line}{_PLAIN}" if level in _COLORS else line
        # Indented, because a text in a trace may look like a line of the log.
        behind = [f"  {each}" for trace in traces if trace for each in str(trace).splitlines()]
        return "\n".join([f"{time} {line}", *behind])


def _headline(fields: dict[str, Any], logger: str, level: str) -> str:
    """Return topic and event; remove from `fields` those that become part of the event."""
    said = str(fields.pop("event", ""))
    topic, text = logger, said
    if logger.startswith(_OWN) and (name := _NAME.fullmatch(said)):
        topic, text = _words(name["topic"]), _words(name["happened"])
        sentence = _SENTENCES.get(said, "")
        used = re.findall(r"{(\w+)}", sentence)
        if used and fields.keys() >= set(used):
            text = sentence.format_map({key: _value(fields.pop(key)) for key in used})
    label = _LABELS.get(level, "")
    return f"{label}{topic} {text}" if label else f"{topic:<{_TOPIC_WIDTH}} {text}"


def _in_words(fields: dict[str, Any]) -> Iterator[str]:
    for name, held in sorted(fields.items(), key=lambda field: field[0] in _KEYS):
        if held is None or held in ("", [], {}):
            continue
        text = _value(held)
        unit = next((unit for end, unit in _UNITS.items() if name.endswith(end)), "")
        if name in _BARE:
            yield text
        elif name == "account" and not text.isdigit():
            yield f"@{text}"
        elif unit:
            yield f"{_words(name.rpartition('_')[0])} {text} {unit}"
        else:
            yield f"{_words(name)} {text}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _value(value: object) -> str:
    """Return the value in words; quote a text that could be mistaken for fields."""
    match value:
        case str():
            return json.dumps(value, ensure_ascii=False) if _BETWEEN in value else value
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
        case list():
            return ", ".join(map(_value, cast("list[object]", value)))
        case dict():
            fields = cast("dict[object, object]", value).items()
            return ", ".join(f"{name}: {_value(held)}" for name, held in fields)
        case _:
            return str(value)
