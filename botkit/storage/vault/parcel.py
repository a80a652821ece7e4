"""Seal a login with a passphrase, to move it from one machine to another.

A parcel is text of two lines: a title, and base64 of salt, nonce and the content sealed with
AES-256-GCM. The key is derived from the passphrase by scrypt; the title says at what cost.
Source: RFC 7914 (scrypt), NIST SP 800-38D; OWASP Password Storage Cheat Sheet (N = 2^17).
"""

from __future__ import annotations

import base64
import binascii
import os

from botkit.errors import ConfigError

__all__ = ["LEAST_CHARACTERS", "open_parcel", "seal_parcel"]

LEAST_CHARACTERS = 10
_LEAST_DIFFERENT = 5
_TITLE = "botkit-login-2"
_SALT_BYTES = 16
_NONCE_BYTES = 12
_COSTS = {_TITLE: 2**17, "botkit-login-1": 2**16}
"""scrypt's cost: 2^17 is 128 MiB and about half a second for each guess of a passphrase."""
_BLOCK = 8
_KEY_BYTES = 32


def seal_parcel(content: bytes, passphrase: str) -> str:
    """Return the content as text that only the passphrase opens. Blocks to derive the key.

    Raises:
        ConfigError: The passphrase is too short, or nearly one character repeated.
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if len(passphrase.strip()) < LEAST_CHARACTERS:
        raise ConfigError(f"The passphrase is too short: {LEAST_CHARACTERS} characters or more.")
    if len(set(passphrase)) < _LEAST_DIFFERENT:
        raise ConfigError(
            f"The passphrase is too simple: it has fewer than {_LEAST_DIFFERENT} different"
            " characters.",
            hint="Take some words that nobody would guess.",
        )
    salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
    sealed = AESGCM(_key(passphrase, salt, _COSTS[_TITLE])).encrypt(
        nonce, content, _TITLE.encode()
    )
    return f"{_TITLE}\n{base64.b64encode(salt + nonce + sealed).decode()}\n"


def open_parcel(text: str, passphrase: str) -> bytes:
    """Return the content of a parcel. Blocks to derive the key.

    Raises:
        ConfigError: The text is no parcel or is damaged, or the passphrase is wrong.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    title, _, body = text.strip().partition("\n")
    title = title.strip()
    if title not in _COSTS:
        raise ConfigError("This is not a login that `botkit accounts export` wrote.")
    try:
        raw = base64.b64decode("".join(body.split()), validate=True)
        salt, nonce = raw[:_SALT_BYTES], raw[_SALT_BYTES : _SALT_BYTES + _NONCE_BYTES]
        sealed = raw[_SALT_BYTES + _NONCE_BYTES :]
        key = _key(passphrase, salt, _COSTS[title])
        return AESGCM(key).decrypt(nonce, sealed, title.encode())
    except (binascii.Error, ValueError, InvalidTag) as fault:
        raise ConfigError(
            "The login does not open: the passphrase is another one, or the file is damaged.",
            hint="Nothing was changed; try again.",
        ) from fault


def _key(passphrase: str, salt: bytes, cost: int) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    kdf = Scrypt(salt=salt, length=_KEY_BYTES, n=cost, r=_BLOCK, p=1)
    return kdf.derive(passphrase.encode())
