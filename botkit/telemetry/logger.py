"""How botkit says what happens: an event in plain words, and named values beside it."""

from __future__ import annotations

import logging
from typing import Any

__all__ = ["VALUES", "Logger", "get_logger"]

VALUES = "botkit_values"
"""The attribute of a record that holds its named values."""


class Logger:
    """Says events to the standard library's logger of a name, and so to whoever listens there.

    `log.info("restarted", after_s=2)`: what varies is a named value, never part of the event.
    """

    __slots__ = ("_to",)

    def __init__(self, name: str) -> None:
        self._to = logging.getLogger(name)

    def debug(self, event: str, **values: Any) -> None:
        """Say what only someone who looks for a fault wants to know."""
        self._say(logging.DEBUG, event, values)

    def info(self, event: str, **values: Any) -> None:
        """Say what happens as it should."""
        self._say(logging.INFO, event, values)

    def warning(self, event: str, **values: Any) -> None:
        """Say what may pass by itself."""
        self._say(logging.WARNING, event, values)

    def error(self, event: str, **values: Any) -> None:
        """Say what somebody should look at."""
        self._say(logging.ERROR, event, values)

    def critical(self, event: str, **values: Any) -> None:
        """Say what is lost if nobody does anything."""
        self._say(logging.CRITICAL, event, values)

    def exception(self, event: str, **values: Any) -> None:
        """As `error`, with the exception that is being handled."""
        self._say(logging.ERROR, event, values, exc_info=True)

    def _say(
        self, level: int, event: str, values: dict[str, Any], *, exc_info: bool = False
    ) -> None:
        if self._to.isEnabledFor(level):
            self._to.log(level, event, extra={VALUES: values}, exc_info=exc_info)


def get_logger(name: str) -> Logger:
    """The logger of a part of botkit, such as `botkit.run`."""
    return Logger(name)
