"""Count, shorten and split the text of a post as X reads it; keep words from becoming links.

Examples:
    `await act.reply(mention, shorten(answer))` fits an answer of any length into one post.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from itertools import takewhile
from typing import TYPE_CHECKING

from botkit.protocol.text.links import link_spans
from botkit.protocol.text.weighted_length import weighted_length

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LIMIT", "keep_from_linking", "shorten", "split", "weighted_length"]

LIMIT = 280
"""The weight that X takes in a post of an account without Premium."""

_HIDDEN_SPACE = "\u200b"
_LONGEST_LINK = 4096
"""The most characters of an address that X links."""
_GLUED = re.compile(
    "[\u0300-\u036f\u200d\ufe0e\ufe0f\u20e3\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]"
)
_WORD = re.compile(r"\s*\S+")
_FLAG = re.compile("[\U0001f1e6-\U0001f1ff]")


def shorten(text: str, limit: int = LIMIT, *, end: str = "\u2026") -> str:
    """Return the text if X takes it, or as many of its words as fit, with `end` behind them.

    A single word that does not fit is cut, but never inside a link or an emoji.

    Raises:
        ValueError: `end` alone weighs more than `limit`.
    """
    if weighted_length(text) <= limit:
        return text
    if weighted_length(end) > limit:
        raise ValueError(f"The end {end!r} alone weighs more than {limit}.")

    def fits(part: str) -> bool:
        return weighted_length(part.rstrip() + end) <= limit

    return text[: _cut(text, fits)].rstrip() + end


def split(text: str, limit: int = LIMIT) -> list[str]:
    """Return the text in parts that X takes, in order, cut between words: the posts of a thread.

    A single word that does not fit is cut, but never inside a link or an emoji. An empty text has
    no parts.

    Raises:
        ValueError: A character, an emoji or a link alone weighs more than `limit`.
    """

    def fits(part: str) -> bool:
        return weighted_length(part.strip()) <= limit

    parts: list[str] = []
    text = text.strip()
    while text:
        end = _cut(text, fits)
        if not end:
            raise ValueError(f"No part of {text[:40]!r} weighs {limit} or less.")
        parts.append(text[:end].rstrip())
        text = text[end:].lstrip()
    return parts


def keep_from_linking(text: str) -> str:
    """Return the text with a hidden space in each bare domain, so that X does not link it.

    X turns `asyncio.run` and `README.md` into links, and a post with a link costs 0.200 USD.
    Addresses with `http://` or `https://` stay links. The hidden space (U+200B) weighs 1.
    """
    while bare := [span for span in link_spans(text) if span.is_bare]:
        for span in reversed(bare):
            host = re.match("[^/?]+", span.url)
            end = span.start + (host.end() if host else 0)
            text = text[: span.start] + _unlinked(text[span.start : end]) + text[end:]
    return text


def _unlinked(host: str) -> str:
    return host.replace(".", f".{_HIDDEN_SPACE}")


def _cut(text: str, fits: Callable[[str], bool]) -> int:
    """Return where to cut a text: after its last word that fits, or else inside the first one."""
    words = (word.end() for word in _WORD.finditer(text))
    ends = list(takewhile(lambda end: end <= 2 * _LONGEST_LINK, words))
    most = 1
    while most <= len(ends) and fits(text[: ends[most - 1]]):
        most *= 2
    most = min(most, len(ends))
    fitting = bisect_left(ends, 1, most // 2, most, key=lambda end: int(not fits(text[:end])))
    return ends[fitting - 1] if fitting else _cut_inside(text, fits)


def _cut_inside(text: str, fits: Callable[[str], bool]) -> int:
    end = 0
    links = link_spans(text[: 2 * _LONGEST_LINK])  # all that can reach over the cut
    for at in range(1, min(len(text), _LONGEST_LINK) + 1):
        if any(link.start < at < link.end for link in links) or _is_glued(text, at):
            continue
        if not fits(text[:at]):
            break
        end = at
    return end


def _is_glued(text: str, at: int) -> bool:
    """Return True if the characters before and after a position are one sign to the eye."""
    after = text[at : at + 1]
    if _GLUED.match(after) or text[at - 1] == "\u200d":
        return True
    flags = 0
    while flags < at and _FLAG.match(text[at - 1 - flags]):
        flags += 1
    return flags % 2 == 1 and _FLAG.match(after) is not None
