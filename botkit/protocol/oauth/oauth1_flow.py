"""Make the address, and read the answers, of the three-legged OAuth 1.0a login and its PIN form.

The login has three calls (request token, access token, invalidate) and one redirect. X answers
with forms, and refuses with JSON error lists, XML or plain text. Codes and status decide what a
refusal means; X's texts can be localised, so they are quoted and never relied on.

Source: RFC 5849 section 2; X API docs, "Log in with X", "PIN-based authorization" and
"Authentication" (API reference); refusals as seen on the wire.
"""

from __future__ import annotations

import enum
import re
import urllib.parse
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from botkit.errors import (
    AuthError,
    AuthorizationDenied,
    ConfigError,
    InvalidClient,
    InvalidGrant,
    MalformedAnswer,
    PaymentRequired,
    RateLimited,
    ServerError,
    StateMismatch,
)
from botkit.model.tokens import Secret, TokenPair
from botkit.protocol.api import error_bodies
from botkit.protocol.api.json_values import json_object, parse_body
from botkit.protocol.api.rate_limits import read_date
from botkit.protocol.oauth import rfc
from botkit.protocol.oauth.answers import LARGEST_BODY_BYTES, OK, malformed, moment_of
from botkit.protocol.oauth.redirects import redirect_parameters, same_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from botkit.errors import ResponseError
    from botkit.protocol.oauth.answers import HttpAnswer

__all__ = [
    "ACCESS_TOKEN",
    "INVALIDATE",
    "PIN_CALLBACK",
    "REQUEST_TOKEN",
    "XML_HASH",
    "Blame",
    "Granted",
    "authorize_url",
    "blame_by_keys",
    "blame_of",
    "read_access_token",
    "read_callback",
    "read_clock_off",
    "read_given_pair",
    "read_invalidated",
    "read_pin",
    "read_refusal",
    "read_request_token",
]

REQUEST_TOKEN = "POST /oauth/request_token"  # noqa: S105 - a name, no secret
ACCESS_TOKEN = "POST /oauth/access_token"  # noqa: S105 - a name, no secret
INVALIDATE = "POST /1.1/oauth/invalidate_token"

PIN_CALLBACK = "oob"
"""The callback of a login that ends with a PIN. Source: RFC 5849 section 2.1."""

XML_HASH = "xml-hash"
"""The `reason` that marks the old XML form of a refusal, which has no code."""

_FORBIDDEN = 403
_UNAUTHORIZED = 401
_LONGEST_PIN = 32
_LONGEST_TOKEN = 4096
_PAIR = ("oauth_token", "oauth_token_secret")
_PIN = re.compile(r"[0-9]+", re.ASCII)
_ID = re.compile(r"[0-9]{1,19}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_XML_ERROR = re.compile(r"<error(?:\s+code=[\"']?([0-9]{1,9})[\"']?)?\s*>(.*?)</error>", re.DOTALL)
_HASH = re.compile(r"<hash>")

_CLOCK_OFF = timedelta(seconds=60)
_DEAD, _CLOCK = "token-revoked", "clock-off"
_KEYS = ("bad-signature", "bad-app-keys", "bad-authentication-data")
_CALLBACK_REFUSED, _CALLBACK_OF_OTHER_KIND = "callback-refused", "pin-or-callback"
"""Rows of the table of refusals whose codes mean that X refuses the callback."""
_CONSOLE = "X's console (console.x.com), User authentication settings of the app"


class Blame(enum.Enum):
    """Name the part of a signed call that X refuses."""

    TOKEN = "token"  # noqa: S105 - a word, no secret
    KEYS = "keys"
    CLOCK = "clock"
    UNSAID = "unsaid"


class Granted(Struct, frozen=True, kw_only=True, gc=False):
    """Hold an access token and its user, from the same answer of X."""

    pair: TokenPair
    user_id: str
    username: str


def authorize_url(authorize_address: str, request_token: TokenPair, *, username: str = "") -> str:
    """Return the address to open in the browser. `username` fills in X's log-in form.

    Source: RFC 5849 section 2.2.
    """
    parameters = {"oauth_token": request_token.token.reveal()}
    if username:
        parameters["screen_name"] = username
    return rfc.with_query(authorize_address, parameters)


def read_callback(query: str, *, request_token: TokenPair) -> str:
    """Return the verifier of a redirect that belongs to this login attempt.

    `query` is the raw query of the redirect, without the question mark.

    Raises:
        StateMismatch: The redirect is not this attempt's, or cannot be trusted: it has another
            `oauth_token` or none, a parameter twice, both a verifier and a refusal, or neither.
            The attempt is still open: the true redirect may yet come.
        AuthorizationDenied: The redirect is this attempt's, and the person declined.

    Source: RFC 5849 sections 2.2 and 4.13; `denied` as seen on the wire.
    """
    given = redirect_parameters(query)
    verifier, denied = given.get("oauth_verifier", ""), given.get("denied", "")
    if verifier and denied:
        raise StateMismatch("The redirect carries both a verifier and a refusal.")
    named = given.get("oauth_token") or denied
    token = request_token.token.reveal()
    if not same_text(named, token) or (denied and not same_text(denied, token)):
        raise StateMismatch("The redirect carries no oauth_token, or not the one of this login.")
    if denied:
        raise AuthorizationDenied(
            "The person declined on X's consent page.",
            hint="Start again, and choose to authorize the app.",
        )
    if not verifier:
        raise StateMismatch("The redirect carries no oauth_verifier.")
    return verifier


def read_pin(text: str) -> str:
    """Return the PIN that a person typed, without white space around it.

    Raises:
        StateMismatch: The text is not a PIN, which has digits only. Nothing was sent; the attempt
            is still open.

    Source: X API docs, "PIN-based authorization".
    """
    pin = text.strip()
    if not _PIN.fullmatch(pin) or len(pin) > _LONGEST_PIN:
        raise StateMismatch("That is not a PIN: X shows one of digits only, about seven.")
    return pin


def read_given_pair(text: str) -> TokenPair:
    """Return the access token and its secret from a text that a person or program hands over.

    The text is two lines, the token first, or a JSON object with `oauth_token` and
    `oauth_token_secret`.

    Raises:
        ConfigError: The text has neither form; the error quotes nothing of it.
    """
    lines = [line for part in text.removeprefix("\ufeff").splitlines() if (line := part.strip())]
    if lines and lines[0].startswith("{"):
        try:
            given = json_object(parse_body(text.strip().encode())) or {}
        except ValueError:
            given = {}
        found = [given.get("oauth_token"), given.get("oauth_token_secret")]
        lines = [value.strip() for value in found if isinstance(value, str)]
    pair = [line for line in lines if line and " " not in line and not _CONTROL.search(line)]
    if len(lines) != len(_PAIR) or pair != lines:
        raise ConfigError(
            "What was given is no access token with its secret.",
            hint="Give two lines, the access token and then its secret, as the app's Keys and"
            " tokens page in X's console shows them; or a JSON object with oauth_token and"
            " oauth_token_secret.",
        )
    return TokenPair(token=Secret(pair[0]), token_secret=Secret(pair[1]))


def read_request_token(
    answer: HttpAnswer, *, callback: str, now: datetime | None = None
) -> TokenPair:
    """Return the request token for the callback that was sent.

    Raises:
        ConfigError: X does not take the callback, and the error names the rule; or X refuses the
            time of this machine's clock.
        AuthError: X does not confirm the callback, so the redirect could not be trusted. The
            subclass `InvalidClient` means that X does not accept the app's key and secret.
        ResponseError: Any other refusal; `MalformedAnswer` for a success without a token.

    Source: RFC 5849 section 2.1.
    """
    given = _form(answer, REQUEST_TOKEN, callback=callback, now=now)
    if given.get("oauth_callback_confirmed") != "true":
        raise AuthError(
            "X did not confirm the callback (oauth_callback_confirmed is not true), so that a"
            " redirect could not be trusted; the login was not begun.",
            hint="Check request_token_url in [x]: this server does not speak OAuth 1.0a.",
        )
    return _pair(given, REQUEST_TOKEN)


def read_access_token(answer: HttpAnswer, *, now: datetime | None = None) -> Granted:
    """Return the access token for a verifier or PIN; the token does not expire.

    Raises:
        InvalidGrant: X does not take the verifier or PIN, or the request token has expired. Each
            can be tried once: start the login again.
        InvalidClient: X does not accept the app's key and secret.
        ConfigError: X refuses the time of this machine's clock.
        ResponseError: Any other refusal; `MalformedAnswer` for a success without a token.

    Source: RFC 5849 section 2.3; X adds `user_id` and `screen_name`.
    """
    given = _form(answer, ACCESS_TOKEN, now=now)
    user_id = given.get("user_id", "")
    if not _ID.fullmatch(user_id):
        malformed(ACCESS_TOKEN, "user_id")
    return Granted(
        pair=_pair(given, ACCESS_TOKEN), user_id=user_id, username=given.get("screen_name", "")
    )


def read_invalidated(
    answer: HttpAnswer, *, request_name: str = INVALIDATE, now: datetime | None = None
) -> None:
    """Check that the token is dead now, by this call or before; also for an app's bearer token.

    Raises:
        InvalidClient: X does not accept the app's key and secret; the token is still valid.
        ResponseError: X did not invalidate the token; try again later.
    """
    if answer.status == OK:
        return
    error = read_refusal(answer, request_name, now=now)
    if not isinstance(error, InvalidGrant):
        raise error


def read_clock_off(answer: HttpAnswer, *, now: datetime) -> timedelta | None:
    """Return X's time minus ours, if a wrong clock can be why X refused a signed call.

    Return None if it cannot, or if X does not send its time. The caller signs the call once more
    with the corrected time, and only once.
    Source: RFC 5849 section 3.3; X's code 135, "timestamp out of bounds".
    """
    theirs = read_date(answer.headers)
    if answer.status < _UNAUTHORIZED or theirs is None:
        return None
    codes = _error(answer, "", now).codes
    off = theirs - now
    unexplained = answer.status == _UNAUTHORIZED and not codes
    return off if _names(codes, _CLOCK) or (unexplained and abs(off) > _CLOCK_OFF) else None


def blame_of(codes: Iterable[int]) -> Blame:
    """Return what the codes of a 401 blame; `UNSAID` without codes, as from X's newer routes.

    Source: X API docs, "Authentication" (API reference); docs/explanation/x-facts.md, 10.5.
    """
    said = frozenset(codes)
    if _names(said, _DEAD):
        return Blame.TOKEN
    if _names(said, _CLOCK):
        return Blame.CLOCK
    return Blame.KEYS if _names(said, *_KEYS) else Blame.UNSAID


def blame_by_keys(answer: HttpAnswer, *, now: datetime) -> Blame:
    """Return what an unexplained refusal blames, from the answer to a call for a request token.

    Only the app's keys sign that call. If X takes them, the refusal is about the user's token. X
    took them, too, if it only refuses the call's callback.
    """
    if answer.status == OK:
        return Blame.TOKEN
    error = _error(answer, REQUEST_TOKEN, now)
    if _names(error.codes, _CALLBACK_REFUSED, _CALLBACK_OF_OTHER_KIND):
        return Blame.TOKEN
    if error.status == _FORBIDDEN and error.reason == XML_HASH:
        return Blame.TOKEN
    said = blame_of(error.codes)
    return said if said is not Blame.TOKEN else Blame.UNSAID


def read_refusal(
    answer: HttpAnswer, request_name: str, *, callback: str = "", now: datetime | None = None
) -> AuthError | ConfigError | ResponseError:
    """Return the error for a refusal of one of the three calls; `callback` is the call's own."""
    error = _error(answer, request_name, now)
    found = _meaning(error, request_name, callback)
    if found is not error:
        found.__cause__ = error
    return found


def _meaning(
    error: ResponseError, request_name: str, callback: str
) -> AuthError | ConfigError | ResponseError:
    if isinstance(error, ServerError | RateLimited | PaymentRequired):
        return error
    if _names(error.codes, _CALLBACK_REFUSED, _CALLBACK_OF_OTHER_KIND):
        by_pin_only = not _names(error.codes, _CALLBACK_REFUSED)
        return _callback_refused(error, callback, by_pin_only=by_pin_only)
    if _names(error.codes, _CLOCK):
        return ConfigError(
            f"X refuses the time in the signature ({_said(error)}), also by its own clock.",
            hint="Set the clock of this machine by NTP.",
        )
    if _names(error.codes, *_KEYS):
        return InvalidClient(
            f"X does not accept what signed {request_name} ({_said(error)}).",
            hint="Compare api_key and api_secret with the app's API Key and Secret in X's"
            " console; they are not the client id and client secret.",
        )
    if _names(error.codes, _DEAD) or (
        request_name == ACCESS_TOKEN and error.status == _UNAUTHORIZED
    ):
        return InvalidGrant(
            f"X does not take the token or the PIN any more ({_said(error)}).",
            hint="Start again: each is good for one try.",
        )
    if request_name == REQUEST_TOKEN and error.status == _FORBIDDEN and error.reason == XML_HASH:
        # The old XML form of code 415, which has no code. Source: X API docs, "Apps".
        return _callback_refused(error, callback, by_pin_only=False)
    if not isinstance(error, MalformedAnswer):
        error.hint = error.hint or "Why X refused could not be told; these are its own words."
    return error


def _callback_refused(error: ResponseError, callback: str, *, by_pin_only: bool) -> ConfigError:
    said = _said(error)
    if callback == PIN_CALLBACK:
        return ConfigError(
            f"X does not let this app log in by PIN [pin-needs-callback] ({said}).",
            hint=f"A callback URL must be registered for PIN too: add one in {_CONSOLE}; or use"
            " `botkit setup --oauth1`.",
        )
    if by_pin_only:
        return ConfigError(
            f"X lets this app log in by PIN only [pin-only] ({said}).",
            hint="Use `botkit setup --pin`, or make it a Web App or Automated App in X's console.",
        )
    return ConfigError(
        f"X does not take the callback URL {callback} [exact-match] ({said}).",
        hint=f"Register it letter by letter, trailing slash included, in {_CONSOLE}.",
    )


def _error(answer: HttpAnswer, request_name: str, now: datetime | None) -> ResponseError:
    body = _as_error_body(answer.body[:LARGEST_BODY_BYTES])
    return error_bodies.error_of(
        request_name, answer.status, body, answer.headers, now=moment_of(answer, now)
    )


def _names(codes: Iterable[int], *rows: str) -> bool:
    """Return True if one of these rows of the table of refusals has one of the codes."""
    from botkit.protocol.refusals.table import codes_of

    return not codes_of(*rows).isdisjoint(codes)


def _as_error_body(body: bytes) -> dict[str, Any]:
    """Return a refusal's body as an error list, from JSON, XML with or without codes, or text."""
    import html  # imported here, as it is slow and few answers are XML

    try:
        parsed = json_object(parse_body(body))
    except ValueError:
        parsed = None
    if parsed is not None:
        return parsed
    text = body.decode("utf-8", "replace")
    found = _XML_ERROR.findall(text)
    if not found:
        return {"detail": error_bodies.excerpt(body)}
    errors = [{"code": code, "message": html.unescape(said)} for code, said in found]
    return {"errors": errors} | ({"reason": XML_HASH} if _HASH.search(text) else {})


def _form(
    answer: HttpAnswer, request_name: str, *, callback: str = "", now: datetime | None
) -> dict[str, str]:
    """Return the fields of a success, for any content type; no field may come twice."""
    if answer.status != OK:
        raise read_refusal(answer, request_name, callback=callback, now=now)
    if len(answer.body) > LARGEST_BODY_BYTES:
        malformed(request_name, "size")
    try:
        text = answer.body.decode("ascii").strip()
        pairs = urllib.parse.parse_qsl(
            text, keep_blank_values=True, errors="strict", max_num_fields=64
        )
    except ValueError:
        malformed(request_name, "body")
    given = dict(pairs)
    if len(given) != len(pairs):
        malformed(request_name, "body")
    return given


def _pair(given: dict[str, str], request_name: str) -> TokenPair:
    for name in _PAIR:
        value = given.get(name, "")
        if not value.strip() or len(value) > _LONGEST_TOKEN or _CONTROL.search(value):
            malformed(request_name, name)
    return TokenPair(
        token=Secret(given["oauth_token"]), token_secret=Secret(given["oauth_token_secret"])
    )


def _said(error: ResponseError) -> str:
    codes = " ".join(str(code) for code in error.codes)
    parts = (f"{error.status}{', code ' + codes if codes else ''}", error.title, error.detail)
    return ": ".join(part for part in parts if part)
