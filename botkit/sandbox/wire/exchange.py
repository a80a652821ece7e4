"""What the two front doors hand to the simulated X, and what it hands back. No socket here."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

import msgspec
from msgspec import Struct

__all__ = ["Answer", "Call", "Delivery", "Lines", "Refused", "as_object", "encode"]


class Delivery(enum.Enum):
    """What happens to an answer on its way to the client."""

    WHOLE = "whole"
    LOST = "lost"
    """The connection is reset before the first byte of the answer."""
    CUT = "cut"
    """The connection is reset in the middle of the body."""
    STALLED = "stalled"
    """Nothing ever comes."""


class Lines(Protocol):
    """A body that keeps coming; `aclose` says that nobody reads it any more."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The body's parts."""
        ...

    async def aclose(self) -> None:
        """Close it."""
        ...


class Call(Struct, frozen=True, kw_only=True):
    """One HTTP request. Header names are in lower case, query values are decoded."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = {}
    body: bytes = b""

    @classmethod
    def of(
        cls, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Call:
        """A call from a URL or a path with a query."""
        parts = urlsplit(url)
        return cls(
            method=method,
            path=parts.path or "/",
            query=tuple(parse_qsl(parts.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in (headers or {}).items()},
            body=body,
        )

    def param(self, name: str) -> str | None:
        """A query parameter's first value."""
        return next((value for key, value in self.query if key == name), None)

    @property
    def media_type(self) -> str:
        """The body's media type without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def fields(self) -> dict[str, str]:
        """The body's fields, sent as a form or, as some clients do, as a JSON object of texts."""
        if self.media_type == "application/json":
            decoded = as_object(self.body) or {}
            return {key: str(value) for key, value in decoded.items() if value is not None}
        text = self.body.decode("utf-8", "replace")
        return dict(parse_qsl(text, keep_blank_values=True))

    def cookie(self, name: str) -> str | None:
        """A cookie's value."""
        for part in self.headers.get("cookie", "").split(";"):
            key, _, value = part.strip().partition("=")
            if key == name:
                return value
        return None


class Answer(Struct, kw_only=True):
    """One HTTP answer. With `stream` set the body keeps coming and `body` is empty."""

    status: int
    headers: dict[str, str] = {}
    body: bytes = b""
    stream: Lines | None = None
    delivery: Delivery = Delivery.WHOLE

    @classmethod
    def json(cls, status: int, value: Any, **headers: str) -> Answer:
        """An answer with a JSON body; header names with `_` for `-`."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        named.setdefault("content-type", "application/json; charset=utf-8")
        return cls(status=status, headers=named, body=encode(value))


class Refused(Exception):
    """Raised inside a route: the answer is a refusal."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def encode(value: Any) -> bytes:
    """JSON as X sends it: compact UTF-8."""
    return msgspec.json.encode(value)


def as_object(body: bytes) -> dict[str, Any] | None:
    """The body's JSON object, None when it is not JSON or no object."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        return None
