"""What was logged, as values."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botkit.telemetry.logger import VALUES

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["capture_logs"]


class _Keeping(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        values = getattr(record, VALUES, {})
        level = record.levelname.lower()
        self.lines.append({**values, "event": record.getMessage(), "log_level": level})


@contextmanager
def capture_logs() -> Iterator[list[dict[str, Any]]]:
    """Every line from `info` up, as it is logged: `event`, `log_level` and its named values."""
    root = logging.getLogger()
    keeping, level = _Keeping(), root.level
    root.addHandler(keeping)
    root.setLevel(logging.INFO)
    try:
        yield keeping.lines
    finally:
        root.removeHandler(keeping)
        root.setLevel(level)
