"""Warnings about refused requests, limited so that strangers cannot fill the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from botkit.ports import Clock

__all__ = ["AbuseLog"]

_log = structlog.get_logger(__name__)

_MOST = 30
_SPAN_S = 60.0


class AbuseLog:
    """Log at most 30 warnings a minute, and count those left out in the line after it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since_s = clock.monotonic()
        self._said = 0

    def warning(self, event: str, **fields: Any) -> None:
        """Log this event, unless the minute has 30 already."""
        now_s = self._clock.monotonic()
        if now_s - self._since_s >= _SPAN_S:
            if self._said > _MOST:
                _log.warning("refusals.left_out", times=self._said - _MOST)
            self._since_s, self._said = now_s, 0
        self._said += 1
        if self._said <= _MOST:
            _log.warning(event, **fields)
