"""The port of the vault, which seals tokens before they come to the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botkit.model.tokens import CredentialKind, Secret

__all__ = ["VaultPort"]


class VaultPort(Protocol):
    """Seals tokens for the store. What is sealed for one row cannot be opened for another."""

    def seal(
        self,
        tokens: Mapping[str, Secret | str],
        /,
        *,
        account_id: str,
        app: str,
        kind: CredentialKind,
        gen: int,
    ) -> bytes:
        """Return the tokens, encrypted and bound to that row and generation."""
        ...

    def is_current(self, sealed: bytes, /) -> bool:
        """Return True if it was sealed with the newest key."""
        ...

    def sign(self, message: bytes, /, *, purpose: str) -> bytes:
        """Return a tag that only this deployment's key makes, for this purpose only."""
        ...

    def verify(self, message: bytes, tag: bytes, /, *, purpose: str) -> bool:
        """Return True if the tag is one of `sign`, by any key that we have; in constant time."""
        ...

    def learn(self, key: bytes, /, *, previous: bytes | None = None) -> None:
        """Seal with this key from now on."""
        ...

    def open(
        self, sealed: bytes, /, *, account_id: str, app: str, kind: CredentialKind, gen: int
    ) -> dict[str, Secret]:
        """Return what was sealed for this row.

        Raises:
            VaultKeyError: It was sealed with a key that we do not have.
            Corrupt: It was damaged, or belongs to another row or deployment.
        """
        ...

    def open_access(
        self, sealed: bytes, /, *, account_id: str, app: str, kind: CredentialKind, gen: int
    ) -> dict[str, Secret]:
        """Return as `open` does, without what is needed to refresh: only the keeper opens that."""
        ...
