"""Sets up logging: structlog over the standard library, to stderr, as text or JSON lines."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, TextIO

import structlog

from botkit.telemetry.escaping import escape
from botkit.telemetry.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping

    from structlog.typing import Processor

__all__ = ["set_up_logging"]

_QUIET = ("aiohttp.access", "aiohttp.client", "asyncio")
"""Loggers whose debug lines show requests: they stay at WARNING whatever the level is."""


def set_up_logging(
    *,
    level: str = "info",
    as_json: bool | None = None,
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
) -> Redactor:
    """Send all logs to stderr; return the redactor, which can learn further secrets.

    Args:
        level: `debug`, `info`, `warning` or `error`.
        as_json: Whether to write JSON lines; None means text on a terminal and JSON elsewhere.
        secrets: Values that must not be shown.
        stream: The stream to use instead of stderr.
    """
    out = stream or sys.stderr
    json_lines = not out.isatty() if as_json is None else as_json
    redactor = Redactor(secrets)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redactor,
        _escaped,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    renderer: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if json_lines
        else structlog.dev.ConsoleRenderer(colors=out.isatty())
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    return redactor


def _escaped(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Escape every text, so that none can fake a second line; a trace keeps its lines."""
    for name, value in event.items():
        if isinstance(value, str):
            if name == "exception":
                event[name] = "\n".join(escape(line) for line in value.split("\n"))
            else:
                event[name] = escape(value)
    return event
