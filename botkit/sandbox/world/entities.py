"""Finds mentions and links in a post's text, as X does.

Source: X API docs, "Counting characters" (a reply starts with the
names of the users it answers, which `display_text_range` leaves out).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from msgspec import Struct

from botkit.sandbox.world.text_rules import links_of, names_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["LinkEntity", "NameEntity", "ParsedText", "read_text"]


class NameEntity(Struct, frozen=True):
    """An @name in the text; positions count code points, the end is exclusive."""

    start: int
    end: int
    user_id: str
    username: str


class LinkEntity(Struct, frozen=True):
    """A link in the text, with its shortened form."""

    start: int
    end: int
    url: str
    expanded_url: str


class ParsedText(Struct, frozen=True, kw_only=True):
    """A text as X stores it. `display_start` is the position of the author's own first word."""

    text: str
    display_start: int
    names: tuple[NameEntity, ...]
    links: tuple[LinkEntity, ...]


def read_text(
    written: str,
    *,
    answered: Iterable[str],
    find_user: Callable[[str], tuple[str, str] | None],
) -> ParsedText:
    """Return the text as X stores it.

    `answered` are the usernames with which a reply starts. `find_user` returns id and username
    for a name in any case, or None.
    """
    prefix = "".join(f"@{name} " for name in answered)
    shortened = _shorten(prefix + written)
    text = shortened[0]
    names: list[NameEntity] = []
    for found in names_of(text):
        known = find_user(found.value)
        if known is not None:
            names.append(NameEntity(found.start, found.end, *known))
    return ParsedText(
        text=text, display_start=len(prefix), names=tuple(names), links=tuple(shortened[1])
    )


def _shorten(text: str) -> tuple[str, Sequence[LinkEntity]]:
    parts: list[str] = []
    links: list[LinkEntity] = []
    length = last = 0
    for found in links_of(text):
        before = text[last : found.start]
        length += len(before)
        short = _short_link(found.value)
        links.append(LinkEntity(length, length + len(short), short, _whole(found.value)))
        parts += [before, short]
        length += len(short)
        last = found.end
    parts.append(text[last:])
    return "".join(parts), links


def _whole(url: str) -> str:
    return url if "://" in url else f"http://{url}"


def _short_link(url: str) -> str:
    if url.startswith("https://t.co/"):
        return url
    return "https://t.co/" + hashlib.sha256(url.encode()).hexdigest()[:10]
