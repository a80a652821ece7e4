"""Read a text as X does: its weight, the users that it names, and which texts are the same.

Source: twitter-text 3.1.0 with its configuration v3, read 2026-11-30; X API docs, "Counting
characters".
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

from botkit.model.posts import LEADING_NAMES, MentionEntity
from botkit.protocol.text.links import link_spans

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = [
    "cashtags_in",
    "leading_names",
    "mentions_in",
    "names_in",
    "normalise",
    "text_hash",
    "usernames_in",
    "weighted_length",
    "without_leading_names",
]

_LINK_WEIGHT = 23
_EMOJI_WEIGHT = 2
_HEAVY = re.compile("[^\u0000-\u10ff\u2000-\u200d\u2010-\u201f\u2032-\u2037]")
"""Characters of weight 2; all others weigh 1."""

_NAME = re.compile(
    r"(?:\A|[^a-zA-Z0-9_!#$%&*@\uff20]|(?:\A|[^a-zA-Z0-9_+~.-])[rR][tT]:?)"
    r"(?P<name>[@\uff20](?P<username>[a-zA-Z0-9_]{1,20}))(?P<list>/[a-zA-Z][a-zA-Z0-9_-]{0,24})?"
)
_NO_NAME_BEFORE = re.compile(
    "[@\uff20\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0253\u0254\u0256\u0257\u0259\u025b\u0263\u0268"
    "\u026f\u0272\u0289\u028b\u02bb\u0300-\u036f\u1e00-\u1eff]|://"
)
_LEADING_NAME = re.compile(r"\s*[@\uff20]([a-zA-Z0-9_]{1,20})(?![a-zA-Z0-9_@\uff20])\s*")
_SPACES = "\t-\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_CASHTAG = re.compile(
    rf"(?:\A|(?<=[\u0085\u180e{_SPACES}]))\$([a-zA-Z]{{1,6}}(?:[._][a-zA-Z]{{1,2}})?)"
    rf"(?=\Z|[\ufeff{_SPACES}!'#%&()*+,\\\-./:;<=>?@\[\]^_{{|}}~$])"
)

_TEXT_OR_EMOJI = (
    "\u203c\u2049\u2139\u2194-\u2199\u21a9\u21aa\u231a\u231b\u2328\u23cf\u23e9-\u23f3\u23f8-\u23fa"
    "\u24c2\u25aa\u25ab\u25b6\u25c0\u25fb-\u25fe\u2600-\u2604\u260e\u2611\u2614\u2615\u2618\u261d"
    "\u2620\u2622\u2623\u2626\u262a\u262e\u262f\u2638-\u263a\u2640\u2642\u2648-\u2653\u265f\u2660"
    "\u2663\u2665\u2666\u2668\u267b\u267e\u267f\u2692-\u2697\u2699\u269b\u269c\u26a0\u26a1\u26a7"
    "\u26aa\u26ab\u26b0\u26b1\u26bd\u26be\u26c4\u26c5\u26c8\u26ce\u26cf\u26d1\u26d3\u26d4\u26e9"
    "\u26ea\u26f0-\u26f5\u26f7-\u26fa\u26fd\u2702\u2705\u2708-\u270d\u270f\u2712\u2714\u2716\u271d"
    "\u2721\u2728\u2733\u2734\u2744\u2747\u274c\u274e\u2753-\u2755\u2757\u2763\u2764\u2795-\u2797"
    "\u27a1\u27b0\u27bf\u2934\u2935\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55\u3030\u303d\u3297\u3299"
)
_PICTURES = (
    "\U0001f004\U0001f0cf\U0001f170\U0001f171\U0001f17e\U0001f17f\U0001f18e\U0001f191-\U0001f19a"
    "\U0001f201\U0001f202\U0001f21a\U0001f22f\U0001f232-\U0001f23a\U0001f250\U0001f251"
    "\U0001f300-\U0001f64f\U0001f680-\U0001f6ff\U0001f7e0-\U0001f7f0\U0001f900-\U0001f9ff"
    "\U0001fa70-\U0001faff"
)
_ONE = (
    rf"(?:[\u00a9\u00ae\u2122]\ufe0f|[{_TEXT_OR_EMOJI}{_PICTURES}](?!\ufe0e)\ufe0f?)"
    r"[\U0001f3fb-\U0001f3ff]?(?:[\U000e0020-\U000e007e]+\U000e007f)?"
)


@cache
def _emoji() -> re.Pattern[str]:
    """Return the pattern of an emoji with its sequences; compiled at the first use: it is slow."""
    return re.compile(
        rf"[\U0001f1e6-\U0001f1ff]{{2}}|[0-9#*]\ufe0f?\u20e3|{_ONE}(?:\u200d{_ONE})*"
    )


def weighted_length(text: str, *, auto_mentions: Collection[str] = ()) -> int:
    """Return the length that X counts: at most 280 for an account without Premium.

    X counts after NFC: a link is 23, an emoji 2 whatever its sequence, Latin and common
    punctuation 1, any other code point 2. The names in `auto_mentions` count nothing at the start:
    X puts them there in a reply.
    """
    text = unicodedata.normalize("NFC", text)
    text = text[leading_names(text, among=auto_mentions) :]
    weight = done = 0
    for span in link_spans(text):
        weight += _plain_weight(text[done : span.start]) + _LINK_WEIGHT
        done = span.start + len(span.url)
    return weight + _plain_weight(text[done:])


def normalise(text: str) -> str:
    """Return the text in the form for comparison: NFC, trimmed, white space as one blank."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def text_hash(text: str) -> str:
    """Return a short hash of the normalised text."""
    return hashlib.sha256(normalise(text).encode("utf-8", "replace")).hexdigest()


def names_in(text: str) -> list[MentionEntity]:
    """Return the @names of a text, in order, those inside links too.

    A name ends after 20 characters whatever follows, and `@user/list` names a list, not a user.
    """
    return [
        MentionEntity(username=found["username"], start=found.start("name"), end=found.end("name"))
        for found in _NAME.finditer(text)
        if found["list"] is None and not _NO_NAME_BEFORE.match(text, found.end())
    ]


def mentions_in(text: str) -> tuple[MentionEntity, ...]:
    """Return the @names that X takes as mentions, in order; those inside links are not."""
    names = names_in(text)
    links = link_spans(text) if names else []
    return tuple(
        name for name in names if not any(link.start <= name.start < link.end for link in links)
    )


def usernames_in(text: str) -> tuple[str, ...]:
    """Return the usernames that a text mentions, without the @, each once, in order."""
    found: dict[str, str] = {}
    for mention in mentions_in(text):
        found.setdefault(mention.username.casefold(), mention.username)
    return tuple(found.values())


def cashtags_in(text: str) -> tuple[str, ...]:
    """Return the cashtags of a text, without the $, in order."""
    return tuple(found[1] for found in _CASHTAG.finditer(text))


def leading_names(text: str, *, among: Collection[str] | None = None) -> int:
    """Return the end of the run of @names at the start, with the blanks after it; 0 if none.

    With `among`, the run ends before the first name that is not one of those.
    """
    if among is None:
        run = LEADING_NAMES.match(text)
        return run.end() if run else 0
    known = {name.casefold() for name in among}
    end = 0
    while (found := _LEADING_NAME.match(text, end)) and found[1].casefold() in known:
        end = found.end()
    return end


def without_leading_names(text: str) -> str:
    """Return the text without the @names at its start."""
    return text[leading_names(text) :]


def _plain_weight(text: str) -> int:
    if text.isascii():
        return len(text)
    weight = done = 0
    for found in _emoji().finditer(text):
        weight += _characters_weight(text[done : found.start()]) + _EMOJI_WEIGHT
        done = found.end()
    return weight + _characters_weight(text[done:])


def _characters_weight(text: str) -> int:
    return len(text) + len(_HEAVY.findall(text))
