"""Decode the body of a delivery: JSON, or the fields of a form."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import msgspec

__all__ = ["BodyFault", "decode_body"]

_FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 1000
_KIB = 1024


class BodyFault(Exception):
    """Says why a body is not taken.

    Attributes:
        status: The status of the answer.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def decode_body(content_type: str, body: bytes, *, most_kib: int) -> Any:
    """Return the data of a body. A body without a type is read as JSON.

    Raises:
        BodyFault: The body is too large, its type is neither JSON nor a form, or it is not what
            its type says.
    """
    if len(body) > most_kib * _KIB:
        raise BodyFault(413, f"the body is larger than {most_kib} KiB")
    kind = content_type.partition(";")[0].strip().lower()
    if kind == _FORM:
        return _form(body)
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise BodyFault(415, f"send application/json or {_FORM}")
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        raise BodyFault(400, "the body is no JSON") from None


def _form(body: bytes) -> dict[str, str | list[str]]:
    """Return a form's fields; a name that comes several times has a list of texts."""
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise BodyFault(400, "the body is no form") from None
    fields: dict[str, str | list[str]] = {}
    for name, text in pairs:
        before = fields.get(name)
        if before is None:
            fields[name] = text
        elif isinstance(before, list):
            before.append(text)
        else:
            fields[name] = [before, text]
    return fields
