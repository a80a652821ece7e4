"""How the simulated X reads a text: its weight, links, names, hashtags and cashtags.

None of this is shared with the product, so that a test sees when either is wrong; both read the
same dated list of domains. The patterns are X's own, run as X runs them: over units of UTF-16, in
which a later character is two.

Source: twitter-text 3.1.0 with its configuration v3, read 2026-11-30.
"""

from __future__ import annotations

import json
import pkgutil
import re
import unicodedata
from array import array
from functools import cache

from msgspec import Struct

__all__ = [
    "TextSpan",
    "cashtags_of",
    "emoji_length",
    "hashtags_of",
    "links_of",
    "names_of",
    "same_text",
    "weight_of",
]

_LINK_WEIGHT = 23
_LONGEST_SHORT_NAME = 40
_LONGEST_LABEL = 63
_LONGEST_ADDRESS = 4096
_SPACE = "\t-\r \u0085\u00a0\u1680\u180e\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_SIGNS = r"!'#%&()*+,\\\-./:;<=>?@\[\]^_{|}~$"
_DIRECTION = "\u202a-\u202e\u061c\u200e\u200f\u2066-\u2069"
_NEVER = "\ufffe\ufeff\uffff"
_ACCENTS = (
    "\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0253\u0254\u0256\u0257\u0259\u025b\u0263\u0268"
    "\u026f\u0272\u0289\u028b\u02bb\u0300-\u036f\u1e00-\u1eff"
)
_ANY_CASE = (
    "\u0260\u0269\u0275\u0280\u0283\u0288\u028a\u028c\u0292\u0399\u03b9\u1fbe\u2c65\u2c66\u2c7e"
    "\u2c7f\ua7dc"
)
_WORD = f"a-zA-Z0-9{_ACCENTS}{_ANY_CASE}"
_CHAR = f"[^{_SIGNS}{_SPACE}{_NEVER}{_DIRECTION}]"
_QUERY = r"\?[a-zA-Z0-9!?*'@();:&=+$/%#\[\]\-_.,~|]*[a-zA-Z0-9\-_&=#/]"
_IN_PATH = rf"[{_WORD}\u0400-\u04ff\u1c80-\u1c87!*';:=+,.$/%#\[\]\-\u2013_~@|&]"
_NESTED = rf"\((?:{_IN_PATH}+|(?:{_IN_PATH}*\({_IN_PATH}+\){_IN_PATH}*))\)"
_PATH = (
    rf"(?:{_IN_PATH}*(?:{_NESTED}{_IN_PATH}*)*[+\-{_WORD}\u0400-\u04ff\u1c80-\u1c87=_#/]"
    rf"|{_NESTED}|@{_IN_PATH}+/)"
)
_SHORT = re.compile(rf"(?ai:https?://t\.co/)([a-zA-Z0-9]+)(?:{_QUERY})?")
_NAME = re.compile(
    r"(?:^|[^a-zA-Z0-9_!#$%&*@\uff20]|(?:^|[^a-zA-Z0-9_+~.-])(?:rt|RT|rT|Rt):?)"
    r"([@\uff20]([a-zA-Z0-9_]{1,20}))(/[a-zA-Z][a-zA-Z0-9_-]{0,24})?"
)
_NAME_ENDS_WRONG = re.compile(rf"[@\uff20]|[{_ACCENTS}]|://")
_CASHTAG = re.compile(
    rf"(?:^|[{_SPACE}])\$([a-zA-Z]{{1,6}}(?:[._][a-zA-Z]{{1,2}})?)(?=$|[{_SPACE}\ufeff{_SIGNS}])"
)
_HASH = re.compile("[#\uff03]")
_TAG_ENDS_WRONG = re.compile("[#\uff03]|://")
_IN_TAG = frozenset(
    "_\u200c\u200d\ua67e\u05be\u05f3\u05f4\uff5e\u301c\u309b\u309c\u30a0\u30fb\u3003\u0f0b\u0f0c\xb7"
)
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_LIGHT = re.compile("[\u0000-\u10ff\u2000-\u200d\u2010-\u201f\u2032-\u2037]")
_FLAG_OR_SIGN = re.compile(
    "[\U0001f1e6-\U0001f1ff]{2}|[0-9#*]\ufe0f?\u20e3|[\u00a9\u00ae\u2122]\ufe0f"
)
_SKIN = "[\U0001f3fb-\U0001f3ff]"
_MORE_SIGNS = frozenset("\u203c\u2049\u2934\u2935\u3030\u303d") | frozenset(
    map(chr, (*range(0x2194, 0x219A), *range(0x25FB, 0x25FF), 0x2139))
)

_DOMAINS = pkgutil.get_data("botkit.protocol.text", "top_level_domains.json") or b""


class TextSpan(Struct, frozen=True):
    """A link or a name in a text; positions count code points, the end is exclusive."""

    start: int
    end: int
    value: str


def links_of(text: str) -> list[TextSpan]:
    """Return the links of a text, in order."""
    units = _to_units(text)
    return [
        TextSpan(_points(units, start), _points(units, end), _from_units(url))
        for start, end, url in _links(units)
    ]


def names_of(text: str) -> list[TextSpan]:
    """Return the @names of a text, without the @, in order; those inside links do not count."""
    links = links_of(text)
    return [
        TextSpan(found.start(1), found.end(1), found[2])
        for found in _NAME.finditer(text)
        if not found[3]
        and not _NAME_ENDS_WRONG.match(text, found.end())
        and not any(link.start <= found.start(1) < link.end for link in links)
    ]


def cashtags_of(text: str) -> list[TextSpan]:
    """Return the cashtags of a text, their values without the $, in order."""
    return [
        TextSpan(found.start(1) - 1, found.end(1), found[1]) for found in _CASHTAG.finditer(text)
    ]


def hashtags_of(text: str) -> list[TextSpan]:
    """Return the hashtags of a text, their values without the #, in order.

    Those inside links do not count.
    """
    if not _HASH.search(text):
        return []
    links = links_of(text)
    tags: list[TextSpan] = []
    done = 0
    for sign in _HASH.finditer(text):
        start = sign.start()
        end = _tag_end(text, start + 1)
        if start < done or end == start + 1 or not _may_start_tag(text, start):
            continue
        tags.append(TextSpan(start, end, text[start + 1 : end]))
        done = end
    return [tag for tag in tags if not any(one.start <= tag.start < one.end for one in links)]


def _may_start_tag(text: str, start: int) -> bool:
    before = text[start - 1] if start else ""
    return before in {"", "\ufe0e", "\ufe0f"} or not (before == "&" or _is_in_tag(before))


def _tag_end(text: str, start: int) -> int:
    """Return where the tag that begins at a position ends, `start` if none begins there."""
    end = start
    while end < len(text) and _is_in_tag(text[end]):
        end += 1
    has_letter = any(unicodedata.category(one)[0] in "LM" for one in text[start:end])
    wrong = text[start : start + 1] in {"\ufe0f", "\u20e3"} or _TAG_ENDS_WRONG.match(text, end)
    return end if has_letter and not wrong else start


def _is_in_tag(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] in "LM" or category == "Nd" or character in _IN_TAG


def weight_of(text: str) -> int:
    """Return the weight of a text, 280 of which fit into a post."""
    text = unicodedata.normalize("NFC", text)
    units = _to_units(text)
    urls = {start: url for start, _, url in _links(units)}
    weight = at = 0
    while at < len(units):
        if at in urls:
            weight += _LINK_WEIGHT
            at += len(urls[at])
            continue
        taken, cost = _sign_at(units, at)
        weight += cost
        at += taken
    return weight


def same_text(one: str, other: str) -> bool:
    """Return True if two texts differ in nothing but white space and Unicode form."""
    first, second = (unicodedata.normalize("NFC", text).split() for text in (one, other))
    return first == second


def _links(units: str) -> list[tuple[int, int, str]]:
    links: list[tuple[int, int, str]] = []
    at = 0
    while found := _address().search(units, at):
        at = found.end()
        start = found.start("url")
        if not _has_valid_lengths(found):
            continue
        if found["scheme"]:
            links += _full_link(found["url"], start)
        elif not found["before"] or found["before"] not in "-_./":
            links += _bare_links(found, start)
    return links


def _full_link(url: str, start: int) -> list[tuple[int, int, str]]:
    short = _SHORT.match(url)
    if short is None:
        return [(start, start + len(url), url)]
    return (
        [] if len(short[1]) > _LONGEST_SHORT_NAME else [(start, start + len(short[0]), short[0])]
    )


def _bare_links(found: re.Match[str], start: int) -> list[tuple[int, int, str]]:
    """Return the Latin parts of a host without a scheme; the last one has the path."""
    host = found["host"]
    links: list[tuple[int, int, str]] = []
    done = 0
    for domain in _latin_domain().findall(host):
        first = host.index(domain, done)
        done = first + len(domain)
        links.append((start + first, start + done, domain))
    if links and found["path"]:
        first, _, domain = links[-1]
        links[-1] = (first, found.end(), domain + found["url"][len(host) :])
    return links


def _has_valid_lengths(found: re.Match[str]) -> bool:
    host = _from_units(found["host"])
    if host.startswith("xn--") and not _latin_domain().search(host):
        return False
    for label in host.split("."):
        parts = re.split("[\u3002\uff0e\uff61]", label)
        length = len(".".join(map(_in_ascii, parts)))
        if not 1 <= length <= _LONGEST_LABEL:
            return False
    return len(found["scheme"] or "https://") + len(found["url"]) <= _LONGEST_ADDRESS


def _in_ascii(part: str) -> str:
    if re.fullmatch("[ -~]*", part):
        return part
    return "xn--" + part.encode("punycode").decode()


def _sign_at(units: str, at: int) -> tuple[int, int]:
    """Return how many units the character or emoji at a position has, and its weight."""
    emoji = emoji_length(_from_units(units[at : at + 64]))
    if emoji:
        return len(_to_units(_from_units(units[at : at + 64])[:emoji])), 2
    if _PAIR.match(units, at):
        return 2, 2
    return 1, 1 if _LIGHT.match(units, at) else 2


def emoji_length(text: str) -> int:
    """Return how many code points of the text's beginning are one emoji, whatever its age."""
    if found := re.match(
        "[\U0001f1e6-\U0001f1ff]{2}|[0-9#*]\ufe0f?\u20e3|[\u00a9\u00ae\u2122]\ufe0f", text
    ):
        return found.end()
    end = 0
    while end < len(text) and _is_picture(text[end]) and text[end + 1 : end + 2] != "\ufe0e":
        rest = re.compile(f"\ufe0f?{_SKIN}?(?:[\U000e0020-\U000e007e]+\U000e007f)?")
        found = rest.match(text, end + 1)
        end = found.end() if found else end + 1
        if text[end : end + 1] != "\u200d" or not _is_picture(text[end + 1 : end + 2]):
            break
        end += 1
    return end


def _is_picture(character: str) -> bool:
    if not character or character < "\u203c" or character == "\u2122":
        return False
    if "\U0001f1e6" <= character <= "\U0001f1ff":
        return False
    return (
        character in _MORE_SIGNS
        or unicodedata.category(character) == "So"
        or "\U0001f300" <= character <= "\U0001faff"
    )


@cache
def _address() -> re.Pattern[str]:
    return re.compile(
        rf"(?P<before>[^A-Za-z0-9@\uff20$#\uff03{_NEVER}]|^)"
        rf"(?P<url>(?P<scheme>(?ai:https?://))?"
        rf"(?P<host>(?:(?:{_CHAR}(?:[_-]|{_CHAR})*)?{_CHAR}\.)*"
        rf"(?:(?:{_CHAR}(?:-|{_CHAR})*)?{_CHAR}\.){_top_level()})"
        rf"(?::[0-9]+)?(?P<path>/{_PATH}*)?(?:{_QUERY})?)"
    )


@cache
def _latin_domain() -> re.Pattern[str]:
    return re.compile(rf"(?:[\-{_WORD}]+\.)+{_top_level()}")


@cache
def _top_level() -> str:
    data = json.loads(_DOMAINS)
    lists = ("|".join(sorted(data[name], reverse=True)) for name in ("generic", "countries"))
    ends = "(?=[^0-9a-zA-Z@+-]|$)"
    either = "|".join(f"(?:{words}|(?ai:{words})|{words.upper()}){ends}" for words in lists)
    return rf"(?:{either}|(?ai:xn--[\-0-9a-z]+))"


def _to_units(text: str) -> str:
    if text.isascii():
        return text
    return "".join(map(chr, array("H", text.encode("utf-16-le", "surrogatepass"))))


def _from_units(units: str) -> str:
    if units.isascii():
        return units
    return units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _points(units: str, position: int) -> int:
    halves = sum("\udc00" <= unit <= "\udfff" for unit in units[:position])
    return position - halves
