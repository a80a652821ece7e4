"""Seal tokens with AES-256-GCM, each bound to the one row that it belongs to.

A sealed record is `BKV1`, 4 bytes that name the key, a nonce of 12 bytes, and the ciphertext with
its tag. The header, the deployment and the row (account, app, kind, generation) are associated
data, so a record that was moved, swapped or copied to another store does not open. The plaintext
is padded to multiples of half a kilobyte, so that a new token never needs more room than the
intent of its refresh has reserved. A record with a refresh token is `BKV2`: 4 bytes for the length
of the first box, then two boxes of nonce and ciphertext. The refresh token is in the second box,
which stays sealed for readers that need the access token only.
Source: NIST SP 800-38D (96-bit random nonces); docs/explanation/requirements.md, S4 and S10.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import TYPE_CHECKING, Protocol

import msgspec

from botkit.errors import Corrupt, VaultKeyError
from botkit.model.tokens import Secret
from botkit.storage.sealed_header import HEADER_BYTES, KEY_NAME_BYTES, MAGIC, MAGIC_TWO

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Unpack

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from botkit.model.records import CredentialRow
    from botkit.ports.vault import SealedFor

__all__ = ["KEY_BYTES", "Vault", "open_vault"]

KEY_BYTES = 32
_REFRESHING = frozenset({"refresh_token", "spent"})
"""The secrets in the second box: only a refresh, a revocation and an export need them."""
_SECOND = "/refresh"
_LENGTH_BYTES = 4
_NONCE_BYTES = 12
_TAG_BYTES = 16
_BLOCK_BYTES = 512
_CHECK_KIND = "vault-check"
_CURE = (
    "Give this store's key by BOTKIT_STORE__KEY or BOTKIT_STORE__KEY_FILE, or put its key file "
    "(or its entry in the keyring) back; a lost key cannot be replaced: then remove the accounts "
    "and run botkit setup again."
)


class Vault:
    """Seals and opens the tokens of one deployment.

    New records are sealed with `key`. `previous`, the key from before a rotation, opens the
    records that were sealed with it.
    """

    def __init__(self, key: bytes, *, deployment: str, previous: bytes | None = None) -> None:
        self._deployment = deployment.encode()
        self._current = _name_of(key)
        self._ciphers = {
            _name_of(each): _cipher(each) for each in (previous, key) if each is not None
        }
        self._signers = {
            _name_of(each): _signer(each) for each in (previous, key) if each is not None
        }

    def __repr__(self) -> str:
        return "Vault(...)"

    def seal(self, secrets: Mapping[str, Secret | str], /, **place: Unpack[SealedFor]) -> bytes:
        """Return the secrets as bytes that only this deployment's key opens, for this row only."""
        second = {name: secrets[name] for name in secrets.keys() & _REFRESHING}
        if not second:
            header = MAGIC + self._current
            return header + self._shut(secrets, header, place)
        header = MAGIC_TWO + self._current
        first = {name: secrets[name] for name in secrets.keys() - _REFRESHING}
        box = self._shut(first, header, place)
        length = len(box).to_bytes(_LENGTH_BYTES, "big")
        other = self._shut(second, header, place, _SECOND)
        return header + length + box + other

    def open(self, sealed: bytes, /, **place: Unpack[SealedFor]) -> dict[str, Secret]:
        """Return the secrets that were sealed for this row.

        Raises:
            VaultKeyError: The record was sealed with a key that this vault does not have.
            Corrupt: The record is damaged or cut, or belongs to another row or deployment.
        """
        header, boxes = _boxes_of(sealed, place)
        secrets: dict[str, Secret] = {}
        for box, suffix in zip(boxes, ("", _SECOND), strict=False):
            secrets |= self._opened(box, header, place, suffix)
        return secrets

    def open_access(self, sealed: bytes, /, **place: Unpack[SealedFor]) -> dict[str, Secret]:
        """Return the secrets of this row but for those of a refresh, whose box stays sealed.

        It raises the errors of `open`.
        """
        header, boxes = _boxes_of(sealed, place)
        secrets = self._opened(boxes[0], header, place)
        return {name: secrets[name] for name in secrets.keys() - _REFRESHING}

    def learn(self, key: bytes, *, previous: bytes | None = None) -> None:
        """Seal with this key from now on: it was rotated while this process runs."""
        self._ciphers |= {_name_of(each): _cipher(each) for each in (previous, key) if each}
        self._signers |= {_name_of(each): _signer(each) for each in (previous, key) if each}
        self._current = _name_of(key)

    def sign(self, message: bytes, /, *, purpose: str) -> bytes:
        """Return a tag of 32 bytes that only this deployment's key makes, for one purpose."""
        return self._tag(self._signers[self._current], message, purpose)

    def verify(self, message: bytes, tag: bytes, /, *, purpose: str) -> bool:
        """Return True if `sign` made the tag with one of the vault's keys, in constant time."""
        tags = [self._tag(signer, message, purpose) for signer in self._signers.values()]
        return any([hmac.compare_digest(tag, each) for each in tags])  # noqa: C419 - compare with every key

    def _tag(self, signer: bytes, message: bytes, purpose: str) -> bytes:
        parts = (self._deployment, purpose.encode(), message)
        bound = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.digest(signer, bound, "sha256")

    def is_current(self, sealed: bytes) -> bool:
        """Return True if the record was sealed with the newest key; if not, seal it again soon."""
        return bytes(sealed[4:HEADER_BYTES]) == self._current

    def _shut(
        self,
        secrets: Mapping[str, Secret | str],
        header: bytes,
        place: SealedFor,
        suffix: str = "",
    ) -> bytes:
        text = msgspec.json.encode({name: _text(secret) for name, secret in secrets.items()})
        sized = len(text).to_bytes(_LENGTH_BYTES, "big") + text
        padded = sized + bytes(-(len(sized) + _TAG_BYTES) % _BLOCK_BYTES)
        nonce = os.urandom(_NONCE_BYTES)
        bound = self._bound(header, place, suffix)
        return nonce + self._ciphers[self._current].encrypt(nonce, padded, bound)

    def _opened(
        self, box: bytes, header: bytes, place: SealedFor, suffix: str = ""
    ) -> dict[str, Secret]:
        cipher = self._ciphers.get(header[4:])
        if cipher is None:
            raise VaultKeyError(
                f"The tokens of {place['account_id'] or 'the app'} were sealed with another key.",
                hint=_CURE,
            )
        from cryptography.exceptions import InvalidTag

        bound = self._bound(header, place, suffix)
        try:
            padded = cipher.decrypt(box[:_NONCE_BYTES], box[_NONCE_BYTES:], bound)
        except InvalidTag as fault:
            raise _damaged(place) from fault
        length = int.from_bytes(padded[:_LENGTH_BYTES], "big")
        text = padded[_LENGTH_BYTES : _LENGTH_BYTES + length]
        found = msgspec.json.decode(text, type=dict[str, str])
        return {name: Secret(secret) for name, secret in found.items()}

    def _bound(self, header: bytes, place: SealedFor, suffix: str) -> bytes:
        """Return the associated data; without an origin, as older versions of botkit made it."""
        texts = [place["account_id"], place["app"], f"{place['kind']}{suffix}"]
        if origin := place.get("origin"):
            texts += [origin, place.get("client_id", "")]
        parts = (header, self._deployment, *(text.encode() for text in texts))
        lengths = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return lengths + place["gen"].to_bytes(8, "big")


def _text(secret: Secret | str) -> str:
    return secret.reveal() if isinstance(secret, Secret) else secret


class _SealedRows(Protocol):
    async def listing(self, account_id: str | None = None) -> Sequence[CredentialRow]: ...


class VaultStore(Protocol):
    """The part of a store that `open_vault` uses."""

    @property
    def store_id(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def credentials(self) -> _SealedRows: ...
    async def vault_check(self) -> bytes | None: ...
    async def set_vault_check(self, value: bytes, *, expected: bytes | None) -> bytes: ...


async def open_vault(
    store: VaultStore, key: bytes | None, *, previous: bytes | None = None
) -> Vault:
    """Return the store's vault, after a check that the key is the store's.

    The store holds a sealed record for that check. A new store has none yet: its first key seals
    one. A record of the previous key is sealed again; nothing else is written.

    Raises:
        VaultKeyError: There is no key, or the store was sealed with another one.
    """
    check = await store.vault_check()
    if key is None:
        raise VaultKeyError(_no_key(store, sealed=check is not None), hint=_CURE)
    vault = Vault(key, deployment=store.store_id, previous=previous)
    if check is None:
        check = await store.set_vault_check(_proof(vault, store), expected=None)
    try:
        vault.open(check, account_id="", app="", kind=_CHECK_KIND, gen=0)
    except VaultKeyError as fault:
        raise VaultKeyError(
            f"The vault key is not the key of the store {store.url}; nothing was changed.",
            hint=_CURE,
        ) from fault
    if not vault.is_current(check):
        await store.set_vault_check(_proof(vault, store), expected=check)
    return vault


def _proof(vault: Vault, store: VaultStore) -> bytes:
    content = {"store": store.store_id}
    return vault.seal(content, account_id="", app="", kind=_CHECK_KIND, gen=0)


def _no_key(store: VaultStore, *, sealed: bool) -> str:
    if sealed:
        return f"The store {store.url} holds sealed tokens, and there is no key to open them."
    return f"There is no vault key for the store {store.url}."


def _boxes_of(sealed: bytes, place: SealedFor) -> tuple[bytes, list[bytes]]:
    """Split a record into its header and its one or two boxes."""
    header, rest = bytes(sealed[:HEADER_BYTES]), bytes(sealed[HEADER_BYTES:])
    boxes: list[bytes] = []
    if header[:4] == MAGIC:
        boxes = [rest]
    elif header[:4] == MAGIC_TWO:
        end = _LENGTH_BYTES + int.from_bytes(rest[:_LENGTH_BYTES], "big")
        boxes = [rest[_LENGTH_BYTES:end], rest[end:]]
    if not boxes or any(len(box) < _NONCE_BYTES + _TAG_BYTES for box in boxes):
        raise _damaged(place)
    return header, boxes


def _damaged(place: SealedFor) -> Corrupt:
    account_id, app, kind = place["account_id"], place["app"], place["kind"]
    return Corrupt(
        f"The sealed tokens of {account_id or 'the app'} ({app}, {kind}) are damaged or belong to "
        "another row; nothing was changed.",
        hint=f"Authorize again: botkit setup{f' --account {account_id}' if account_id else ''}",
    )


def _name_of(key: bytes) -> bytes:
    """Return four bytes that tell keys apart, and from which the key cannot be learnt."""
    if len(key) != KEY_BYTES:
        raise VaultKeyError(f"A vault key has {KEY_BYTES} bytes, this one has {len(key)}.")
    return hashlib.sha256(b"botkit vault key name\0" + key).digest()[:KEY_NAME_BYTES]


def _signer(key: bytes) -> bytes:
    """Derive a key for signing, so that each key has one use. Source: NIST SP 800-108r1."""
    return hmac.digest(key, b"botkit vault signing key\0", "sha256")


def _cipher(key: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)
