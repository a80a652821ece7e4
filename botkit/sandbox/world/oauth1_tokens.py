"""OAuth 1.0a of the simulated X: request tokens, access tokens, and the check of signatures.

Signatures are computed here from RFC 5849 alone, independently of the code with which botkit
signs. A request token works for one login, a verifier or PIN for one exchange, a nonce for one
call.

Source: RFC 5849 section 3; X API docs, "Creating a signature"; requests of clients in the wild.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote

from botkit.sandbox.wire import problems
from botkit.sandbox.world.grants import App

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from botkit.ports.io import Entropy
    from botkit.sandbox.wire.exchange import Call

__all__ = ["PIN_CALLBACK", "OAuth1Token", "OAuth1Tokens", "RequestToken", "Signed", "read_signed"]

PIN_CALLBACK = "oob"
_CANONICAL = ("https://api.x.com", "https://api.twitter.com")
"""The base URLs that clients without a setting for the host sign."""
_BOUNDS_S = 300
_FORM = "application/x-www-form-urlencoded"
_HEADER_PART = re.compile(r'\s*([A-Za-z0-9_.~%-]+)="([^"]*)"\s*')
_STAMP = re.compile("[0-9]{1,15}")
_PIN_DIGITS = 7


@dataclass(slots=True, eq=False)
class RequestToken:
    """A login that has begun. `verifier` is "" until the person has agreed."""

    token: str
    secret: str
    app: App
    callback: str
    user_id: str = ""
    verifier: str = ""


@dataclass(slots=True, eq=False)
class OAuth1Token:
    """An access token and its secret; it keeps the level with which it was made."""

    token: str
    secret: str
    app: App
    user_id: str
    level: str


@dataclass(slots=True, frozen=True)
class Signed:
    """A call's protocol parameters, each once, and everything that its signature may cover."""

    oauth: dict[str, str]
    covered: tuple[tuple[tuple[str, str], ...], ...]

    def get(self, name: str) -> str:
        """Return a protocol parameter, "" if it is missing."""
        return self.oauth.get(name, "")


class OAuth1Tokens:
    """The request tokens, access tokens and nonces of the OAuth 1.0a routes."""

    def __init__(self, now: Callable[[], datetime], entropy: Entropy) -> None:
        self._now = now
        self._entropy = entropy
        self._requests: dict[str, RequestToken] = {}
        self._pairs: dict[str, OAuth1Token] = {}
        self._nonces: dict[str, int] = {}

    def begin(self, app: App, callback: str) -> RequestToken:
        """Make and return a request token."""
        token = RequestToken(self._token(20), self._token(24), app, callback)
        self._requests[token.token] = token
        return token

    def request_token(self, token: str) -> RequestToken | None:
        """Return a request token whose login is not over."""
        return self._requests.get(token)

    def agree(self, token: RequestToken, user_id: str) -> str:
        """Record the person's consent; return the verifier, a PIN if there is no callback."""
        token.user_id = user_id
        if token.callback == PIN_CALLBACK:
            number = int.from_bytes(self._entropy.token_bytes(8), "big")
            token.verifier = str(number % 10**_PIN_DIGITS).zfill(_PIN_DIGITS)
        else:
            token.verifier = self._token(24)
        return token.verifier

    def drop(self, token: RequestToken) -> None:
        """End the login of a request token."""
        self._requests.pop(token.token, None)

    def exchange(self, token: RequestToken, verifier: str) -> OAuth1Token | None:
        """Return the access token for a verifier; None if the verifier is wrong or used."""
        if not token.verifier or not _same(token.verifier, verifier):
            return None
        self.drop(token)
        return self.issue(token.app, token.user_id)

    def issue(self, app: App, user_id: str, *, level: str = "") -> OAuth1Token:
        """Return the user's token for an app: the living one, or a new one for a new level."""
        wanted = level or app.level
        for pair in self.of_user(user_id):
            if pair.app is app and pair.level == wanted:
                return pair
        pair = OAuth1Token(f"{user_id}-{self._token(30)}", self._token(33), app, user_id, wanted)
        self._pairs[pair.token] = pair
        return pair

    def by_token(self, token: str) -> OAuth1Token | None:
        """Return a living access token."""
        return self._pairs.get(token)

    def of_user(self, user_id: str) -> list[OAuth1Token]:
        """Return the user's living access tokens."""
        return [pair for pair in self._pairs.values() if pair.user_id == user_id]

    def end(self, pair: OAuth1Token) -> None:
        """End an access token."""
        self._pairs.pop(pair.token, None)

    def check(self, call: Call, signed: Signed, app: App, *secrets: str) -> None:
        """Check that the call is signed with the app's and the token's secret, now and once.

        Any one of several `secrets` suffices; without any, the token's secret is empty.

        Raises:
            Refused: Code 135: the time is out of bounds. Code 32: anything else.
        """
        stamp, nonce = signed.get("oauth_timestamp"), signed.get("oauth_nonce")
        if signed.get("oauth_signature_method") != "HMAC-SHA1" or not nonce:
            raise problems.bad_signature()
        if signed.get("oauth_version") not in {"", "1.0"} or not _STAMP.fullmatch(stamp):
            raise problems.bad_signature()
        now = int(self._now().timestamp())
        if abs(int(stamp) - now) > _BOUNDS_S:
            raise problems.bad_timestamp()
        given = signed.get("oauth_signature")
        keys = [f"{_escape(app.api_secret)}&{_escape(one)}".encode() for one in secrets or ("",)]
        texts = list(_base_strings(call, signed))
        if not any(_same(_digest(key, text), given) for key in keys for text in texts):
            raise problems.bad_signature()
        self._use(f"{app.api_key} {signed.get('oauth_token')} {stamp} {nonce}", now)

    def _use(self, nonce: str, now: int) -> None:
        if nonce in self._nonces:
            raise problems.bad_signature()
        while self._nonces:
            oldest = next(iter(self._nonces))
            if self._nonces[oldest] >= now - 2 * _BOUNDS_S:
                break
            del self._nonces[oldest]
        self._nonces[nonce] = now

    def _token(self, size_bytes: int) -> str:
        text = base64.urlsafe_b64encode(self._entropy.token_bytes(size_bytes)).decode()
        return text.rstrip("=").replace("-", "A").replace("_", "b")


def read_signed(call: Call) -> Signed | None:
    """Return the protocol parameters of a call, from header, query or form; None if it has none.

    Clients sign a parameter that is in two places with the same value once or twice: X accepts
    both.
    """
    scheme, _, rest = call.headers.get("authorization", "").partition(" ")
    header: list[tuple[str, str]] = []
    if scheme.lower() == "oauth":
        for part in rest.split(","):
            found = _HEADER_PART.fullmatch(part)
            if found and found[1] != "realm":
                header.append((unquote(found[1]), unquote(found[2])))
    body: list[tuple[str, str]] = []
    if call.media_type == _FORM:
        body = parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True)
    everything = [*header, *call.query, *body]
    oauth = [(name, value) for name, value in everything if name.startswith("oauth_")]
    if not any(name == "oauth_signature" for name, _ in oauth):
        return None
    if len(dict(oauth)) != len(set(oauth)):
        raise problems.v1_error(400, 215, "Bad Authentication data.")
    covered = tuple(pair for pair in everything if pair[0] != "oauth_signature")
    return Signed(dict(oauth), (covered, tuple(_once(covered))))


def _once(pairs: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    """Return the protocol parameters with each repeated one only once."""
    seen: set[tuple[str, str]] = set()
    for pair in pairs:
        if pair not in seen or not pair[0].startswith("oauth_"):
            seen.add(pair)
            yield pair


def _base_strings(call: Call, signed: Signed) -> Iterable[str]:
    host = call.headers.get("host", "")
    bases = [*_CANONICAL, *([f"http://{host.lower()}", f"https://{host.lower()}"] if host else [])]
    for base in bases:
        for pairs in dict.fromkeys(signed.covered):
            encoded = sorted((_escape(name), _escape(value)) for name, value in pairs)
            text = "&".join(f"{name}={value}" for name, value in encoded)
            yield f"{call.method}&{_escape(base + call.path)}&{_escape(text)}"


def _digest(key: bytes, text: str) -> str:
    return base64.b64encode(hmac.new(key, text.encode(), hashlib.sha1).digest()).decode()


def _escape(text: str) -> str:
    return quote(text, safe="-._~")


def _same(known: str, given: str) -> bool:
    return hmac.compare_digest(known.encode(), given.encode())
