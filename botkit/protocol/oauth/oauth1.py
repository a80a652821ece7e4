"""OAuth 1.0a signatures, HMAC-SHA1, made quickly: one for each call of an account.

What does not change between the calls of one account is computed once: the key of the HMAC, and
for each method and URL the front of the signature base string, hashed already. A call adds its
parameters, a nonce and a timestamp.

Source: RFC 5849 sections 3.4 to 3.6; X API docs, "Creating a signature" and "Authorizing a
request". JSON and multipart bodies are not signed.
"""

from __future__ import annotations

import binascii
import hmac
import urllib.parse
from types import MappingProxyType
from typing import TYPE_CHECKING

from botkit.protocol.oauth import rfc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from botkit.model.tokens import Secret, TokenPair

__all__ = ["SigningTemplate", "escape", "new_nonce"]

_LEAST_NONCE_BYTES = 8
_MOST_ROUTES = 256
"""How many URLs are kept: paths with ids in them would grow without end."""
_NO_EXTRA: Mapping[str, str] = MappingProxyType({})


def escape(text: str) -> str:
    """Percent-encode by RFC 3986: letters, digits and `-._~` stay, a blank becomes `%20`.

    Source: RFC 5849 section 3.6.
    """
    return urllib.parse.quote(text, safe="~")


def new_nonce(random: bytes) -> str:
    """A nonce of these random bytes, 8 at the least: letters and digits, as X asks for."""
    if len(random) < _LEAST_NONCE_BYTES:
        raise ValueError(f"at least {_LEAST_NONCE_BYTES} random bytes are needed")
    return random.hex()


class SigningTemplate:
    """Signs calls with one app's consumer key and one account's token.

    `pair` is None for the call that asks for a request token, which has no token yet. White space
    around keys and secrets is dropped. A template holds secrets and does not show them.
    """

    __slots__ = ("_end", "_fixed", "_front", "_head", "_keyed", "_middle", "_routes", "_tail")

    def __init__(
        self, consumer_key: str, consumer_secret: Secret, pair: TokenPair | None = None
    ) -> None:
        key = escape(consumer_key.strip())
        token_secret = "" if pair is None else pair.token_secret.reveal().strip()
        secrets = f"{escape(consumer_secret.reveal().strip())}&{escape(token_secret)}"
        self._keyed = hmac.new(secrets.encode("ascii"), digestmod="sha1")
        self._fixed = {
            "oauth_consumer_key": key,
            "oauth_signature_method": "HMAC-SHA1",
            "oauth_version": "1.0",
        }
        signed = shown = ""
        if pair is not None:
            token = self._fixed["oauth_token"] = escape(pair.token.reveal().strip())
            signed = f"&oauth_token={token}"
            shown = f', oauth_token="{token}"'
        self._front = escape(f"oauth_consumer_key={key}&oauth_nonce=")
        self._middle = escape("&oauth_signature_method=HMAC-SHA1&oauth_timestamp=")
        self._end = escape(f"{signed}&oauth_version=1.0")
        self._head = f'OAuth oauth_consumer_key="{key}", oauth_nonce="'
        self._tail = f'"{shown}, oauth_version="1.0"'
        self._routes: dict[tuple[str, str], tuple[str, hmac.HMAC]] = {}

    def __repr__(self) -> str:
        return "SigningTemplate(...)"

    def authorization(
        self,
        method: str,
        url: str,
        params: Sequence[tuple[str, str]] = (),
        *,
        nonce: str,
        timestamp: int | str,
        extra: Mapping[str, str] = _NO_EXTRA,
    ) -> str:
        """The value of the `Authorization` header of one call.

        `params` are those of the query and of a form body, decoded, in any order, names may come
        twice; a query in `url` counts too. `nonce` is ASCII letters and digits, never used before;
        `timestamp` is in seconds since 1970. `extra` are further protocol parameters, such as
        `oauth_callback`: signed, and put into the header.
        """
        if not (nonce.isascii() and nonce.isalnum()):
            raise ValueError("a nonce is ASCII letters and digits")
        if params or extra or "?" in url:
            text = self._base_string(method, url, params, extra, nonce=nonce, timestamp=timestamp)
            signer = self._keyed.copy()
            signer.update(text.encode("ascii"))
        else:
            signer = self._route(method, url)[1].copy()
            signer.update(f"{nonce}{self._middle}{timestamp}{self._end}".encode("ascii"))
        signature = binascii.b2a_base64(signer.digest(), newline=False).decode("ascii")
        signature = signature.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
        more = "".join(f', {escape(name)}="{escape(value)}"' for name, value in extra.items())
        return (
            f'{self._head}{nonce}", oauth_signature="{signature}",'
            f' oauth_signature_method="HMAC-SHA1", oauth_timestamp="{timestamp}{self._tail}{more}'
        )

    def _base_string(
        self,
        method: str,
        url: str,
        params: Sequence[tuple[str, str]],
        extra: Mapping[str, str],
        *,
        nonce: str,
        timestamp: int | str,
    ) -> str:
        """Source: RFC 5849 section 3.4.1.3: encoded, sorted by name, then by value."""
        address, _, query = url.partition("?")
        query = query.partition("#")[0]
        given = [*params, *urllib.parse.parse_qsl(query, keep_blank_values=True), *extra.items()]
        pairs = [(escape(name), escape(value)) for name, value in given]
        pairs += self._fixed.items()
        pairs += [("oauth_nonce", nonce), ("oauth_timestamp", str(timestamp))]
        pairs.sort()
        front = self._route(method, address)[0]
        return front + escape("&".join(f"{name}={value}" for name, value in pairs))

    def _route(self, method: str, url: str) -> tuple[str, hmac.HMAC]:
        """The front of the base string, and the HMAC that has read it and what always follows."""
        known = self._routes.get((method, url))
        if known is None:
            front = f"{method.upper()}&{escape(rfc.signed_address(url))}&"
            reader = self._keyed.copy()
            reader.update((front + self._front).encode("ascii"))
            if len(self._routes) >= _MOST_ROUTES:
                self._routes.clear()
            known = self._routes[method, url] = (front, reader)
        return known
