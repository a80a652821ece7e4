"""`open_store`: from a URL to a store that is ready to use."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from botkit.storage.files import file_of, is_there, path_of
from botkit.storage.sql.values import to_us
from botkit.storage.sqlite.database_file import prepare
from botkit.storage.sqlite.faults import explain_os
from botkit.storage.sqlite.store import SqliteStore
from botkit.system import SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from botkit.ports import Clock, Store

__all__ = ["missing_file", "open_store"]


def missing_file(url: str) -> Path | None:
    """Return the path of the store's file if it is not there, else None.

    Raises:
        ConfigError: The URL names no store that botkit knows.
        StoreUnavailable: The system does not let this user look for the file.
    """
    path = file_of(url)
    if path is None:
        return None
    try:
        return None if is_there(path) else path
    except OSError as fault:
        raise explain_os(fault, path) from fault


@asynccontextmanager
async def open_store(
    url: str, *, clock: Clock | None = None, create: bool = True, check: bool = True
) -> AsyncGenerator[Store]:
    """Open the store at `sqlite:///PATH` (absolute with a fourth slash), closed at the end.

    A new store is made whole or not at all; what is there is never overwritten. Without `clock`
    it goes by the machine's clock. `check` reads the whole file once to find damage (up to
    256 MiB); a short command may leave that out.

    Raises:
        ConfigError: The URL names no store that botkit knows.
        StoreUnavailable: It is not there and `create` is False, or it cannot be used now.
        Corrupt: What lies there is not a store, is damaged, or was made by a newer version.

    Source: docs/explanation/requirements.md, S1, S2, S5, S6, S8.
    """
    path = path_of(url).absolute()
    if clock is None:
        clock = SystemClock()
    now_us = to_us(clock.now())
    store_id = await asyncio.to_thread(prepare, path, create=create, now_us=now_us, check=check)
    store = SqliteStore(path, store_id=store_id, clock=clock)
    try:
        yield store
    finally:
        await store.close()
