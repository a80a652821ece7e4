"""Renders log lines for people: time, topic, event, then each field as `name value`."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import MutableMapping

__all__ = ["TextLines"]

_NAME = re.compile(r"(?P<topic>[a-z][a-z0-9_]*)\.(?P<happened>[a-z][a-z0-9_]*)")
_TOPIC_WIDTH = 8
_SECONDS = len("2026-11-30T12:00:00")
_OWN = "botkit."
_LAST = "next_step"
_LABELS = {"warning": "warning: ", "error": "error: ", "critical": "error: "}
_COLORS = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31m"}
_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"
_BETWEEN = " · "


class TextLines:
    """Serve as the last structlog processor; expects values that `Redactor` has made plain.

    An event `login.state_changed` becomes `login    state changed · status OK`; a line of another
    library has the name of its logger as the topic.
    """

    def __init__(self, *, in_color: bool) -> None:
        self._in_color = in_color

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
        """Return the line, and the lines of the trace if there is one."""
        fields = dict(event)
        time = f"{fields.pop('timestamp', '')[:_SECONDS]}Z"
        level, logger = str(fields.pop("level", "")), str(fields.pop("logger", ""))
        said = str(fields.pop("event", ""))
        traces = [fields.pop(name, None) for name in ("exception", "stack")]
        step = fields.pop(_LAST, None)
        parts = [_headline(said, logger, level)]
        parts += [f"{_words(name)} {_value(held)}" for name, held in fields.items()]
        if step:
            parts.append(f"next: {_value(step)}")
        line = _BETWEEN.join(parts)
        if self._in_color:
            time = f"{_DIM}{time}{_PLAIN}"
            line = f"{_COLORS[level]}{line}{_PLAIN}" if level in _COLORS else line
        return "\n".join([f"{time} {line}", *(str(trace) for trace in traces if trace)])


def _headline(said: str, logger: str, level: str) -> str:
    name = _NAME.fullmatch(said) if logger.startswith(_OWN) else None
    topic, text = (_words(name["topic"]), _words(name["happened"])) if name else (logger, said)
    label = _LABELS.get(level, "")
    return f"{label}{topic} {text}" if label else f"{topic:<{_TOPIC_WIDTH}} {text}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _value(value: object) -> str:
    """Return the value as a person writes it; a text that could be taken for fields is quoted."""
    match value:
        case str():
            return json.dumps(value, ensure_ascii=False) if not value or "·" in value else value
        case bool():
            return "yes" if value else "no"
        case None:
            return "none"
        case list():
            return ", ".join(_value(item) for item in value) or "none"
        case dict():
            return ", ".join(f"{name}: {_value(held)}" for name, held in value.items()) or "none"
        case _:
            return str(value)
