"""Find mistakes in an app's keys without asking X: text that no key can hold, and odd shapes.

X documents no format, so an odd shape is only a hint, and X's answer is the proof. Quotes, line
ends and the same text for two different keys are certain mistakes.

Source: docs/explanation/x-facts.md, 2.17, 3.2 and 5.1; shapes as X's pages show them.
"""

from __future__ import annotations

import re
from itertools import combinations
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["FIELDS", "Oddity", "look_at"]

FIELDS = ("client_id", "client_secret", "api_key", "api_secret", "bearer_token")
"""The settings of an app that hold keys."""

_BEARER = "AAAA"
"""The start of an app's bearer token. Source: X API docs, "Application-only", sample answer."""
_ACCESS_TOKEN = re.compile(r"[0-9]{5,20}-[0-9A-Za-z]{20,}", re.ASCII)
"""A user's access token: the user's id, a dash and more text.

Source: X API docs, "Creating a signature", sample token.
"""
_SCHEME = re.compile(r"(bearer|basic|oauth)\s", re.IGNORECASE)
_QUOTES = "\"'`<>"


class Oddity(Struct, frozen=True, kw_only=True, gc=False):
    """Hold something odd about one or two fields: a certain mistake if `sure`, else a hint."""

    fields: tuple[str, ...]
    text: str
    sure: bool


def look_at(keys: Mapping[str, str]) -> list[Oddity]:
    """Return the oddities of the keys that are set; they name fields and never quote a value."""
    given = {name: keys[name] for name in FIELDS if keys.get(name)}
    found = [oddity for name, value in given.items() for oddity in _one(name, value)]
    for first, second in combinations(given, 2):
        if given[first].strip() == given[second].strip():
            text = f"{first} and {second} are the same text; they are two different things."
            found.append(Oddity(fields=(first, second), text=text, sure=True))
    return found


def _one(name: str, value: str) -> Iterator[Oddity]:
    if _SCHEME.match(value):
        word = value.split(maxsplit=1)[0]
        yield _sure(name, f"begins with {word!r}, which is not a part of it.")
    elif value != value.strip():
        # Calls trim white space around every key but the bearer token.
        sure = name == "bearer_token"
        yield Oddity(fields=(name,), text=f"{name} has white space at an end.", sure=sure)
    elif not value.isascii() or not value.isprintable():
        yield _sure(name, "holds a line end or a letter that no key has.")
    elif " " in value:
        # Allowed in a client's id and secret (RFC 6749, appendix A.1), and in none that X shows.
        yield Oddity(
            fields=(name,), text=f"{name} holds a blank.", sure=not name.startswith("client_")
        )
    elif value[0] in _QUOTES or value[-1] in _QUOTES:
        yield _sure(name, "stands in quotes or brackets.")
    elif name == "bearer_token" and not value.startswith(_BEARER):
        yield _hint(name, f"does not begin with {_BEARER}, as an app's bearer token does.")
    elif name != "bearer_token" and value.startswith(_BEARER):
        yield _hint(name, f"begins with {_BEARER}, as an app's bearer token does.")
    if _ACCESS_TOKEN.fullmatch(value):
        yield _hint(name, "looks like a user's OAuth 1.0a access token.")


def _sure(name: str, text: str) -> Oddity:
    return Oddity(fields=(name,), text=f"{name} {text}", sure=True)


def _hint(name: str, text: str) -> Oddity:
    return Oddity(fields=(name,), text=f"{name} {text}", sure=False)
