"""Finds mentions, links and tags in a post's text, as X does.

Source: X API docs, "Counting characters" (a reply starts with the
names of the users it answers, which `display_text_range` leaves out).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from msgspec import Struct

from botkit.sandbox.world.text_rules import cashtags_of, hashtags_of, links_of, names_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from botkit.sandbox.world.text_rules import TextSpan

__all__ = ["LinkEntity", "NameEntity", "ParsedText", "TagEntity", "read_text", "reposted"]

_LONGEST_REPOST = 140
"""The characters after which X cuts the text of a repost. Source: recorded answers of X."""


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


class TagEntity(Struct, frozen=True):
    """A hashtag or cashtag, without its sign; positions count code points."""

    start: int
    end: int
    tag: str


class ParsedText(Struct, frozen=True, kw_only=True):
    """A text as X stores it. `display_start` is the position of the author's own first word."""

    text: str
    display_start: int
    names: tuple[NameEntity, ...]
    links: tuple[LinkEntity, ...]
    hashtags: tuple[TagEntity, ...] = ()
    cashtags: tuple[TagEntity, ...] = ()


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
        text=text,
        display_start=len(prefix),
        names=tuple(names),
        links=tuple(shortened[1]),
        hashtags=_tags(hashtags_of(text)),
        cashtags=_tags(cashtags_of(text)),
    )


def reposted(
    text: str,
    username: str,
    user_id: str,
    names: Iterable[NameEntity],
    links: Iterable[LinkEntity],
) -> ParsedText:
    """Return the text of a repost: `RT @ada: ` and the post's text, cut as X cuts it.

    Source: X API docs, "Event payloads", `post.repost.create`; recorded answers of X.
    """
    before = f"RT @{username}: "
    whole = before + text
    cut = whole if len(whole) <= _LONGEST_REPOST else whole[: _LONGEST_REPOST - 1] + "\u2026"
    move, most = len(before), len(whole) if cut == whole else _LONGEST_REPOST - 1
    author = NameEntity(3, 4 + len(username), user_id, username)
    moved = [
        NameEntity(one.start + move, one.end + move, one.user_id, one.username) for one in names
    ]
    urls = [
        LinkEntity(one.start + move, one.end + move, one.url, one.expanded_url) for one in links
    ]
    return ParsedText(
        text=cut,
        display_start=0,
        names=tuple(one for one in (author, *moved) if one.end <= most),
        links=tuple(one for one in urls if one.end <= most),
        hashtags=tuple(one for one in _tags(hashtags_of(whole)) if one.end <= most),
        cashtags=tuple(one for one in _tags(cashtags_of(whole)) if one.end <= most),
    )


def _tags(found: Iterable[TextSpan]) -> tuple[TagEntity, ...]:
    return tuple(TagEntity(one.start, one.end, one.value) for one in found)


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
