"""Requests to the simulated X and its answers, without a socket."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

import msgspec
from msgspec import Struct

__all__ = ["Answer", "Call", "Delivery", "Lines", "Refused", "as_object", "encode"]


class Delivery(enum.Enum):
    """What a planned fault does to an answer on its way to the client."""

    WHOLE = "whole"
    LOST = "lost"
    """The connection is reset before the first byte of the answer."""
    CUT = "cut"
    """The connection is reset in the middle of the body."""
    STALLED = "stalled"
    """No byte of the answer ever arrives."""


class Lines(Protocol):
    """A body that arrives line by line; the reader calls `aclose` when it stops reading."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Return an iterator over the body's parts."""
        ...

    async def aclose(self) -> None:
        """Close it."""
        ...


class Call(Struct, frozen=True, kw_only=True):
    """An HTTP request. Header names are in lower case, query values are decoded."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = {}
    body: bytes = b""

    @classmethod
    def of(
        cls, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Call:
        """Return a call for a URL, or for a path with a query."""
        if not url.startswith("/"):
            parts = urlsplit(url)
            url = f"{parts.path or '/'}?{parts.query}"
        path, _, query = url.partition("?")
        return cls(
            method=method,
            path=path,
            query=tuple(parse_qsl(query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in (headers or {}).items()},
            body=body,
        )

    def param(self, name: str) -> str | None:
        """Return a query parameter's first value."""
        return next((value for key, value in self.query if key == name), None)

    @property
    def media_type(self) -> str:
        """The body's media type without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def fields(self) -> dict[str, str]:
        """Return the body's fields: a form or, from some clients, a JSON object of texts."""
        if self.media_type == "application/json":
            decoded = as_object(self.body) or {}
            return {key: str(value) for key, value in decoded.items() if value is not None}
        text = self.body.decode("utf-8", "replace")
        return dict(parse_qsl(text, keep_blank_values=True))

    def cookie(self, name: str) -> str | None:
        """Return a cookie's value."""
        for part in self.headers.get("cookie", "").split(";"):
            key, _, value = part.strip().partition("=")
            if key == name:
                return value
        return None


class Answer(Struct, kw_only=True):
    """An HTTP answer. If `stream` is set, it is the body, and `body` is empty."""

    status: int
    headers: dict[str, str] = {}
    body: bytes = b""
    stream: Lines | None = None
    delivery: Delivery = Delivery.WHOLE

    @classmethod
    def json(cls, status: int, value: Any, **headers: str) -> Answer:
        """Return an answer with a JSON body; header names are given with `_` for `-`."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        named.setdefault("content-type", "application/json; charset=utf-8")
        return cls(status=status, headers=named, body=encode(value))


class Refused(Exception):
    """Raised inside a route to answer with a refusal."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def encode(value: Any) -> bytes:
    """Return the value as X sends JSON: compact, in UTF-8."""
    return msgspec.json.encode(value)


def as_object(body: bytes) -> dict[str, Any] | None:
    """Return the body's JSON object, None if it is no JSON or no object."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
