"""Sign X's challenges, and check X's signatures over the raw bytes of a delivery.

Both use one key, the app's API secret, so a challenge must never be something that a delivery
could be: it holds no character with which a JSON object begins, and a body that is no object is no
delivery.
Source: X API docs, "Webhooks", quickstart: `crc_token` and `x-twitter-webhooks-signature`.
"""

from __future__ import annotations

import base64
import hmac
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from botkit.web.proofs import equals_one, only_header

if TYPE_CHECKING:
    from collections.abc import Sequence

    from botkit.web.requests import WebRequest

__all__ = ["SIGNATURE", "challenge_in", "is_signed", "signature_of"]

SIGNATURE: Final = "x-twitter-webhooks-signature"
_PARAMETER = "crc_token="
_CHALLENGE = re.compile(r"[A-Za-z0-9._~+/=-]{1,256}", re.ASCII)
"""X does not say what a challenge looks like: these are the characters of base64 in both
alphabets, of UUIDs and of names."""


def challenge_in(query: str) -> str | None:
    """Return the challenge of a query; None if it has none, several, or what is no challenge.

    Others than `crc_token` are passed over: X has sent a `nonce` beside it.
    Source: docs/explanation/x-facts.md, 19.3.
    """
    tokens = [each for each in query.split("&") if each.startswith(_PARAMETER)]
    if len(tokens) != 1:
        return None
    token = unquote(tokens[0].removeprefix(_PARAMETER))
    return token if _CHALLENGE.fullmatch(token) else None


def signature_of(secret: bytes, message: bytes) -> bytes:
    """Return X's signature: `sha256=` and the HMAC in base64."""
    return b"sha256=" + base64.b64encode(hmac.digest(secret, message, "sha256"))


def is_signed(request: WebRequest, body: bytes, secrets: Sequence[bytes]) -> bool:
    """Return True if the one signature of the request is that of one of the secrets."""
    made = [signature_of(secret, body) for secret in secrets]
    return equals_one(only_header(request, SIGNATURE), made)
