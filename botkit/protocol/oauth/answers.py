"""Describe the answers of X's OAuth endpoints, for the functions that read tokens from them.

Readers bound the size of an answer, and never quote a success: it may hold a live token.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn, Protocol

from botkit.errors import MalformedAnswer
from botkit.protocol.api.rate_limits import read_date

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LARGEST_BODY_BYTES", "OK", "HttpAnswer", "malformed", "moment_of"]

OK = 200
LARGEST_BODY_BYTES = 64 * 1024


class HttpAnswer(Protocol):
    """Describe an HTTP answer that is read whole; header names are in lower case."""

    @property
    def status(self) -> int:
        """Return the HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers."""
        ...

    @property
    def body(self) -> bytes:
        """Return the body."""
        ...


def moment_of(answer: HttpAnswer, now: datetime | None) -> datetime:
    """Return `now`, else the time in the answer's Date header, else 1970."""
    return now or read_date(answer.headers) or datetime.fromtimestamp(0, UTC)


def malformed(request_name: str, part: str) -> NoReturn:
    """Raise the error for a success with an unusable part.

    Raises:
        MalformedAnswer: Always; names the part and quotes nothing, as the answer may hold a token.
    """
    raise MalformedAnswer(
        f"X answered {request_name} with a success, but its {part} is not usable.",
        request=request_name,
        status=OK,
        detail=part,
    )
