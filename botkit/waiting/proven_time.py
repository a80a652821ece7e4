"""Tell the time by two clocks that agree, for actions that cannot be undone.

A wall clock may be wrong by months at a start. Pruning, missed ticks and signals emitted for later
therefore need the `Date` of an answer of X, advanced by the clock that never goes back.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from botkit.ports import Clock

__all__ = ["ProvenTime"]

_log = structlog.get_logger(__name__)

_UNEVEN = timedelta(minutes=1)
"""The wall clock counts as wrong if it is further ahead of X's than this."""


class ProvenTime:
    """Compare the wall clock with X's, whose time comes by `note`.

    Attributes:
        is_seen: Set once X's time was seen in this run.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._started = clock.now()
        self._started_s = clock.monotonic()
        self._seen: tuple[datetime, float] | None = None
        self._is_wrong = False
        self.is_seen: asyncio.Event = asyncio.Event()

    @property
    def started(self) -> datetime:
        """Return the start of this run by X's clock; by the wall clock until X's time is known."""
        if self._seen is None:
            return self._started
        date, seen_s = self._seen
        return date - timedelta(seconds=seen_s - self._started_s)

    def note(self, date: datetime) -> None:
        """Take the time of X's clock from an answer that has just come."""
        self._seen = (date, self._clock.monotonic())
        self.is_seen.set()
        ahead = self._clock.now() - date
        is_wrong = abs(ahead) > _UNEVEN
        if is_wrong and not self._is_wrong:
            _log.warning("clock.wrong", ahead_s=round(ahead.total_seconds()), x_time=str(date))
        self._is_wrong = is_wrong

    def now(self) -> datetime | None:
        """Return the earlier of the wall clock and X's time; None if X's was not seen yet.

        They count as equal while the wall clock is less than a minute ahead.
        """
        if self._seen is None:
            return None
        date, seen_s = self._seen
        x_time = date + timedelta(seconds=self._clock.monotonic() - seen_s)
        wall = self._clock.now()
        return wall if wall <= x_time + _UNEVEN else x_time

    def has_come(self, due: datetime) -> bool:
        """Return True if the time is certainly `due` or later.

        Until X's time is known, only the time since the start of the run is certain.
        """
        now = self.now()
        if now is not None:
            return due <= now
        passed = timedelta(seconds=self._clock.monotonic() - self._started_s)
        return self._started < due <= min(self._clock.now(), self._started + passed + _UNEVEN)
