"""The machine's clock and chance: the only file of the package that reads either."""

from __future__ import annotations

import asyncio
import random
import secrets
import sys
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

__all__ = ["SystemClock", "SystemEntropy"]


def _steady_clock() -> Callable[[], float]:
    """A clock that never goes back and, where the system has one, counts while it sleeps too.

    A token's age goes on while a laptop sleeps; `time.monotonic` stands still meanwhile on Linux
    and macOS. Source: clock_gettime(2), CLOCK_BOOTTIME; macOS clock_gettime(3).
    """
    name = "CLOCK_MONOTONIC_RAW" if sys.platform == "darwin" else "CLOCK_BOOTTIME"
    clock_id: int | None = getattr(time, name, None)
    return time.monotonic if clock_id is None else partial(time.clock_gettime, clock_id)


class SystemClock:
    """Return the machine's time; wait by the event loop's timers.

    Attributes:
        ahead: The time by which `now` is ahead of the machine's clock, set by `botkit dev`.
    """

    def __init__(self, ahead: timedelta = timedelta(0)) -> None:
        self.ahead = ahead
        self._steady = _steady_clock()

    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""
        return datetime.now(UTC) + self.ahead

    def monotonic(self) -> float:
        """Seconds since some start; goes on while the machine sleeps, where it can tell."""
        return self._steady()

    async def sleep(self, seconds: float) -> None:
        """Wait; a negative span lets others run once."""
        await asyncio.sleep(max(seconds, 0.0))

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[Any]:
        """Cancel the block after that many seconds, raising `TimeoutError`; None is never."""
        return asyncio.timeout(seconds)


class SystemEntropy:
    """Chance from the operating system for what must be unpredictable, cheap chance for jitter."""

    def token_bytes(self, size_bytes: int) -> bytes:
        """Unpredictable bytes."""
        return secrets.token_bytes(size_bytes)

    def uniform(self, low: float, high: float) -> float:
        """A number between the two, for jitter."""
        return random.uniform(low, high)  # noqa: S311 - jitter need not be unpredictable
