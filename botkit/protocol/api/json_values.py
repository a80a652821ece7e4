"""Decode the JSON that X sends, and tell its objects and lists apart.

Users' texts can hold halves of surrogate pairs and bytes that are not UTF-8; both become U+FFFD,
because no store and no wire can carry them.

Source: RFC 8259; bodies and stream lines of X seen on the wire.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn, TypeGuard, cast

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "is_list",
    "is_object",
    "json_object",
    "json_objects",
    "parse_body",
    "parse_json",
    "unwrap",
]

_DEEPEST = 100
_WRAP_DEPTH = 4
_TOO_DEEP = "nested too deeply"


def parse_body(body: bytes) -> Any:
    """Return the JSON value of an answer's body. NaN and infinities are no JSON.

    Raises:
        ValueError: It is no JSON, or nested too deeply.
    """
    try:
        return msgspec.json.decode(body)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    except ValueError:
        return _bounded(_load(body, _refuse_constant))


def parse_json(line: bytes) -> Any:
    """Return the JSON value of an event's line. NaN and infinities become None.

    Raises:
        ValueError: It is no JSON, or nested deeper than any event of X.
    """
    try:
        value = msgspec.json.decode(line)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    except ValueError:
        value = _load(line, lambda _: None)
    return _bounded(value)


def is_object(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Return True if a JSON value is an object."""
    return isinstance(value, Mapping)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Return True if a JSON value is a list."""
    return isinstance(value, list)


def json_object(value: object) -> dict[str, Any] | None:
    """Return the value if it is a decoded JSON object, else None."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def json_objects(value: object) -> list[dict[str, Any]]:
    """Return the objects of a decoded JSON array; an empty list for any other value."""
    if not isinstance(value, list):
        return []
    items = cast("Sequence[object]", value)
    return [found for item in items if (found := json_object(item)) is not None]


def unwrap(wire: object) -> object:
    """Return the value inside `{"data": ...}` wrappers, or the value itself if it has none.

    X wraps some users and payloads that way. An object that has other fields beside `data` than
    those of an answer is no wrapper.
    """
    for _ in range(_WRAP_DEPTH):
        if not is_object(wire) or set(wire) - {"includes", "errors", "meta"} != {"data"}:
            break
        wire = wire["data"]
    return wire


def _load(text: bytes, read_constant: Callable[[str], None]) -> Any:
    """Decode what the strict decoder refuses; mend its texts."""
    try:
        return _mend(json.loads(text.decode("utf-8-sig", "replace"), parse_constant=read_constant))
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _bounded(value: Any) -> Any:
    if not _depth_within(value, _DEEPEST):
        raise ValueError(_TOO_DEEP)
    return value


def _mend(value: Any) -> Any:
    """Return the value without halves of surrogate pairs."""
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
