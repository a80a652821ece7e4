"""Summarize log lines that differ only by account or event, so that one cause takes a few lines.

Of lines with the same name and state, the first ones in ten seconds are written, and the others
are counted. While they go on like that, one in ten seconds is written.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, cast

import structlog

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["RepeatedLines", "some_of"]

_log = structlog.get_logger(__name__)

_FEW = 10
_WINDOW_S = 10.0
_CAUSE = ("event", "state", "status", "kind", "waiting_for")
"""The fields by which lines count as the same; others name accounts, events and details."""
_PART = "part"


def some_of(names: Sequence[str], *, most: int = _FEW) -> list[str]:
    """Return the names; if they are many, return the first ones and the number of the others."""
    if len(names) <= most:
        return list(names)
    return [*names[:most], f"and {len(names) - most} more"]


class RepeatedLines(logging.Filter):
    """Pass the first lines of each cause; count the others, and log their number.

    Critical lines always pass.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._began_s = 0.0
        self._counts: dict[tuple[Any, ...], int] = {}
        self._going_on: frozenset[tuple[Any, ...]] = frozenset()
        """The causes of which the window before left lines out."""
        self._timer: threading.Timer | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True if the line must be written."""
        said: object = record.msg  # structlog's dict of fields, or another library's text
        if not isinstance(said, dict) or record.levelno >= logging.CRITICAL:
            return True
        if record.name == __name__:
            return True
        cause = _cause_of(cast("dict[str, Any]", said), record.levelno)
        with self._lock:
            age_s = record.created - self._began_s
            over = self._end_window() if self._counts and age_s >= _WINDOW_S else {}
            if age_s >= 2 * _WINDOW_S:
                self._going_on = frozenset()
            if not self._counts:
                self._began_s = record.created
            count = self._counts[cause] = self._counts.get(cause, 0) + 1
            few = 1 if cause in self._going_on else _FEW
            if count == few + 1 and self._timer is None:
                self._timer = threading.Timer(_WINDOW_S, self.tell)
                self._timer.daemon = True
                self._timer.start()
        _tell(over)
        return count <= few

    def tell(self) -> None:
        """Log how many lines were left out since the window began, and begin another."""
        with self._lock:
            over = self._end_window()
        _tell(over)

    def _end_window(self) -> dict[tuple[Any, ...], int]:
        """Return the causes of which lines were left out, and how many of each."""
        written = {cause: 1 if cause in self._going_on else _FEW for cause in self._counts}
        over = {
            cause: count - written[cause]
            for cause, count in self._counts.items()
            if count > written[cause]
        }
        self._going_on = frozenset(c for c, count in self._counts.items() if count > _FEW)
        self._counts = {}
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        return over


def _cause_of(line: dict[str, Any], level: int) -> tuple[Any, ...]:
    part = str(line.get(_PART, "")).partition("/")[0]
    return (level, part, *(str(line.get(name, "")) for name in _CAUSE))


def _tell(left_out: dict[tuple[Any, ...], int]) -> None:
    for (level, part, *values), count in left_out.items():
        said = dict(zip(_CAUSE, values, strict=True))
        of = said.pop("event")
        fields = {name: value for name, value in ({_PART: part} | said).items() if value}
        _log.log(level, "log_lines.left_out", of=of, count=count, **fields)
