"""Sets up logging: structlog over the standard library, to stderr, as text or JSON lines."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, TextIO

import structlog

from botkit.telemetry.redaction import Redactor
from botkit.telemetry.repeated_lines import RepeatedLines
from botkit.telemetry.text_lines import TextLines

if TYPE_CHECKING:
    from collections.abc import Iterable

    from structlog.typing import Processor

__all__ = ["set_up_logging"]

_log = structlog.get_logger(__name__)

_QUIET = ("aiohttp.access", "aiohttp.client", "asyncio")
"""Loggers whose debug lines show requests: they stay at WARNING whatever the level is."""


def set_up_logging(
    *,
    level: str = "info",
    as_json: bool | None = None,
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
    in_color: bool = False,
) -> Redactor:
    """Send all logs to stderr; return the redactor, which can learn further secrets.

    Args:
        level: `debug`, `info`, `warning` or `error`.
        as_json: True to write JSON lines, False for text; None for text on a terminal only.
        secrets: Values that must not be shown.
        stream: The stream to use instead of stderr.
        in_color: True if text lines have colors.
    """
    out = stream or sys.stderr
    json_lines = not out.isatty() if as_json is None else as_json
    redactor = Redactor(secrets)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.processors.format_exc_info,
        redactor,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
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
        else TextLines(in_color=in_color)
    )
    handler = _Handler(out)
    handler.setFormatter(
        _Formatter(
            redactor,
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.captureWarnings(capture=True)  # Python would write them to stderr in its own form
    if level != "debug":
        handler.addFilter(handler.repeated)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    return redactor


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Render a record, and search the whole line once more for known secrets."""

    def __init__(self, redactor: Redactor, **given: Any) -> None:
        super().__init__(**given)
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        return self._redactor.known(super().format(record))


class _Handler(logging.StreamHandler[TextIO]):
    """Write lines; report a record that cannot be rendered without any of its content."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.repeated = RepeatedLines()

    def close(self) -> None:
        """Log how many lines were left out, then close."""
        self.repeated.tell()
        super().close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - name of the base class
        """Replace logging's own report, which prints the record's arguments as they are."""
        kind = sys.exc_info()[0]
        if record.name == __name__ or kind is None:
            return  # this report itself cannot be written
        where = f"{record.pathname}:{record.lineno}"
        _log.error("log_line.not_written", where=where, why=kind.__name__)
