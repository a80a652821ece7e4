"""Turn an error body of X into an error: its class, its words and its cure.

X sends problems, v1 error lists, OAuth errors, HTML and nothing at all. The status decides the
class first; the table of refusals decides the rest.

Source: X API docs, "Response codes and errors", and bodies seen on the wire.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from botkit.errors import (
    BadRequest,
    Forbidden,
    MalformedAnswer,
    NotFound,
    PaymentRequired,
    RateLimited,
    ResponseError,
    ServerError,
    Unauthorized,
)
from botkit.protocol.api import rate_limits
from botkit.protocol.api.json_values import json_objects

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["ErrorBody", "error_of", "excerpt", "is_about_resource"]

_LONGEST_TEXT = 500
_LONGEST_EXCERPT = 200
_LONGEST_RETRY_AFTER = timedelta(minutes=15)

_HIDDEN = "not-authorized-for-resource"

_BY_STATUS: Mapping[int, type[ResponseError]] = {
    401: Unauthorized,
    402: PaymentRequired,
    403: Forbidden,
    404: NotFound,
    408: ServerError,
    425: ServerError,
    429: RateLimited,
    501: BadRequest,  # it was not carried out, and never will be. Source: RFC 9110, 15.6.2
}

_BY_NAME: Mapping[str, type[ResponseError]] = {
    "BadRequest": BadRequest,
    "Forbidden": Forbidden,
    "NotFound": NotFound,
    "RateLimited": RateLimited,
    "ServerError": ServerError,
}
"""The classes that the table of refusals names, but for money, which comes first."""

_REASONS = ("reason", "connection_issue", "disconnect_type")
"""Fields that say more than the type. Source: X API docs, "Response codes and errors"."""

_BY_TITLE: Mapping[str, type[ResponseError]] = {
    "Not Found Error": NotFound,
    "Authorization Error": Forbidden,
}


class ErrorBody(Struct, frozen=True, kw_only=True, gc=False):
    """The parts of an error body, whatever its shape.

    `segment` is the last path segment of the problem type, whose host varies.
    """

    title: str = ""
    detail: str = ""
    segment: str = ""
    codes: tuple[int, ...] = ()
    reason: str = ""
    status: int = 0
    """The status inside the body, 0 if it names none."""


def _read(body: Mapping[str, Any]) -> ErrorBody:
    """Read a problem, a v1 error list or an OAuth error."""
    errors = json_objects(body.get("errors"))
    messages = [text for entry in errors if (text := _text(entry.get("message")))]
    detail = _text(body.get("detail")) or _text(body.get("error_description"))
    said = dict.fromkeys([detail, *messages] if detail else messages)  # both may say the same
    return ErrorBody(
        title=_text(body.get("title")) or _text(body.get("error")),
        detail=_cut(" ".join(said), _LONGEST_TEXT),
        segment=_segment(body.get("type")),
        codes=tuple(code for entry in errors if (code := _code(entry.get("code"))) is not None),
        reason=next((text for name in _REASONS if (text := _text(body.get(name)))), ""),
        status=_code(body.get("status")) or 0,
    )


def error_of(
    request_name: str,
    status: int,
    body: Mapping[str, Any],
    headers: Mapping[str, str],
    *,
    now: datetime,
) -> ResponseError:
    """Return the error that a status and a decoded body mean."""
    read = _read(body)
    kind = _class_of(status, read)
    said = ": ".join(part for part in (read.title, read.detail) if part)
    error = kind(
        f"X answered {request_name} with {status}" + (f", {said}" if said else "."),
        request=request_name,
        status=status,
        title=read.title,
        detail=read.detail,
        problem_type=read.segment,
        codes=read.codes,
        reason=read.reason,
    )
    error.hint = _hint(error)
    if isinstance(error, RateLimited):
        error.retry_at = rate_limits.retry_at(headers, now=now)
    if isinstance(error, ServerError):
        asked = rate_limits.read_retry_after(headers, now=now)
        error.retry_at = None if asked is None else now + min(asked, _LONGEST_RETRY_AFTER)
    return error


def is_about_resource(error: Forbidden) -> bool:
    """Return True if X allowed the call and only hides what it asks for.

    The owner is protected, suspended, or has blocked the account.
    Source: X API docs, "Response codes and errors": a partial error, or the type alone.
    """
    return error.status < 300 or error.problem_type == _HIDDEN  # noqa: PLR2004 - 2xx


def excerpt(body: bytes) -> str:
    """Return the beginning of a body that is no JSON, on one line, for a person to read."""
    return _cut(body[: 4 * _LONGEST_EXCERPT].decode("utf-8", "replace"), _LONGEST_EXCERPT)


def _class_of(status: int, body: ErrorBody) -> type[ResponseError]:
    """Return the class that the status tells, but for money, used-up windows and successes.

    A success status that carries errors alone is told by the problem type.
    """
    from botkit.protocol.refusals.table import ERROR_OF_CODE, ERROR_OF_TITLE, ERROR_OF_TYPE

    if status >= 500 and status not in _BY_STATUS:  # noqa: PLR2004 - the class of statuses
        return ServerError
    of_type = ERROR_OF_TYPE.get(body.segment, "")
    if "PaymentRequired" in {of_type, ERROR_OF_TITLE.get(body.title)}:
        return PaymentRequired
    if "RateLimited" in map(ERROR_OF_CODE.get, body.codes):
        return RateLimited
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= 400:  # noqa: PLR2004 - the class of statuses
        return BadRequest
    return (
        _BY_NAME.get(of_type)
        or _BY_STATUS.get(body.status)
        or _BY_TITLE.get(body.title)
        or MalformedAnswer
    )


def _hint(error: ResponseError) -> str:
    """Return cause and cure, where more than the status tells them."""
    from botkit.protocol.refusals.table import diagnose_error

    found = diagnose_error(error)
    says_more = found.is_named and (found.cure or found.codes)
    return f"{found.cause} {found.cure}".strip() if says_more else ""


def _segment(value: object) -> str:
    """Return the last path segment of a problem type; `about:blank` has one only."""
    return _text(value).rstrip("/").rsplit("/", 1)[-1]


def _code(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:  # noqa: PLR2004 - no code is longer
        return int(value)
    return None


def _text(value: object) -> str:
    return _cut(value, _LONGEST_TEXT) if isinstance(value, str) else ""


def _cut(value: str, most: int) -> str:
    """Return the text in one line, without control characters, cut to that length."""
    words = " ".join("".join(c if c.isprintable() else " " for c in value).split())
    return words if len(words) <= most else words[: most - 1] + "…"
