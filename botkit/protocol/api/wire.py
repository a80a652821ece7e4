"""Reads X's JSON leniently: the one place that knows how its values vary on the wire.

X renames fields without notice, doubles integers as `*_str`, wraps objects in `{"data": ...}` and
leaves things out. What is there but cannot be read is kept, by name, so that nothing is lost and
nothing raises.

Source: X's OpenAPI documents 2.166 and 2.167; X API docs, "Event payloads".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeGuard

import msgspec

__all__ = [
    "Fields",
    "is_id",
    "is_list",
    "is_object",
    "parse_json",
    "snowflake_time",
    "to_utc",
    "unwrap",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SNOWFLAKE_EPOCH_MS = 1_288_834_974_657
"""X's ids carry milliseconds since 2010-11-04T01:42:54.657Z in their upper bits."""
_FIRST_SNOWFLAKE = 1 << 36
_LAST_SNOWFLAKE = 1 << 63
_MILLISECONDS_FROM = 100_000_000_000
"""A number of at least this counts milliseconds, a smaller one seconds (until the year 5138)."""
_DEEPEST = 100
_WRAP_DEPTH = 4
_DIGITS = re.compile(r"-?[0-9]{1,20}", re.ASCII)
_ID = re.compile(r"[0-9]{1,19}")

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
        """The same fields for guessing at: what cannot be read is not kept."""
        return Fields(self._wire)

    def refuse(self, name: str, value: object) -> None:
        """Keep a value that cannot be read."""
        self.undecoded[f"{self._path}.{name}" if self._path else name] = value

    def raw(self, *names: str) -> Any:
        """The first value that is there under one of the names, as it is."""
        return self._find(names)[1]

    def id(self, *names: str) -> str | None:
        """An id as text; X sends some as numbers. The `*_str` twin of a number is believed."""
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
        """A text."""
        name, value = self._find(names)
        if isinstance(value, str):
            return value
        self._cannot(name, value)
        return None

    def flag(self, *names: str) -> bool | None:
        """A truth value."""
        name, value = self._find(names)
        if isinstance(value, bool):
            return value
        self._cannot(name, value)
        return None

    def number(self, *names: str) -> int | None:
        """A whole number; its `*_str` twin, or digits as text, do as well."""
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
        """A time: RFC 3339, or seconds or milliseconds since 1970 as number or digits."""
        name, value = self._find(names)
        found = _moment(value)
        if found is None:
            self._cannot(name, value)
        return found

    def inner(self, *names: str) -> Fields:
        """An object inside this one; without any fields when it is not there."""
        name, value = self._find(names)
        path = f"{self._path}.{name}" if self._path else name
        return Fields(value, path=path, undecoded=self.undecoded)

    def items(self, *names: str) -> list[Any]:
        """A list; one object alone counts as a list of one."""
        name, value = self._find(names)
        inner = unwrap(value)
        if is_list(inner):
            return inner
        if is_object(inner):
            return [inner]
        self._cannot(name, value)
        return []

    def objects(self, *names: str) -> list[Fields]:
        """The objects of a list, in order; what is no object is kept as undecoded."""
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


def is_object(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether a JSON value is an object."""
    return isinstance(value, Mapping)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether a JSON value is a list."""
    return isinstance(value, list)


def unwrap(wire: object) -> object:
    """The object inside `{"data": ...}` wrappers, if it is wrapped.

    X wraps some users and payloads that way. An object that has other fields beside `data` than
    those of an answer is no wrapper.
    """
    for _ in range(_WRAP_DEPTH):
        if not is_object(wire) or set(wire) - {"includes", "errors", "meta"} != {"data"}:
            break
        wire = wire["data"]
    return wire


def parse_json(line: bytes) -> Any:
    """The JSON value of a line, as tolerant as can be done without guessing.

    Bytes that are no UTF-8 and halves of surrogate pairs become U+FFFD, NaN and infinity None.

    Raises:
        ValueError: It is no JSON, or nested deeper than anything of X is.
    """
    try:
        value = _parse(line)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not _depth_within(value, _DEEPEST):
        raise ValueError("nested too deeply")
    return value


def _parse(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line)
    except ValueError:
        text = line.decode("utf-8-sig", "replace")
        return _mend(json.loads(text, parse_constant=lambda _: None))


def to_utc(moment: datetime) -> datetime | None:
    """The same moment in UTC, None when it lies outside the calendar; naive counts as UTC."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return None


def is_id(text: str) -> bool:
    """Whether X could have made that id: what is none is not asked for and does not count.

    Source: X's OpenAPI document, `PostId` and `UserId`.
    """
    return _ID.fullmatch(text) is not None


def snowflake_time(an_id: str) -> datetime | None:
    """When X made the id, None for an id that does not tell.

    Source: X API docs, "Twitter IDs": 41 bits of milliseconds, ten of a worker, twelve of a count.
    """
    if not (an_id.isascii() and an_id.isdigit()) or len(an_id) > len(str(_LAST_SNOWFLAKE)):
        return None
    number = int(an_id)
    if not _FIRST_SNOWFLAKE <= number < _LAST_SNOWFLAKE:
        return None
    return _EPOCH + timedelta(milliseconds=(number >> 22) + _SNOWFLAKE_EPOCH_MS)


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


def _mend(value: Any) -> Any:
    """The value without halves of surrogate pairs, which no store and no wire can carry."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if is_list(value):
        return [_mend(item) for item in value]
    if is_object(value):
        return {_mend(name): _mend(item) for name, item in value.items()}
    return value


def _depth_within(value: Any, most: int) -> bool:
    inside = list(value.values()) if is_object(value) else value
    return not is_list(inside) or (
        most > 0 and all(_depth_within(item, most - 1) for item in inside)
    )
