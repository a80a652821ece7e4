"""Locks by key: one holder for each key at a time, any number of holders of different keys."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection

__all__ = ["KeyedLock"]


class KeyedLock:
    """Hold one lock for each key in use, and forget a key when its last user leaves."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._users: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._locks)

    @asynccontextmanager
    async def take(self, keys: Collection[str]) -> AsyncGenerator[None]:
        """Hold the locks of all these keys inside the block."""
        async with AsyncExitStack() as stack:
            for key in sorted(set(keys)):  # the same order for all callers prevents a deadlock
                await stack.enter_async_context(self._hold(key))
            yield

    @asynccontextmanager
    async def _hold(self, key: str) -> AsyncGenerator[None]:
        lock = self._locks.setdefault(key, asyncio.Lock())
        self._users[key] = self._users.get(key, 0) + 1
        try:
            async with lock:
                yield
        finally:
            self._users[key] -= 1
            if not self._users[key]:
                del self._locks[key], self._users[key]
