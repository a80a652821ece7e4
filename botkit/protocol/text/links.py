"""Find the links that X makes of a text: addresses with a scheme, and bare domains.

X links a bare domain if its last part is a top-level domain, so `README.md` is a link too, and
has a link's price. The domains stand in `top_level_domains.json`, which
`tests/clients/make_text_data.py` writes from X's published list.

Two properties of X's rules are easy to miss. A host ends with its top-level domain, whatever
letters of another script follow. And X finds a bare domain in two steps, first with letters of
every script, then the parts of it that are Latin; a port or query without a path stays outside.

Source: twitter-text 3.1.0, rules of `extractUrlsWithIndices`, read 2026-11-30.
"""

from __future__ import annotations

import pkgutil
import re
from bisect import bisect_right
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LinkSpan", "link_spans", "links_in"]


class LinkSpan(Struct, frozen=True, gc=False):
    """A link in a text; `start` and `end` count code points, the end is exclusive."""

    start: int
    end: int
    url: str

    @property
    def is_bare(self) -> bool:
        """Return True if the link has no scheme, whatever its path and query hold."""
        return re.match("https?://", self.url, re.IGNORECASE) is None


class _Data(Struct, frozen=True):
    generic: frozenset[str]
    countries: frozenset[str]


class _Host(Struct, frozen=True, gc=False):
    """A host in a text, with the character before it and its scheme, "" if there is none."""

    start: int
    end: int
    before: str
    scheme: str


_MOST_ADDRESS = 4096
_MOST_LABEL = 63
_MOST_SHORT_NAME = 40
_SECURE = "https://"
_LAST_OF_ONE_UNIT = "\uffff"
"""X reads UTF-16: half of a later character may be a break, and the other half begin a host."""
_PUNYCODE = r"[xX][nN]--[a-zA-Z0-9\-]+"
_NOT_AFTER_DOMAIN = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ@+-")
_DOTS_OF_OTHER_SCRIPTS = r"[\u3002\uff0e\uff61]"

_LATIN = (
    "\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0253\u0254\u0256\u0257\u0259\u025b\u0260\u0263"
    "\u0268\u0269\u026f\u0272\u0275\u0280\u0283\u0288-\u028c\u0292\u02bb\u0300-\u036f\u0399\u03b9"
    "\u1e00-\u1eff\u1fbe\u2c65\u2c66\u2c7e\u2c7f\ua7dc"
)
"""Latin letters with marks, and what has the same capital as one of them, as X ignores case."""
_LETTERS = rf"a-zA-Z0-9{_LATIN}\u0400-\u04ff\u1c80-\u1c87"
_NOT_IN_HOST = (
    r"!'#%&()*+,\\\-./:;<=>?@\[\]^_{|}~$"
    "\t-\r \u0085\u00a0\u1680\u180e\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
    "\ufffe\ufeff\uffff\u202a-\u202e\u061c\u200e\u200f\u2066-\u2069"
)
# Compiled by `re` at the first use: that takes longer than the import of most rooms.
_HOST_RUN = rf"(?:[^{_NOT_IN_HOST}]|[_.\-])+"
_BREAK = r"[^A-Za-z0-9@\uff20$#\uff03\ufffe\ufeff\uffff]"
_LATIN_LABELS = rf"(?:[a-zA-Z0-9\-{_LATIN}]+\.)+"
_SCHEME_BEFORE = r"[hH][tT][tT][pP][sS]?://\Z"
_PATH = rf"[{_LETTERS}!*';:=+,.$/%#\[\]\-\u2013_~@|&]"
_BRACKETS = rf"\((?:{_PATH}+|{_PATH}*\({_PATH}+\){_PATH}*)\)"
_PATH_END = rf"[{_LETTERS}+\-=_#/]"
_QUERY = r"(?:\?[a-zA-Z0-9!?*'@();:&=+$/%#\[\]\-_.,~|]*[a-zA-Z0-9\-_&=#/])?"
_REST = (
    r"(?::[0-9]+)?"
    rf"(?P<path>/(?:{_PATH}*(?:{_BRACKETS}{_PATH}*)*{_PATH_END}|{_BRACKETS}|@{_PATH}+/)*)?"
    rf"{_QUERY}"
)
_SHORT_LINK = rf"[hH][tT][tT][pP][sS]?://[tT]\.[cC][oO]/([a-zA-Z0-9]+){_QUERY}"


def link_spans(text: str) -> list[LinkSpan]:
    """Return the links in a text, in order."""
    if "." not in text:
        return []
    spans: list[LinkSpan] = []
    done = 0
    for found in re.finditer(_HOST_RUN, text):
        if "." not in found[0].strip("."):
            continue
        run = _HostRun(text, found.start(), found.end())
        while host := run.next_host(done):
            rest = re.compile(_REST).match(text, host.end)
            assert rest is not None  # every part of it may be missing
            done = rest.end()
            if _is_valid(text, host, done):
                spans.extend(_links_at(text, host, done, has_path=rest["path"] is not None))
    return spans


def links_in(text: str) -> tuple[str, ...]:
    """Return the links in a text, as written there."""
    return tuple(span.url for span in link_spans(text))


class _HostRun:
    """A run of characters that may stand in a host, cut into labels at its dots.

    Its table is made once, from right to left, so that a text costs no more than its length.
    """

    def __init__(self, text: str, start: int, end: int) -> None:
        self._text = text
        self._start, self._end = start, end
        labels: list[tuple[int, int]] = []
        for label in text[start:end].split("."):
            labels.append((start, start + len(label)))
            start += len(label) + 1
        self._labels = labels
        self._starts = [first for first, _ in labels]
        self._ends = [_top_level_end(text, *label) for label in labels]
        self._host_ends = [0] * (len(labels) + 1)
        """For each label, the end of the longest host that begins with the whole label, or 0."""
        if any(self._ends[1:]):
            for index in reversed(range(len(labels) - 1)):
                self._host_ends[index] = self._host_end(labels[index][0], index)

    def next_host(self, done: int) -> _Host | None:
        """Return the first host after `done`, the end of the link before it; None if none."""
        if not any(self._ends[1:]):
            return None
        for start, before, scheme in self._candidates(done):
            end = self._host_end(start, bisect_right(self._starts, start) - 1)
            if end:
                return _Host(start, end, before, scheme)
        return None

    def _candidates(self, done: int) -> Iterator[tuple[int, str, str]]:
        """Yield where a host may begin, the character before it, and its scheme, in X's order."""
        text, start = self._text, self._start
        scheme = re.search(_SCHEME_BEFORE, text[max(start - len(_SECURE), 0) : start])
        if scheme is not None:
            before = start - len(scheme[0])
            if before == done == 0 or (before > done and _is_break(text[before - 1])):
                yield start, "", scheme[0]
        if not start and not done:
            if _is_break(text[0]):
                yield 1, text[0], ""
            yield 0, "", ""
        for at in range(max(start, done), self._end):
            if at > done and _is_break(text[at - 1]):
                yield at, text[at - 1], ""
            elif text[at] > _LAST_OF_ONE_UNIT:
                yield at, "", ""

    def _host_end(self, start: int, index: int) -> int:
        """Return the end of the longest host that begins at `start`, inside this label; or 0."""
        end = self._labels[index][1]
        if start >= end or self._text[start] in "_-" or self._text[end - 1] in "_-":
            return 0
        longer = self._host_ends[index + 1]
        if longer or index + 1 == len(self._labels):
            return longer
        return 0 if "_" in self._text[start:end] else self._ends[index + 1]


def _links_at(text: str, host: _Host, end: int, *, has_path: bool) -> list[LinkSpan]:
    start = host.start - len(host.scheme)
    if host.scheme:
        url = text[start:end]
        short = re.match(_SHORT_LINK, url)
        if short is None:
            return [LinkSpan(start, end, url)]
        if len(short[1]) > _MOST_SHORT_NAME:
            return []
        return [LinkSpan(start, start + len(short[0]), short[0])]
    if host.before and host.before in "-_./":
        return []
    links = _latin_domains(text[start : host.end], start)
    if links and has_path:
        last = links[-1]
        links[-1] = LinkSpan(last.start, end, last.url + text[host.end : end])
    return links


def _latin_domains(host: str, offset: int) -> list[LinkSpan]:
    """Return the Latin domains in a host that has no scheme."""
    links: list[LinkSpan] = []
    at = done = 0
    while labels := re.compile(_LATIN_LABELS).search(host, at):
        at = labels.end()
        for dot in _dots_from_right(host, labels.start(), labels.end()):
            if end := _top_level_end(host, dot, len(host)):
                domain = host[labels.start() : end]
                # X looks the domain up again, from the end of the one before it.
                start = host.index(domain, done)
                at, done = end, start + len(domain)
                links.append(LinkSpan(offset + start, offset + done, domain))
                break
    return links


def _dots_from_right(text: str, start: int, end: int) -> Iterator[int]:
    """Yield the positions behind the dots between start and end, the last one first."""
    while (dot := text.rfind(".", start, end)) >= 0:
        yield dot + 1
        end = dot


def _top_level_end(text: str, start: int, end: int) -> int:
    """Return the end of the top-level domain with which a label begins; 0 if it begins with none.

    Letters of another script may follow it; X does not take them as part of the domain.
    """
    for domains, longest in _TOP_LEVEL_DOMAINS:
        for to in range(min(end, start + longest), start + 1, -1):
            if to < len(text) and text[to] in _NOT_AFTER_DOMAIN:
                continue
            if _lowered(text[start:to]) in domains:
                return to
    punycode = re.compile(_PUNYCODE).match(text, start, end)
    return punycode.end() if punycode else 0


def _lowered(label: str) -> str:
    """Return the label in lower case, where no letter outside ASCII becomes one inside."""
    lowered = label.lower()
    return lowered if lowered.isascii() == label.isascii() else label


def _is_break(character: str) -> bool:
    """Return True if a link may begin after the character."""
    return re.match(_BREAK, character) is not None


def _is_valid(text: str, host: _Host, end: int) -> bool:
    """Return True if the lengths of an address and of its labels are those that X takes."""
    domain = text[host.start : host.end]
    if domain.startswith("xn--") and not _latin_domains(domain, 0):
        return False
    if any(not 0 < _encoded_length(label) <= _MOST_LABEL for label in domain.split(".")):
        return False
    # X counts the scheme twice, or one that is not there, in units of UTF-16.
    address = host.scheme + text[host.start : end]
    return len(host.scheme or _SECURE) + _units(address) <= _MOST_ADDRESS


def _encoded_length(label: str) -> int:
    if label.isascii() and label.isprintable():
        return len(label)
    parts = re.split(_DOTS_OF_OTHER_SCRIPTS, label)
    return len(parts) - 1 + sum(map(_encoded_part_length, parts))


def _encoded_part_length(part: str) -> int:
    if part.isascii() and part.isprintable():
        return len(part)
    return len("xn--") + len(part.encode("punycode"))


def _units(text: str) -> int:
    return len(text) + sum(character > _LAST_OF_ONE_UNIT for character in text)


def _read() -> tuple[tuple[frozenset[str], int], ...]:
    source = pkgutil.get_data("botkit.protocol.text", "top_level_domains.json")
    assert source is not None
    data = msgspec.json.decode(source, type=_Data)
    return tuple((domains, max(map(len, domains))) for domains in (data.generic, data.countries))


_TOP_LEVEL_DOMAINS = _read()
"""X's lists in the order in which X tries them, each with the length of its longest domain."""
