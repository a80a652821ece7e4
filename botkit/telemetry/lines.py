"""Records as lines: JSON for programs, text for people; secrets never, escapes never."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botkit.telemetry.escaping import escape
from botkit.telemetry.logger import VALUES

if TYPE_CHECKING:
    from collections.abc import Callable

    from botkit.telemetry.redaction import Redactor

__all__ = ["Lines", "as_json", "as_text", "in_colour"]

_OF_A_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"asctime", "message", "taskName"}
"""What every record has; all else was given with `extra`."""

_EVENT_WIDTH = 30
_LEVEL_WIDTH = 8

_RESET, _BOLD, _DIM = "\x1b[0m", "\x1b[1m", "\x1b[2m"
_CYAN, _BLUE, _MAGENTA = "\x1b[36m", "\x1b[34m", "\x1b[35m"
_OF_LEVEL = {
    "debug": "\x1b[32m",
    "info": "\x1b[32m",
    "warning": "\x1b[33m",
    "error": "\x1b[31m",
    "critical": "\x1b[31m",
}

Line = dict[str, Any]


class Lines(logging.Formatter):
    """Makes of a record, ours or anybody's, what is shown: a line, and a trace where there is one.

    Args:
        redactor: What hides secrets.
        render: `as_json`, `as_text` or `in_colour`.
    """

    def __init__(self, redactor: Redactor, render: Callable[[Line], str]) -> None:
        super().__init__()
        self._redactor = redactor
        self._render = render

    def format(self, record: logging.LogRecord) -> str:
        """The text for one record."""
        given = {name: v for name, v in vars(record).items() if name not in _OF_A_RECORD}
        line: Line = {
            **given.pop(VALUES, {}),
            **given,
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "timestamp": _time(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = record.stack_info
        return self._render(_escaped(self._redactor.line(line)))


def as_json(line: Line) -> str:
    """One object a line."""
    return json.dumps(line, ensure_ascii=False, default=repr)


def as_text(line: Line) -> str:
    """`TIME [level] event [logger] name=value ...`, and the trace below it."""
    return _text(line, lambda _style, text: text)


def in_colour(line: Line) -> str:
    """As `as_text`, for a terminal."""
    level = _OF_LEVEL.get(line["level"], "")
    return _text(line, lambda style, text: f"{style or level}{text}{_RESET}")


def _text(line: Line, paint: Callable[[str, str], str]) -> str:
    values = dict(line)
    traces = [values.pop(name) for name in ("exception", "stack") if name in values]
    timestamp, level = values.pop("timestamp"), values.pop("level")
    event, logger = values.pop("event"), values.pop("logger")
    parts = [
        paint(_DIM, timestamp),
        f"[{paint('', level.ljust(_LEVEL_WIDTH))}]",
        paint(_BOLD, event.ljust(_EVENT_WIDTH)),
        f"[{paint(_BLUE, logger)}]",
        *(f"{paint(_CYAN, name)}={paint(_MAGENTA, _shown(v))}" for name, v in values.items()),
    ]
    return "\n".join([" ".join(parts), *traces])


def _shown(value: Any) -> str:
    """As it is when nobody could take it for two values or for another line."""
    if isinstance(value, str) and value and not any(c.isspace() or c in "=\"'" for c in value):
        return value
    return repr(value)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")


def _escaped(line: Line) -> Line:
    """Text from outside cannot fake a second line; a trace keeps its lines, each escaped."""
    for name, value in line.items():
        if isinstance(value, str):
            if name in {"exception", "stack"}:
                line[name] = "\n".join(escape(part) for part in value.split("\n"))
            else:
                line[name] = escape(value)
    return line
