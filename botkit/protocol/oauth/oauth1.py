"""Make OAuth 1.0a signatures (HMAC-SHA1) quickly: each call of an account needs one.

The parts that all calls of one account share are computed once: the key of the HMAC, and for each
method and URL the hash of the front of the signature base string. A call adds its
parameters, a nonce and a timestamp. Calls with parameters are rarer, and Authlib signs them.

Source: RFC 5849 sections 3.4 to 3.6; X API docs, "Creating a signature" and "Authorizing a
request". JSON and multipart bodies are not signed.
"""

from __future__ import annotations

import binascii
import hmac
import urllib.parse
from types import MappingProxyType
from typing import TYPE_CHECKING

from botkit.model.tokens import Secret
from botkit.protocol.oauth import rfc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from botkit.model.tokens import TokenPair

__all__ = ["SigningTemplate", "escape", "new_nonce"]

_LEAST_NONCE_BYTES = 8
_MOST_ROUTES = 256
"""The most URLs whose hashes are kept: paths with ids would otherwise fill memory."""
_NO_EXTRA: Mapping[str, str] = MappingProxyType({})


def escape(text: str) -> str:
    """Return the text percent-encoded by RFC 3986: `-._~` stay, a blank becomes `%20`.

    Source: RFC 5849 section 3.6.
    """
    return urllib.parse.quote(text, safe="~")


def new_nonce(random: bytes) -> str:
    """Return a nonce made of at least 8 random bytes: letters and digits only, as X requires."""
    if len(random) < _LEAST_NONCE_BYTES:
        raise ValueError(f"at least {_LEAST_NONCE_BYTES} random bytes are needed")
    return random.hex()


class SigningTemplate:
    """Sign calls with one app's consumer key and one account's token.

    `pair` is None for the call that asks for a request token, which has no token yet. White space
    around keys and secrets is dropped. A template holds secrets and does not show them.
    """

    __slots__ = (
        "_consumer_secret",
        "_end",
        "_fixed",
        "_front",
        "_head",
        "_keyed",
        "_middle",
        "_routes",
        "_tail",
        "_token_secret",
    )

    def __init__(
        self, consumer_key: str, consumer_secret: Secret, pair: TokenPair | None = None
    ) -> None:
        key = consumer_key.strip()
        self._consumer_secret = consumer_secret
        self._token_secret = Secret("") if pair is None else pair.token_secret
        secrets = (secret.reveal().strip() for secret in (consumer_secret, self._token_secret))
        self._keyed = hmac.new("&".join(map(escape, secrets)).encode("ascii"), digestmod="sha1")
        self._fixed = {
            "oauth_consumer_key": key,
            "oauth_signature_method": "HMAC-SHA1",
            "oauth_version": "1.0",
        }
        signed = shown = ""
        if pair is not None:
            token = self._fixed["oauth_token"] = pair.token.reveal().strip()
            signed = f"&oauth_token={escape(token)}"
            shown = f', oauth_token="{escape(token)}"'
        self._front = escape(f"oauth_consumer_key={escape(key)}&oauth_nonce=")
        self._middle = escape("&oauth_signature_method=HMAC-SHA1&oauth_timestamp=")
        self._end = escape(f"{signed}&oauth_version=1.0")
        self._head = f'OAuth oauth_consumer_key="{escape(key)}", oauth_nonce="'
        self._tail = f'"{shown}, oauth_version="1.0"'
        self._routes: dict[tuple[str, str], hmac.HMAC] = {}

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
        """Return the value of the `Authorization` header of one call.

        `params` are the parameters of the query and of a form body, decoded and in any order; a
        name may come twice. A query in `url` is signed, too. `nonce` is ASCII letters and digits,
        never used before; `timestamp` is in seconds since 1970. `extra` are further protocol
        parameters, such as `oauth_callback`: they are signed and put into the header.
        """
        if not (nonce.isascii() and nonce.isalnum()):
            raise ValueError("a nonce is ASCII letters and digits")
        if params or extra or "?" in url:
            query = url.partition("?")[2].partition("#")[0]
            given = [*params, *urllib.parse.parse_qsl(query, keep_blank_values=True)]
            return self._thorough(method, url, given, extra, nonce=nonce, timestamp=str(timestamp))
        signer = self._route(method, url).copy()
        signer.update(f"{nonce}{self._middle}{timestamp}{self._end}".encode("ascii"))
        signature = binascii.b2a_base64(signer.digest(), newline=False).decode("ascii")
        signature = signature.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
        return (
            f'{self._head}{nonce}", oauth_signature="{signature}",'
            f' oauth_signature_method="HMAC-SHA1", oauth_timestamp="{timestamp}{self._tail}'
        )

    def _thorough(
        self,
        method: str,
        url: str,
        params: Sequence[tuple[str, str]],
        extra: Mapping[str, str],
        *,
        nonce: str,
        timestamp: str,
    ) -> str:
        """Return the `Authorization` header of a call that has parameters, signed by Authlib."""
        fixed = {**self._fixed, "oauth_nonce": nonce, "oauth_timestamp": timestamp}
        fixed["oauth_signature"] = rfc.hmac_sha1_signature(
            method,
            url,
            [*params, *fixed.items(), *extra.items()],
            consumer_secret=self._consumer_secret.reveal().strip(),
            token_secret=self._token_secret.reveal().strip(),
        )
        return rfc.authorization_header([*sorted(fixed.items()), *extra.items()])

    def _route(self, method: str, url: str) -> hmac.HMAC:
        """Return an HMAC of the base string's front, up to the nonce; kept for each URL."""
        known = self._routes.get((method, url))
        if known is None:
            front = f"{method.upper()}&{escape(rfc.signed_address(url))}&{self._front}"
            known = self._keyed.copy()
            known.update(front.encode("ascii"))
            if len(self._routes) >= _MOST_ROUTES:
                self._routes.clear()
            self._routes[method, url] = known
        return known
