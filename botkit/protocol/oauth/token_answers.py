"""Read the answers of X's token endpoints: return tokens, or raise the error for a refusal.

The error's class tells what to do: `InvalidGrant` means that a person must log in again,
`InvalidClient` that the client id and secret in the settings are wrong, and any `ResponseError`
that the tokens must be kept. X's texts can be localised, so status and `error` decide. The wording
decides only if one `error` has several meanings; an unknown text never condemns a token.
In a success, a side field with an odd value never costs the tokens beside it, and neither does the
content type: the old refresh token is spent by then, so a JSON object with tokens is taken.

Source: RFC 6749 sections 5 and 6; RFC 7009; bodies of X seen on the wire, as X documents none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar, cast

from botkit.errors import (
    InvalidClient,
    InvalidGrant,
    MalformedAnswer,
    PaymentRequired,
    RateLimited,
    ResponseError,
    ServerError,
)
from botkit.model.tokens import Secret, TokenSet
from botkit.protocol.api.json_values import json_object, parse_body
from botkit.protocol.api.responses import read_error
from botkit.protocol.oauth.answers import LARGEST_BODY_BYTES, OK, malformed, moment_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from botkit.protocol.oauth.answers import HttpAnswer

__all__ = ["read_bearer_answer", "read_revoke_answer", "read_token_answer"]

E = TypeVar("E", InvalidGrant, InvalidClient)

_SUCCESS = range(200, 300)
_TYPES = frozenset({"bearer", ""})
"""A token of another type must not be used. Source: RFC 6749 section 7.1."""
_ASSUMED_LIFE_S = 7200.0
"""The life assumed if X names none. Source: X API docs, "OAuth 2.0": tokens live two hours."""
_LONGEST_LIFE_S = 365 * 24 * 3600.0
_SHORTEST_LIFE_S = 120.0
"""The shortest life that is believed: two refreshes are at least a minute apart."""
_NUMBER = re.compile(r"[0-9]{1,18}(\.[0-9]{1,6})?", re.ASCII)
_TOKEN = re.compile(r"[\x21-\x7e]+", re.ASCII)
"""Characters that can stand in a header. Source: RFC 6749 appendix A.12 and A.17."""

_CLIENT_ERRORS = frozenset({"invalid_client", "unauthorized_client"})
_KEYS_REFUSED = ("bad-signature", "bad-app-keys", "bad-authentication-data")
"""Rows of the table of refusals whose codes mean that X refuses the app's keys."""
_CLIENT_KEYS = (
    "client id and secret",
    "Compare them with the app's keys in X's console; the tokens are untouched.",
)
_API_KEYS = (
    "API key and secret",
    "Compare api_key and api_secret with the app's keys in X's console (not the client's).",
)


def read_token_answer(
    answer: HttpAnswer,
    *,
    asked: Iterable[str] = (),
    now: datetime | None = None,
    request_name: str = "POST /2/oauth2/token",
) -> TokenSet:
    """Return the tokens that X granted, for a code or for a refresh token.

    `asked` are the scopes to assume if the answer names none. The access token's life is two hours
    if the answer names none or an impossible one (longer than a year, zero, no number), and two
    minutes at least. An empty refresh token counts as none.

    Raises:
        InvalidGrant: The code or the refresh token is dead: authorize again.
        InvalidClient: X does not accept the client id and secret.
        RateLimited: X answered 429.
        ServerError: X answered 5xx.
        MalformedAnswer: A success without a usable token, or a redirect; it never quotes the body.
        BadRequest: A refusal with an unknown meaning; its `detail` is X's text.
        ResponseError: Any other refusal, for instance a 401 that names no error.
    """
    granted = _granted(answer, request_name, now)
    return TokenSet(
        access_token=_token(granted, "access_token", request_name),
        refresh_token=_refresh_token(granted.get("refresh_token"), request_name),
        scopes=tuple(dict.fromkeys(_scopes(granted.get("scope")) or asked)),
        expires_in_s=_life(granted.get("expires_in")),
    )


def read_bearer_answer(
    answer: HttpAnswer, *, now: datetime | None = None, request_name: str = "POST /oauth2/token"
) -> Secret:
    """Return the app's bearer token. X answers with the same token each time, so a call is safe.

    Raises:
        InvalidClient: X does not accept the app's key and secret.
        ResponseError: Any other refusal, by class as in `read_token_answer`.
    """
    granted = _granted(answer, request_name, now, asks=_API_KEYS)
    return _token(granted, "access_token", request_name)


def read_revoke_answer(
    answer: HttpAnswer, *, now: datetime | None = None, request_name: str = "POST /2/oauth2/revoke"
) -> None:
    """Check that the token is revoked, by this call or before.

    Raises:
        InvalidClient: X does not accept the client id and secret; nothing was revoked.
        ResponseError: X did not revoke the token; try again later.

    Source: RFC 7009 section 2.2: a 200 with any body is a success.
    """
    if answer.status == OK:
        return
    error = _refusal(answer, request_name, now)
    if not isinstance(error, InvalidGrant):
        raise error


def _granted(
    answer: HttpAnswer,
    request_name: str,
    now: datetime | None,
    *,
    asks: tuple[str, str] = _CLIENT_KEYS,
) -> dict[str, Any]:
    if answer.status not in _SUCCESS:
        raise _refusal(answer, request_name, now, asks=asks)
    if len(answer.body) > LARGEST_BODY_BYTES:
        malformed(request_name, "size")
    try:
        granted = json_object(parse_body(answer.body))
    except ValueError:
        granted = None
    if granted is None:
        malformed(request_name, "body")
    token_type = granted.get("token_type")
    if isinstance(token_type, str) and token_type.strip().lower() not in _TYPES:
        malformed(request_name, "token_type")
    return granted


def _token(granted: Mapping[str, Any], name: str, request_name: str) -> Secret:
    value = granted.get(name)
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        malformed(request_name, name)
    return Secret(value)


def _refresh_token(value: object, request_name: str) -> Secret | None:
    """Return the new refresh token, None if there is none; it is sent in a form, never a header.

    A value that is not a text makes the answer malformed. It is then kept whole, because it may
    hold the token.
    """
    if value is not None and not isinstance(value, str):
        malformed(request_name, "refresh_token")
    token = (value or "").strip()
    return Secret(token) if token else None


def _scopes(value: object) -> list[str]:
    """Return the scopes that are named, as the text that they should be or as a list."""
    if isinstance(value, list):
        return [name for name in cast("list[object]", value) if isinstance(name, str)]
    return value.split() if isinstance(value, str) else []


def _life(value: object) -> float:
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return _ASSUMED_LIFE_S
    if not 0 < value <= _LONGEST_LIFE_S:
        return _ASSUMED_LIFE_S
    return max(float(value), _SHORTEST_LIFE_S)


def _refusal(
    answer: HttpAnswer,
    request_name: str,
    now: datetime | None,
    *,
    asks: tuple[str, str] = _CLIENT_KEYS,
) -> InvalidGrant | InvalidClient | ResponseError:
    from botkit.protocol.refusals.table import codes_of

    error = read_error(
        request_name,
        answer.status,
        answer.headers,
        answer.body[:LARGEST_BODY_BYTES],
        now=moment_of(answer, now),
    )
    if isinstance(error, ServerError | RateLimited | PaymentRequired | MalformedAnswer):
        return error
    if error.title in _CLIENT_ERRORS or not codes_of(*_KEYS_REFUSED).isdisjoint(error.codes):
        keys, hint = asks
        refused = InvalidClient(f"X does not accept this {keys} ({_said(error)}).", hint=hint)
        return _caused(refused, error)
    if error.title == "invalid_grant":
        return _caused(_dead(error), error)
    if error.title == "invalid_request":
        return _invalid_request(error)
    return error


def _invalid_request(error: ResponseError) -> InvalidGrant | ResponseError:
    """Return the error for `invalid_request`; only X's text tells its four meanings apart."""
    from botkit.protocol.refusals.table import diagnose_error

    found = diagnose_error(error)
    match found.id:
        case "redirect-mismatch":
            refused = InvalidGrant(
                f"X refused the code: the redirect URI is another one ({_said(error)}).",
                hint=found.cure,
            )
            return _caused(refused, error)
        case "code-dead" | "token-dead":
            return _caused(_dead(error), error)
        case "field-missing":
            error.hint = found.cause
        case _:
            error.hint = (
                "It could not be told whether the token or the request is at fault; it is kept."
            )
    return error


def _dead(error: ResponseError) -> InvalidGrant:
    return InvalidGrant(
        f"X refused the code or token for good ({_said(error)}).", hint="Authorize again."
    )


def _said(error: ResponseError) -> str:
    parts = (f"{error.status} {error.title}".rstrip(), error.detail)
    return ": ".join(part for part in parts if part)


def _caused(error: E, cause: ResponseError) -> E:
    error.__cause__ = cause
    return error
