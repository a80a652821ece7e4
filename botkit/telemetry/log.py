"""Sets logging up: the standard library's, to stderr, as text or JSON lines."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, TextIO

from botkit.telemetry.lines import Lines, as_json, as_text, in_colour
from botkit.telemetry.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["set_up_logging"]

_QUIET = ("aiohttp.access", "aiohttp.client", "asyncio")
"""Loggers whose debug lines show requests: never below WARNING, whatever the level is."""


def set_up_logging(
    *,
    level: str = "info",
    json_lines: bool | None = None,
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
) -> Redactor:
    """Send all logs to stderr; gives the redactor, so that later secrets can be learned.

    Args:
        level: `debug`, `info`, `warning` or `error`.
        json_lines: JSON lines; None for text on a terminal and JSON elsewhere.
        secrets: Values that must not be shown.
        stream: Instead of stderr.
    """
    out = stream or sys.stderr
    redactor = Redactor(secrets)
    handler = logging.StreamHandler(out)
    text = in_colour if out.isatty() else as_text
    json_wanted = not out.isatty() if json_lines is None else json_lines
    handler.setFormatter(Lines(redactor, as_json if json_wanted else text))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    return redactor
