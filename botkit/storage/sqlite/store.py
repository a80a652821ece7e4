"""The store on one SQLite file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botkit.storage.sql.store import SqlStore
from botkit.storage.sqlite.engine import Engine
from botkit.storage.sqlite.events import SqliteEvents
from botkit.storage.sqlite.free_pages import give_room_back
from botkit.storage.sqlite.process_locks import ProcessLocks

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from botkit.errors import StateError
    from botkit.model.records import KeepFor
    from botkit.ports import Clock
    from botkit.ports.store import Events

__all__ = ["SqliteStore"]


class SqliteStore(SqlStore):
    """See `botkit.ports.store.Store`."""

    def __init__(self, path: Path, *, store_id: str, clock: Clock) -> None:
        self._file = Engine(path, store_id=store_id)
        self._locks = ProcessLocks(path)
        super().__init__(self._file, store_id=store_id, clock=clock, locks=self._locks)
        self.url: str = f"sqlite:///{path}"
        self.events: Events = SqliteEvents(self._file, clock)

    @property
    def fault(self) -> StateError | None:
        return self._file.fault

    async def changed(self) -> bool:
        return await self._file.changed()

    async def prune(self, keep_for: KeepFor, *, now: datetime) -> Mapping[str, int]:
        counts = await super().prune(keep_for, now=now)
        while await self._file.write(give_room_back):
            pass  # short transactions, so that others can write in between
        return counts

    async def close(self) -> None:
        await self._file.close()
        self._locks.close()
