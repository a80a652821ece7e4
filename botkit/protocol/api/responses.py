"""Turn the answers of X's API v2 into values, or into the errors that they mean.

A body is parsed here, once. Whatever it is (a problem, a v1 error list, HTML, nothing), the result
is a `Response` or an error of the `ResponseError` tree.

Source: X API docs, "Response codes and errors", and answers seen on the wire.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from botkit.errors import MalformedAnswer
from botkit.protocol.api import error_bodies
from botkit.protocol.api.json_values import json_object, json_objects, parse_body
from botkit.protocol.api.rate_limits import RateWindow, read_date, read_day_window, read_window

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botkit.errors import ResponseError

__all__ = ["RateWindow", "Response", "read_error", "read_level", "read_response"]

_SUCCESS = range(200, 300)
_NO_CONTENT = 204


class Response(Struct, frozen=True, kw_only=True, gc=False):
    """A success (2xx), parsed once.

    `data`, `includes`, `meta` and `errors` are the body's parts as decoded JSON, empty if it has
    none of them. `level` is the `x-access-level`, "" if it is missing. `date` is X's clock.
    """

    status: int
    data: Any = None
    includes: dict[str, Any] = {}
    meta: dict[str, Any] = {}
    errors: tuple[dict[str, Any], ...] = ()
    window: RateWindow | None = None
    day_window: RateWindow | None = None
    level: str = ""
    date: datetime | None = None


def read_level(headers: Mapping[str, str]) -> str:
    """Return the access level that an answer shows, success or not; "" if it shows none."""
    return headers.get("x-access-level", "").strip().lower()


def read_response(
    request_name: str, status: int, headers: Mapping[str, str], body: bytes, *, now: datetime
) -> Response:
    """Return the answer as a value, or raise the error that it means.

    `headers` have lower-case names; `now` is our clock, for the time to wait after a 429.
    A 200 with `data` and `errors` is a success that carries its `errors`; one that has `errors`
    alone is the error that its first entry means, which for a look-up is `NotFound`.

    Raises:
        BadRequest: 400, and any other 4xx that no other class names.
        Unauthorized: 401.
        PaymentRequired: 402, the spend cap, or the monthly cap.
        Forbidden: 403.
        NotFound: 404, or a success that names only what is missing.
        RateLimited: 429, or the v1 codes of a used-up limit.
        ServerError: 408, 425 or 5xx.
        MalformedAnswer: A 2xx whose body is not an answer, or a status that is none of these.
    """
    if status not in _SUCCESS:
        raise read_error(request_name, status, headers, body, now=now)
    answer = {} if status == _NO_CONTENT and not body else _object(request_name, status, body)
    errors = tuple(json_objects(answer["errors"])) if "errors" in answer else ()
    data = answer.get("data")
    meta = (json_object(answer["meta"]) or {}) if "meta" in answer else {}
    if errors and data is None and not meta:
        body_of_error = {**errors[0], "errors": list(errors)}
        raise error_bodies.error_of(request_name, status, body_of_error, headers, now=now)
    return Response(
        status=status,
        data=data,
        includes=(json_object(answer["includes"]) or {}) if "includes" in answer else {},
        meta=meta,
        errors=errors,
        window=read_window(headers),
        day_window=read_day_window(headers),
        level=read_level(headers),
        date=read_date(headers),
    )


def read_error(
    request_name: str, status: int, headers: Mapping[str, str], body: bytes, *, now: datetime
) -> ResponseError:
    """Return the error that a status outside 2xx means; `read_response` lists the classes."""
    try:
        parsed = json_object(parse_body(body))
    except ValueError:
        parsed = None
    if parsed is None:
        parsed = {"detail": error_bodies.excerpt(body)}
    return error_bodies.error_of(request_name, status, parsed, headers, now=now)


def _object(request_name: str, status: int, body: bytes) -> dict[str, Any]:
    try:
        answer = json_object(parse_body(body))
    except ValueError as error:
        raise _malformed(request_name, status, body) from error
    if answer is None:
        raise _malformed(request_name, status, body)
    return answer


def _malformed(request_name: str, status: int, body: bytes) -> MalformedAnswer:
    what = "an empty body" if not body.strip() else "a body that is no JSON object"
    return MalformedAnswer(
        f"X answered {request_name} with {status} and {what}.",
        request=request_name,
        status=status,
        detail=error_bodies.excerpt(body),
        hint="A proxy or a fault on the way: what was asked for may have happened.",
    )
