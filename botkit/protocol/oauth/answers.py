"""The answers of X's OAuth endpoints, as the readers of tokens take them.

They come before any login is there, so they are bounded, and a success is never quoted.
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
    """An HTTP answer, read whole; header names in lower case."""

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
    """Return `now`, else the time that the answer holds, else 1970."""
    return now or read_date(answer.headers) or datetime.fromtimestamp(0, UTC)


def malformed(request_name: str, part: str) -> NoReturn:
    """Raise the error for a success with an unusable part; the rest may hold a live token.

    Raises:
        MalformedAnswer: Names the part and quotes nothing.
    """
    raise MalformedAnswer(
        f"X answered {request_name} with a success, but its {part} is not usable.",
        request=request_name,
        status=OK,
        detail=part,
    )
