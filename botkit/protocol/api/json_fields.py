"""Read the fields of X's JSON objects: the one place that knows how their values vary.

X renames fields without notice, doubles integers as `*_str`, wraps objects in `{"data": ...}` and
omits fields. A value that is there but cannot be read is kept under its name, so that nothing is
lost and nothing raises.

Source: X's OpenAPI documents 2.166 and 2.167; X API docs, "Event payloads".
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from botkit.protocol.api.json_values import is_list, is_object, unwrap

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Fields", "to_utc"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECONDS_FROM = 100_000_000_000
"""A number of at least this counts milliseconds, a smaller one seconds (until the year 5138)."""
_DIGITS = re.compile(r"-?[0-9]{1,20}", re.ASCII)

_NOTHING: Mapping[str, Any] = {}


class Fields:
    """The fields of one JSON object, read one by one under each name that X uses for them.

    A field that is absent or null reads as None. A field of a type that cannot be read reads as
    None too, and its raw value is put into `undecoded` under its dotted name.
    """

    __slots__ = ("_path", "_wire", "undecoded")

    def __init__(
        self, wire: object, *, path: str = "", undecoded: dict[str, Any] | None = None
    ) -> None:
        self.undecoded: dict[str, Any] = {} if undecoded is None else undecoded
        self._path = path
        inner = unwrap(wire)
        self._wire = inner if is_object(inner) else _NOTHING
        if inner is not None and not is_object(inner):
            self.undecoded[path or "payload"] = wire

    def __contains__(self, name: str) -> bool:
        return name in self._wire

    def __bool__(self) -> bool:
        return bool(self._wire)

    def probe(self) -> Fields:
        """Return the same fields for a guess: values that cannot be read are not kept."""
        return Fields(self._wire)

    def refuse(self, name: str, value: object) -> None:
        """Keep a value that cannot be read."""
        self.undecoded[f"{self._path}.{name}" if self._path else name] = value

    def raw(self, *names: str) -> Any:
        """Return the first value under one of the names, unchanged."""
        return self._find(names)[1]

    def id(self, *names: str) -> str | None:
        """Return an id as text. X sends some as numbers; then the `*_str` twin is believed."""
        name, value = self._find(names)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            for twin in names:
                text = self._wire.get(f"{twin}_str")
                if isinstance(text, str) and text.strip():
                    return text.strip()
        if isinstance(value, str) and value.strip():
            return value.strip()
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        self._cannot(name, value)
        return None

    def text(self, *names: str) -> str | None:
        """Return a text."""
        name, value = self._find(names)
        if isinstance(value, str):
            return value
        self._cannot(name, value)
        return None

    def flag(self, *names: str) -> bool | None:
        """Return a truth value."""
        name, value = self._find(names)
        if isinstance(value, bool):
            return value
        self._cannot(name, value)
        return None

    def number(self, *names: str) -> int | None:
        """Return a whole number, from a number, digits as text, or the `*_str` twin."""
        name, value = self._find(names)
        if value is None:
            value = next(
                (self._wire[f"{twin}_str"] for twin in names if f"{twin}_str" in self._wire), None
            )
        found = _whole(value)
        if found is None:
            self._cannot(name, value)
        return found

    def moment(self, *names: str) -> datetime | None:
        """Return a time, from RFC 3339, or seconds or milliseconds since 1970."""
        name, value = self._find(names)
        found = _moment(value)
        if found is None:
            self._cannot(name, value)
        return found

    def inner(self, *names: str) -> Fields:
        """Return an object inside this one; without any fields if it is not there."""
        name, value = self._find(names)
        path = f"{self._path}.{name}" if self._path else name
        return Fields(value, path=path, undecoded=self.undecoded)

    def items(self, *names: str) -> list[Any]:
        """Return a list; one object alone counts as a list of one."""
        name, value = self._find(names)
        inner = unwrap(value)
        if is_list(inner):
            return inner
        if is_object(inner):
            return [inner]
        self._cannot(name, value)
        return []

    def objects(self, *names: str) -> list[Fields]:
        """Return the objects of a list, in order; other items are kept as undecoded."""
        name = self._find(names)[0]
        path = f"{self._path}.{name}" if self._path else name
        return [
            Fields(item, path=f"{path}[{at}]", undecoded=self.undecoded)
            for at, item in enumerate(self.items(*names))
            if item is not None
        ]

    def _find(self, names: tuple[str, ...]) -> tuple[str, Any]:
        for name in names:
            value = self._wire.get(name)
            if value is not None:
                return name, value
        return names[0], None

    def _cannot(self, name: str, value: object) -> None:
        if value is not None:
            self.refuse(name, value)


def to_utc(moment: datetime) -> datetime | None:
    """Return the moment in UTC; None if it lies outside the calendar. Naive counts as UTC."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return None


def _whole(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    return None


def _moment(value: object) -> datetime | None:
    number = _whole(value)
    try:
        if number is not None:
            in_ms = abs(number) >= _MILLISECONDS_FROM
            return _EPOCH + timedelta(**{"milliseconds" if in_ms else "seconds": number})
        return to_utc(msgspec.convert(value, datetime))
    except (OverflowError, msgspec.ValidationError):
        return None
