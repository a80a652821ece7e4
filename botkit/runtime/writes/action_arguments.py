"""Check the arguments that a handler passes to its actions; errors name them as written."""

from __future__ import annotations

from datetime import datetime

from botkit.errors import EmptyText
from botkit.model.events import PostEvent
from botkit.model.posts import Post

__all__ = ["allows_bare", "check_answered", "check_text", "named"]

_SHORT = 60


def check_answered(to: object) -> None:
    """Raise `TypeError` unless `to` is a post that can be answered."""
    if not isinstance(to, (PostEvent, Post)):
        raise TypeError(
            f"act.reply(to, ...) answers an event such as a Mention, or a Post, not {named(to)}; "
            "reader.post(id) looks a post up."
        )


def check_text(action: str, text: object, handler: str) -> None:
    """Raise `TypeError` unless `text` is a text, `EmptyText` if nothing of it is visible."""
    if not isinstance(text, str):
        raise TypeError(f"act.{action}(..., text) takes a text, not {named(text)}.")
    halves = [char for char in text if "\ud800" <= char <= "\udfff"]
    if halves:
        raise ValueError(
            f"act.{action}(..., text): {halves[0]!r} in it is half of a character (a lone "
            "surrogate), which cannot be sent."
        )
    if not text.strip():
        raise EmptyText(
            f"{handler} called act.{action}(...) with an empty text.",
            hint="X refuses it. If a model wrote it, look at its answer before you send it.",
        )


def check_time(at: object) -> None:
    """Raise `TypeError` or `ValueError` unless `at` is None or a time with a time zone."""
    if at is None:
        return
    if not isinstance(at, datetime):
        raise TypeError(
            "act.emit(signal, at=...) takes a time, such as clock.now() + timedelta(hours=1), not "
            f"{named(at)}."
        )
    if at.tzinfo is None:
        raise ValueError(
            "act.emit(signal, at=...) needs a time with a time zone: clock.now() has one, and "
            "datetime.now(UTC)."
        )


def allows_bare(action: str, links: object) -> bool | None:
    """Return True if the text may hold bare domains, None if the settings decide."""
    if links not in (None, "allow", "refuse"):
        raise TypeError(
            f'act.{action}(..., links=...) takes "allow" or "refuse", not {named(links)}.'
        )
    return None if links is None else links == "allow"


def named(value: object) -> str:
    """Return a value as an error names it: its class and, if short, itself."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    shown = repr(value)
    return f"{type(value).__name__} {shown}" if len(shown) <= _SHORT else type(value).__name__
