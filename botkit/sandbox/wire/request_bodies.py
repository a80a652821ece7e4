"""Read JSON bodies of requests by a schema; refuse invalid ones in X's words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from botkit.sandbox.wire import problems
from botkit.sandbox.wire.exchange import as_object

if TYPE_CHECKING:
    from botkit.sandbox.wire.exchange import Call

__all__ = ["Id", "body_of"]

Id = Annotated[str, Meta(pattern="^[0-9]{1,19}$")]
"""An id of X in a body."""
B = TypeVar("B", bound=Struct)

_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*?)`(?: - at `\$(?P<where>.*)`)?")
_MISSING = re.compile(r"Object missing required field `(?P<name>.*?)`(?: - at `\$(?P<where>.*)`)?")
_OTHER = re.compile(r"(?P<fault>.*?) - at `(?P<where>\$.*)`")


def body_of(call: Call, schema: type[B]) -> B:
    """Return the body of a call.

    Raises:
        Refused: 400: the body is not a JSON object, or does not fit the schema.
    """
    body = as_object(call.body)
    if call.media_type != "application/json" or body is None:
        raise problems.invalid_request(
            "Requests with bodies must have content-type of application/json."
        )
    try:
        return msgspec.convert(body, schema)
    except msgspec.ValidationError as wrong:
        raise problems.invalid_request(_in_words_of_x(str(wrong))) from None


def _in_words_of_x(fault: str) -> str:
    if unknown := _UNKNOWN.fullmatch(fault):
        return (
            f"$.{_place(unknown)}: is not defined in the schema and the schema does not allow"
            " additional properties"
        )
    if missing := _MISSING.fullmatch(fault):
        return f"$.{_place(missing)}: is missing but it is required"
    if other := _OTHER.fullmatch(fault):
        return f"{other['where']}: {other['fault']}"
    return f"$: {fault}"


def _place(found: re.Match[str]) -> str:
    return f"{found['where'] or ''}.{found['name']}".removeprefix(".")
