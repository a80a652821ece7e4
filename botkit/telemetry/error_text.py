"""Put exceptions of an author's code into text that a log and a store can hold.

Such an exception may have a text that cannot be read or encoded, or one of many megabytes; none
of that may end the bot.
"""

from __future__ import annotations

import traceback

__all__ = ["error_text", "plain_text", "trace_text"]

_LONGEST = 16_000
"""The most characters of a text that is kept."""


def error_text(error: BaseException) -> str:
    """Return the exception's class, its text and its notes in one line."""
    try:
        said = " ".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
    except Exception:  # noqa: BLE001 - the author's __str__
        said = f"{type(error).__name__}: its text cannot be read"
    return plain_text(said)


def trace_text(error: BaseException) -> str:
    """Return the end of the exception's trace."""
    try:
        said = "".join(traceback.format_exception(error))
    except Exception:  # noqa: BLE001 - the author's attributes
        said = "".join(traceback.format_tb(error.__traceback__)) + error_text(error)
    return plain_text(said[-_LONGEST:])


def plain_text(text: str) -> str:
    """Return the beginning of the text, with lone surrogates escaped: UTF-8 has none."""
    return text[:_LONGEST].encode("utf-8", "backslashreplace").decode()
