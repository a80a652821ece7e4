"""Build a call of any operation of X by its id, for operations without a builder of their own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

import msgspec

from botkit.protocol.api.operations import operation
from botkit.protocol.api.requests import Request, segment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["raw_call"]


def raw_call(
    operation_id: str,
    *,
    path: Mapping[str, str] | None = None,
    query: Mapping[str, object] | None = None,
    json: Any = None,
) -> Request:
    """Build a call of an operation of X by its id; `path` fills the parameters of its path.

    Raises:
        KeyError: X has no such operation.
        TypeError: `path` does not have the parameters of the path, or a value cannot be sent.
        ValueError: A parameter of the path is not an id.
    """
    called = operation(operation_id)
    given = dict(path or {})
    wanted = re.findall(r"{(\w+)}", called.path)
    if given.keys() != set(wanted):
        has = ", ".join(given) or "nothing"
        raise TypeError(
            f"{operation_id} is {called.name}: path has {', '.join(wanted) or 'nothing'}, "
            f"not {has}."
        )
    filled = called.path
    for name, value in given.items():
        filled = filled.replace(f"{{{name}}}", segment(value))
    return Request(
        operation=called.id,
        method=called.method,
        path=filled,
        query=tuple((name, _sent(value)) for name, value in (query or {}).items()),
        json=None if json is None else msgspec.json.encode(json),
    )


def _sent(value: object) -> str:
    """Return a parameter as X reads it: booleans in lower case, several values with commas."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, cast("Iterable[object]", value)))
    return str(value)
