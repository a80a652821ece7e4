"""The port of the vault, which encrypts tokens before they reach the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, NotRequired, Protocol, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Unpack

    from botkit.model.tokens import Secret

__all__ = ["SealedFor", "VaultPort"]


class SealedFor(TypedDict):
    """Name the row to which a sealed record belongs: the record opens only with the same values.

    `origin` and `client_id` are missing or "" for a record of an older botkit.
    """

    account_id: str
    app: str
    kind: str
    gen: int
    origin: NotRequired[str]
    client_id: NotRequired[str]


class VaultPort(Protocol):
    """Seal tokens for the store: encrypt them for one row, so that no other row can open them."""

    def seal(self, tokens: Mapping[str, Secret | str], /, **place: Unpack[SealedFor]) -> bytes:
        """Return the tokens, encrypted and bound to that row and generation."""
        ...

    def is_current(self, sealed: bytes, /) -> bool:
        """Return True if `sealed` was sealed with the newest key."""
        ...

    def sign(self, message: bytes, /, *, purpose: str) -> bytes:
        """Return a tag that only this deployment's key can make, valid for this purpose only."""
        ...

    def verify(self, message: bytes, tag: bytes, /, *, purpose: str) -> bool:
        """Return True if `sign` made the tag with any key that we have; take constant time."""
        ...

    def learn(self, key: bytes, /, *, previous: bytes | None = None) -> None:
        """Seal with this key from now on; open with it and with `previous` too."""
        ...

    def open(self, sealed: bytes, /, **place: Unpack[SealedFor]) -> dict[str, Secret]:
        """Return the tokens that were sealed for this row and generation.

        Raises:
            VaultKeyError: They were sealed with a key that we do not have.
            Corrupt: The bytes are damaged, or belong to another row or deployment.
        """
        ...

    def open_access(self, sealed: bytes, /, **place: Unpack[SealedFor]) -> dict[str, Secret]:
        """Return the tokens as `open` does, but without the refresh token.

        Only the refresh leader opens refresh tokens.
        """
        ...
