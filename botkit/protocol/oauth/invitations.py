"""Make invitation links, and check one before the store is asked.

A link carries the invitation's id, a secret and a tag that only the deployment's vault key can
make. The tag alone reveals a link that was invented, altered or cut; the store keeps only a hash
of the secret. Source: docs/explanation/requirements.md, "Invitations".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import urllib.parse
from typing import TYPE_CHECKING

from msgspec import Struct

from botkit.errors import InvitationRefused

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "CALLBACK_PATH",
    "CONNECT_PATH",
    "ID_BYTES",
    "INVITATION",
    "PURPOSE",
    "SECRET_BYTES",
    "Presented",
    "callback_url",
    "fingerprint",
    "invitation_link",
    "make_token",
    "read_query",
    "read_token",
    "secret_hash",
]

CONNECT_PATH = "/connect"
CALLBACK_PATH = "/connect/callback"
INVITATION = "invitation"
"""The parameter of the link and the field of the form that carry the token."""
PURPOSE = "invitation"
"""The purpose for which the vault signs a link."""
SECRET_BYTES = 32
ID_BYTES = 6
_VERSION = b"\x01"
_TAG_BYTES = 32
_PAYLOAD_BYTES = len(_VERSION) + ID_BYTES + SECRET_BYTES
_LONGEST_TOKEN = 128
_MOST_FIELDS = 16


class Presented(Struct, frozen=True, gc=False):
    """Hold the content of a link with a valid tag: the invitation's id, and its secret."""

    id: str
    secret: bytes

    def opens(self, known_hash: bytes) -> bool:
        """Return True if `known_hash` is the hash of the secret; compared in constant time."""
        return hmac.compare_digest(secret_hash(self.secret), known_hash)


def callback_url(public_url: str) -> str:
    """Return the redirect URI to register in X's console, for the server's public address."""
    return public_url + CALLBACK_PATH


def invitation_link(public_url: str, token: str) -> str:
    """Return the address that the operator hands out."""
    return f"{public_url}{CONNECT_PATH}?{urllib.parse.urlencode({INVITATION: token})}"


def secret_hash(secret: bytes) -> bytes:
    """Return the stored hash of a secret; 32 random bytes need no slow hash."""
    return hashlib.sha256(b"botkit invitation\0" + secret).digest()


def make_token(invitation_id: str, secret: bytes, sign: Callable[[bytes], bytes]) -> str:
    """Return the token of a link; `invitation_id` is twelve hexadecimal digits."""
    payload = _VERSION + bytes.fromhex(invitation_id) + secret
    return _encode(payload + sign(payload))


def read_token(token: str, verify: Callable[[bytes, bytes], bool]) -> Presented:
    """Return the content of a token; `verify` takes the signed bytes and the tag.

    Raises:
        InvitationRefused: The token was made up, altered or cut: its tag is not valid.
    """
    raw = _decode(token)
    payload, tag = raw[:_PAYLOAD_BYTES], raw[_PAYLOAD_BYTES:]
    if len(tag) != _TAG_BYTES or payload[:1] != _VERSION or not verify(payload, tag):
        raise _forged()
    return Presented(payload[1 : 1 + ID_BYTES].hex(), payload[1 + ID_BYTES :])


def read_query(query: str) -> str:
    """Return the token in a link's query or a form's body; other parameters are ignored.

    Raises:
        InvitationRefused: There is no token, or more than one.
    """
    try:
        pairs = urllib.parse.parse_qsl(
            query, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
        )
    except ValueError:
        raise _forged() from None
    tokens = [value for name, value in pairs if name == INVITATION]
    if len(tokens) != 1:
        raise _forged()
    return tokens[0]


def fingerprint(text: str) -> str:
    """Return ten digits that identify a link in a log, and cannot be used as one."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:10]


def _forged() -> InvitationRefused:
    return InvitationRefused(
        "The link is none of this bot's invitations, or was not copied whole.",
        why="forged",
        hint="Copy the whole link, or ask for a new one.",
    )


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _decode(token: str) -> bytes:
    """Return the token's bytes; b"" if it is not written in the only valid way."""
    if len(token) > _LONGEST_TOKEN or not token.isascii():
        return b""
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError:
        return b""
    return raw if _encode(raw) == token else b""
