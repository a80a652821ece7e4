"""One at a time for a key, any number for different keys; a key that nobody uses is forgotten."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection

__all__ = ["KeyedLock"]


class KeyedLock:
    """Keyed locks, as many as are in use."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._users: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._locks)

    @asynccontextmanager
    async def take(self, keys: Collection[str]) -> AsyncGenerator[None]:
        """Hold all of these keys for the block."""
        async with AsyncExitStack() as stack:
            for key in sorted(set(keys)):  # one order for all, so that no two wait for each other
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
