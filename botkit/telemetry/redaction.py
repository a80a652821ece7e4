"""Keep secrets out of log lines and command output, also of lines by other libraries."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, MutableMapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, Final, TypeAlias, cast
from urllib.parse import quote, quote_plus

from botkit.telemetry.escaping import escape, escape_lines
from botkit.telemetry.times import rfc3339

__all__ = ["REDACTED", "Plain", "Redactor"]

Plain: TypeAlias = "str | int | float | bool | list[Plain] | dict[str, Plain] | None"
"""A value that any renderer writes without a `repr` of its own."""

REDACTED: Final = "[redacted]"
_SECRET_NAMES = re.compile(
    r"(?i)^(authorization|proxy-authorization|cookie|set-cookie|.*secret|.*password|.*passphrase"
    r"|.*token|.*api[-_]?key|bearer|pin|code|code_verifier|oauth_verifier|(oauth_)?signature)$"
)
_ANY_NAME = (
    r"(?:[\w-]{0,30}[_-])?(?:token|secret|password|passphrase|api[_-]?key)"
    "|code_verifier|oauth_verifier|oauth_signature"
)
_SECRET_VALUES = re.compile(
    r"(?i)(?P<name>authorization:\s*\w+\s+"
    r"|(?:bearer|basic)\s+(?=\S{8})(?-i:(?=\S+[0-9A-Z]))"  # not the words "bearer token"
    rf"|(?:\b|%[0-9a-f]{{2}})(?:{_ANY_NAME}|code|state)(?:=|%3D)b?[\"']?"
    rf"|[\"'](?:{_ANY_NAME})\\*[\"']\s*:\s*b?\\*[\"'])(?P<value>[^\s&\"',\\]+)"
)
_SECRET_HEADERS = re.compile(
    r"(?i)(?P<name>(?P<quote>[\"'])(?:proxy-authorization|authorization|cookie|set-cookie)(?P=quote)"
    r"\s*[:,]\s*b?(?P<around>[\"']))(?P<value>.+?)(?P=around)"
    r"|(?P<start>\b(?:set-)?cookie:\s*)[^\r\n]+"
)
"""Headers in a `repr` or JSON, where values may have blanks, and cookies on the wire."""
_PASSWORD_IN_ADDRESS = re.compile(
    r"(?i)(?P<name>\b[a-z][a-z0-9+.-]{0,20}://[^\s/:@\"']*:)[^\s/@\"']+(?=@)"
)
"""User and password in an address, as of a proxy or a database."""
_SIGNS = ("=", ":", " ", "%3")
"""Each form of a secret has one of these: most fields of a log line have none."""
_SHORTEST = 6
_DEEPEST = 8
_META = frozenset({"_record", "_from_structlog"})
"""structlog's own fields, which its formatter removes."""
_PAIR = 2


class Redactor:
    """Replaces secrets, found by the field's name, by their form on the wire, or by their value.

    Args:
        secrets: Values known to be secret, for instance from the settings. Short ones are
            ignored, because they would hide ordinary words.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known: dict[str, None] = {}
        for secret in secrets:
            self.learn(secret)

    def learn(self, secret: str) -> None:
        """Hide this value from now on, also as a `repr`, JSON, HTML or an address shows it."""
        if len(secret) < _SHORTEST:
            return
        quoted = repr(f"'\"{secret}")[4:-1]  # preceded by both quotes, so that its own are escaped
        in_json = json.dumps(secret, ensure_ascii=False)[1:-1]
        for shape in (
            *(secret, repr(secret)[1:-1], quoted),
            *(quote(secret, safe=""), quote(secret), quote_plus(secret), _in_html(secret)),
            *(in_json, json.dumps(in_json, ensure_ascii=False)[1:-1]),
        ):
            self._known[shape] = None
        # The longest secret first: a shorter one may be the beginning of a longer one.
        self._known = dict.fromkeys(sorted(self._known, key=len, reverse=True))

    def known(self, text: str) -> str:
        """Return the text without known secret values; names like `token=` are left alone."""
        for secret in self._known:
            text = text.replace(secret, REDACTED)
        return text

    def text(self, text: str) -> str:
        """Return the text without secrets, found by value or by form."""
        text = self.known(text)
        if not any(sign in text for sign in _SIGNS):
            return text
        text = _SECRET_HEADERS.sub(_without_value, text)
        for pattern in (_SECRET_VALUES, _PASSWORD_IN_ADDRESS):
            text = pattern.sub(lambda found: found["name"] + REDACTED, text)
        return text

    def line(self, text: str) -> str:
        """Return the text without secrets and on one line, its control characters escaped."""
        return escape(self.text(text))

    def plain(self, value: object, *, depth: int = 0) -> Plain:
        """Return the value as text, numbers, lists and dicts, without secrets, escaped.

        Anything else is shown by its `repr`; bytes are shown as text.
        """
        match value:
            case Enum():
                return self.plain(value.value)
            case str():
                return self.line(value)
            case bool() | int() | float() | None:
                return value
            case Mapping() if depth < _DEEPEST:
                return self._mapping(cast("Mapping[object, object]", value), depth + 1)
            case tuple() if named := getattr(cast("object", value), "_asdict", None):
                return self.plain(named(), depth=depth)
            case tuple() | list() | AbstractSet() if depth < _DEEPEST:
                return self._items(cast("Iterable[object]", value), depth + 1)
            case _:
                return self.line(_shown(value))

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Plain]:
        return {
            str(self.plain(name if isinstance(name, (str, bytes)) else _shown(name))): (
                REDACTED if _is_secret(name) else self.plain(held, depth=depth)
            )
            for name, held in value.items()
        }

    def _items(self, value: Iterable[Any], depth: int) -> list[Plain]:
        """Return the items; if they are a name and its secret, as of a header, hide the latter."""
        items = list(value)
        if len(items) == _PAIR and _is_secret(items[0]):
            return [self.plain(items[0]), REDACTED]
        return [self.plain(item, depth=depth) for item in items]

    def __call__(
        self, _logger: Any, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Serve as a structlog processor; the trace of an exception keeps its lines."""
        for given, value in list(event.items()):
            if given in _META:
                continue
            name = self.line(given)
            if name != given:
                del event[given]
            if name != "event" and _is_secret(name):
                event[name] = REDACTED
            elif name == "exception" and isinstance(value, str):
                event[name] = escape_lines(self.text(value))
            else:
                event[name] = self._field(value)
        return event

    def _field(self, value: object) -> Plain:
        """Return the value as `plain` does, or only its class if that fails."""
        try:
            return self.plain(value)
        except Exception:  # noqa: BLE001 - the code of the class is not ours
            return f"<{type(value).__name__}>"


def _in_html(secret: str) -> str:
    """Return what `html.escape` does; importing that module costs more than a start may."""
    for character, name in (("&", "amp"), ("<", "lt"), (">", "gt"), ('"', "quot"), ("'", "#x27")):
        secret = secret.replace(character, f"&{name};")
    return secret


def _without_value(found: re.Match[str]) -> str:
    if found["start"]:
        return found["start"] + REDACTED
    return found["name"] + REDACTED + found["around"]


def _is_secret(name: object) -> bool:
    if isinstance(name, bytes):
        name = name.decode("latin-1")
    return isinstance(name, str) and _SECRET_NAMES.match(name) is not None


def _shown(value: object) -> str:
    """Return the value as text, or only its class if that fails: a log line must never raise."""
    try:
        match value:
            case str():
                return value
            case datetime():
                return rfc3339(value)
            case Decimal() | PurePath():
                return str(value)
            case bytes() | bytearray():
                return bytes(value).decode("utf-8", "backslashreplace")
            case BaseException():
                return f"{type(value).__name__}: {value}"
            case _:
                return repr(value)
    except Exception:  # noqa: BLE001 - the code of the class is not ours
        return f"<{type(value).__name__}>"
