"""The rollback guard: keeps each login's newest generation outside the store.

A store that was restored from a backup holds a refresh token that was used already; sending it
again would end the grant. So the generation is also kept in a small file of its own: a store that
is behind this file was restored. Source: docs/explanation/requirements.md, F13 and S9.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
from typing import TYPE_CHECKING, Protocol

import msgspec
from msgspec import Struct

from botkit.model.tokens import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from botkit.model.records import CredentialRow

__all__ = ["FileRollbackGuard", "RollbackGuard", "Seen", "seen_of", "verdict"]

_MOST_BYTES = 4096


class Seen(Struct, frozen=True, kw_only=True):
    """Hold the newest generation that was ever stored, and the fingerprint of its token."""

    gen: int
    hash: str


class RollbackGuard(Protocol):
    """Keep the newest generation of each login, outside the store."""

    async def recall(self, row: CredentialRow) -> Seen | None:
        """Return the login's newest known generation, None if it is unknown or cannot be read."""
        ...

    async def note(self, row: CredentialRow, seen: Seen) -> None:
        """Record the generation that the store has now. Raise `OSError` if that fails."""
        ...

    async def forget(self, row: CredentialRow) -> None:
        """Delete the record of a login that was removed."""
        ...


def seen_of(row: CredentialRow, tokens: Mapping[str, Secret]) -> Seen:
    """Return the guard's record of this generation, which holds these tokens."""
    token = tokens.get("refresh_token") or tokens.get("access_token") or Secret("")
    return Seen(gen=row.gen, hash=hashlib.sha256(token.reveal().encode()).hexdigest()[:16])


def verdict(row: CredentialRow, here: Seen, seen: Seen | None) -> str:
    """Return why this generation must not be refreshed, "" if it may be.

    It must not if the store is older than the guard's record.
    """
    if seen is None or seen.gen < here.gen or seen == here:
        return ""
    return (
        f"an old store was put back: it has generation {here.gen} of the login of "
        f"@{row.username or row.account_id}, and {seen.gen} was reached; its token is spent"
    )


class FileRollbackGuard:
    """Keep one small file for each login, readable by this user only, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        """Use this folder. It is made when the first file is written; its parent must exist."""
        self._folder = folder

    async def recall(self, row: CredentialRow) -> Seen | None:
        """See `RollbackGuard`."""
        return await asyncio.to_thread(_read, self._path(row))

    async def note(self, row: CredentialRow, seen: Seen) -> None:
        """See `RollbackGuard`."""
        body = msgspec.json.encode(seen)
        await asyncio.to_thread(_write, self._path(row), body)

    async def forget(self, row: CredentialRow) -> None:
        """See `RollbackGuard`."""
        await asyncio.to_thread(self._path(row).unlink, missing_ok=True)

    def _path(self, row: CredentialRow) -> Path:
        place = f"{row.account_id}\x00{row.app}\x00{row.kind.value}"
        return self._folder / hashlib.sha256(place.encode()).hexdigest()[:24]


def _read(path: Path) -> Seen | None:
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(_MOST_BYTES), type=Seen)
    except (OSError, msgspec.MsgspecError):
        return None


def _write(path: Path, body: bytes) -> None:
    """Write a file atomically: write and sync it under another name, then rename it."""
    with contextlib.suppress(FileExistsError):
        path.parent.mkdir(mode=0o700)
        path.parent.chmod(0o700)
    building = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(building, flags, 0o600)
    try:
        try:
            os.fchmod(descriptor, 0o600)
            os.pwrite(descriptor, body, 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        building.replace(path)
    except OSError:
        building.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
