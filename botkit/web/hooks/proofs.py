"""Check that a delivery comes from the software that has the hook's token or secret.

Every check reads raw bytes and takes the same time whether it passes or not. Of each header that
counts there must be exactly one.
Source: RFC 6750 section 2.1 (bearer token); Standard Webhooks 1.0.0, "Verifying webhook
authenticity"; GitHub docs, "Validating webhook deliveries" (`X-Hub-Signature-256`).
"""

from __future__ import annotations

import base64
import hmac
from typing import TYPE_CHECKING

from msgspec import Struct

from botkit.web.proofs import equals_one, only_header

if TYPE_CHECKING:
    from datetime import datetime

    from botkit.config import HookSettings
    from botkit.web.requests import WebRequest

__all__ = ["ID_HEADER", "NOBODY", "Proofs", "proofs_of"]

ID_HEADER = "webhook-id"
_STANDARD = "whsec_"
_TOLERANCE_S = 300
"""Standard Webhooks leaves the tolerance to the receiver; its libraries take five minutes."""
_MOST_SIGNATURES = 16
_TIME_DIGITS = 12


class Proofs(Struct, frozen=True, kw_only=True):
    """Hold what a hook's sender may prove itself with; several while one replaces another.

    Attributes:
        tokens: Whole values of the header `Authorization`.
        standard_keys: The keys of Standard Webhooks.
        body_keys: The keys of `X-Hub-Signature-256`.
    """

    tokens: tuple[bytes, ...] = ()
    standard_keys: tuple[bytes, ...] = ()
    body_keys: tuple[bytes, ...] = ()

    def accept(self, request: WebRequest, body: bytes, *, now: datetime) -> bool:
        """Return True if one of the proofs fits the request."""
        # Each is computed, whatever the others say: the time tells nothing of the hook.
        by_token = _has_token(request, self.tokens)
        by_standard = _is_signed(request, body, self.standard_keys, now)
        by_body = _is_body_signed(request, body, self.body_keys)
        return by_token | by_standard | by_body

    @property
    def signs_ids(self) -> bool:
        """Whether the signature covers the header `webhook-id`."""
        return bool(self.standard_keys)


NOBODY = Proofs(tokens=(b"",))
"""The proofs of a hook that does not exist; nothing fits them."""


def proofs_of(hook: HookSettings) -> Proofs:
    """Return the proofs that the settings of a hook name."""
    tokens = [each for each in (hook.token, hook.previous_token) if each is not None]
    given = [each for each in (hook.secret, hook.previous_secret) if each is not None]
    secrets = [secret.get_secret_value() for secret in given]
    return Proofs(
        tokens=tuple(f"Bearer {token.get_secret_value()}".encode() for token in tokens),
        standard_keys=tuple(
            base64.b64decode(secret.removeprefix(_STANDARD))
            for secret in secrets
            if secret.startswith(_STANDARD)
        ),
        body_keys=tuple(secret.encode() for secret in secrets if not secret.startswith(_STANDARD)),
    )


def _has_token(request: WebRequest, tokens: tuple[bytes, ...]) -> bool:
    scheme, _, token = only_header(request, "Authorization").partition(b" ")
    # RFC 9110 section 11.1: the name of the scheme has no case.
    given = b"Bearer " + token if scheme.lower() == b"bearer" else b"-"
    return equals_one(given, tokens)


def _is_signed(request: WebRequest, body: bytes, keys: tuple[bytes, ...], now: datetime) -> bool:
    name, sent = only_header(request, ID_HEADER), only_header(request, "webhook-timestamp")
    content = b"%b.%b.%b" % (name, sent, body)
    made = tuple(
        b"v1," + base64.b64encode(hmac.digest(key, content, "sha256")) for key in keys or (b"-",)
    )
    given = only_header(request, "webhook-signature").split(b" ")[:_MOST_SIGNATURES]
    fits = [equals_one(signature, made) for signature in given]
    return bool(name) and bool(keys) and _is_recent(sent, now) and any(fits)


def _is_recent(sent: bytes, now: datetime) -> bool:
    if not sent.isdigit() or len(sent) > _TIME_DIGITS:
        return False
    return abs(now.timestamp() - int(sent)) <= _TOLERANCE_S


def _is_body_signed(request: WebRequest, body: bytes, keys: tuple[bytes, ...]) -> bool:
    made = tuple(
        b"sha256=" + hmac.digest(key, body, "sha256").hex().encode() for key in keys or (b"-",)
    )
    return equals_one(only_header(request, "X-Hub-Signature-256"), made) and bool(keys)
