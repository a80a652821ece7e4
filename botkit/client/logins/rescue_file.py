"""Tokens that the store could not save after X had answered, and the reserved file for them.

The file reserves its disk space at the start, so that a full disk cannot prevent its use. It holds
only data that the vault has sealed. Source: docs/explanation/requirements.md, F7.
"""

from __future__ import annotations

import asyncio
import errno
import os
import zlib
from typing import TYPE_CHECKING, Protocol

import msgspec
import structlog
from msgspec import Struct, field

from botkit.errors import Conflict, StateError
from botkit.model.records import CredentialRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from botkit.client.logins.login_rows import LoginRows

__all__ = ["RescueFile", "RescuePlace", "RescueRestorer", "Rescued"]

_log = structlog.get_logger(__name__)

_MAGIC = b"botkit-rescue-1\n"
_HEAD_BYTES = len(_MAGIC) + 16
_RESERVED_BYTES = 64 * 1024
_MOST_BYTES = 16 * 1024 * 1024
_MOST_UNREAD = 16


class Rescued(Struct, frozen=True, kw_only=True):
    """Hold a new generation that is not in the store yet, or an answer that could not be read.

    `intent_id` is the intent that the generation ends. With `unread_answer` the row is not a
    login: it holds, sealed, the raw bytes of a successful answer that could not be read.
    """

    row: CredentialRow
    intent_id: str
    unread_answer: bool = field(default=False, name="salvage")  # its name in older files


class RescuePlace(Protocol):
    """Keep rescued rows until the store has them."""

    async def keep(self, entries: Sequence[Rescued]) -> None:
        """Replace the kept rows by these and sync. Raise `OSError` if that fails."""
        ...

    async def load(self) -> list[Rescued]:
        """Return the kept rows; an empty list if there are none or they cannot be read."""
        ...


class RescueFile:
    """Keep rescued rows in a file beside the store, readable by its owner only, never shrunk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def keep(self, entries: Sequence[Rescued]) -> None:
        """Overwrite the file's content in place, and sync."""
        await asyncio.to_thread(self._write, msgspec.json.encode(list(entries)))

    async def load(self) -> list[Rescued]:
        """Return the rows in the file; create it and reserve its space if it does not exist."""
        body = await asyncio.to_thread(self._read)
        return msgspec.json.decode(body, type=list[Rescued]) if body else []

    def _write(self, body: bytes) -> None:
        head = _MAGIC + len(body).to_bytes(8, "big") + zlib.crc32(body).to_bytes(8, "big")
        handle = self._open()
        try:
            if os.pwrite(handle, head + body, 0) != len(head) + len(body):
                raise OSError(errno.ENOSPC, "written in part only")
            os.fsync(handle)
        finally:
            os.close(handle)

    def _read(self) -> bytes:
        handle = self._open()
        try:
            head = os.pread(handle, _HEAD_BYTES, 0)
            if not head.startswith(_MAGIC) or len(head) < _HEAD_BYTES:
                self._reserve(handle)
                return b""
            size = int.from_bytes(head[len(_MAGIC) : len(_MAGIC) + 8], "big")
            body = os.pread(handle, min(size, _MOST_BYTES), _HEAD_BYTES)
            whole = zlib.crc32(body) == int.from_bytes(head[-8:], "big") and len(body) == size
            return body if whole else b""
        finally:
            os.close(handle)

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
        return os.open(self._path, flags, 0o600)

    def _reserve(self, handle: int) -> None:
        missing = _RESERVED_BYTES - os.fstat(handle).st_size
        if missing > 0:
            os.pwrite(handle, bytes(missing), os.fstat(handle).st_size)
            os.fsync(handle)


class RescueRestorer:
    """Hold the rescued rows, and rewrite the rescue file at each change.

    Without a rescue file the rows are in memory only.
    """

    def __init__(self, rescue: RescuePlace | None, rows: LoginRows) -> None:
        self._rescue = rescue
        self._rows = rows
        self._entries: list[Rescued] = []

    async def restore(self) -> list[Rescued]:
        """Store the rescued logins at the start; return those that the store still cannot save."""
        if self._rescue is None:
            return []
        try:
            self._entries = await self._rescue.load()
        except (OSError, ValueError) as error:
            _log.error("rescue_file.not_read", why=str(error))
            return []
        for entry in [entry for entry in self._entries if not entry.unread_answer]:
            await self.store(entry)
        return [entry for entry in self._entries if not entry.unread_answer]

    async def keep(self, entry: Rescued) -> bool:
        """Keep one more entry; return False if it could not be written to a file."""
        unread = [old for old in self._entries if old.unread_answer][-_MOST_UNREAD:]
        others = [old for old in self._entries if not old.unread_answer and not _same(old, entry)]
        self._entries = [*others, *unread, entry]
        return await self._write()

    async def store(self, entry: Rescued) -> CredentialRow | None:
        """Try to store an entry; return the store's row of that login afterwards.

        Remove the entry from the file if the store has saved it or has a newer generation. Return
        None, and raise nothing, if the store cannot be used: the entry is then kept. Return None
        too if the store does not have that login any more.
        """
        row: CredentialRow | None = None
        try:
            try:
                await self._rows.store_result(entry.row, entry.intent_id)
            except Conflict:
                _log.info("rescued_login.superseded", account=entry.row.account_id)
            row = await self._rows.again(entry.row)
        except StateError as error:
            _log.error("rescued_login.not_stored", account=entry.row.account_id, why=error.message)
            return None
        if entry in self._entries:
            self._entries.remove(entry)
            await self._write()
        return row

    async def _write(self) -> bool:
        if self._rescue is None:
            return False
        try:
            await self._rescue.keep(self._entries)
        except OSError as error:
            _log.error("rescue_file.not_written", why=str(error))
            return False
        return True


def _same(one: Rescued, other: Rescued) -> bool:
    place = (one.row.account_id, one.row.app, one.row.kind)
    return place == (other.row.account_id, other.row.app, other.row.kind)
