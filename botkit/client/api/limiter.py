"""Track rate windows and spent credit, so that no call is sent that X would surely refuse.

A window belongs to an operation and an owner: an account (its OAuth 1.0a and 2.0 tokens share it)
or an app. The time until its end is computed from the `Date` of X's answer, and measured on our
clock that never goes back. A call waits a few seconds in place; if it must wait longer, `Parked`
is raised. Other operations go on.
Source: X API docs, "Rate limits"; docs/explanation/requirements.md, faults 14, 15, 60.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from botkit.errors import Parked
from botkit.protocol.api import rate_limits
from botkit.telemetry.times import rfc3339

if TYPE_CHECKING:
    from datetime import datetime

    from botkit.ports.io import Clock, Entropy
    from botkit.protocol.api.responses import RateWindow, Response

__all__ = ["Limiter", "WindowKey"]

WindowKey = tuple[str, str]
"""Operation id, and the owner: an account id, or `app/NAME`."""

_log = structlog.get_logger(__name__)

_IN_PLACE_S = 5.0
_JITTER_S = (0.25, 2.0)
_ASSUMED_S = 60.0
_NEXT = timedelta(seconds=2)
"""Added to an ended window's reset for the assumed next one: any true next reset is later."""
_LONGEST_S = timedelta(hours=24, minutes=5).total_seconds()
_NO_CREDIT_S = 15 * 60.0
_NO_CREDIT_MOST_S = 60 * 60.0
_FEW = 1024


class _Window:
    """Hold the calls that are left in one window; calls under way are subtracted."""

    __slots__ = ("ends_s", "is_assumed", "limit", "name", "remaining", "reset")

    def __init__(self, name: str, window: RateWindow, *, remaining: int, ends_s: float) -> None:
        self.name = name
        self.reset = window.reset
        self.limit = window.limit
        self.remaining = remaining
        self.ends_s = ends_s
        self.is_assumed = False

    def goes_on(self, now_s: float, *, under_way: int) -> bool:
        """Return True if the window still limits calls; once it has ended, assume a next one.

        The assumed window has the same size; X's next answer replaces it. Without it, all waiting
        calls would leave at once when a window ends.
        """
        if self.ends_s > now_s:
            return True
        if self.is_assumed:
            return False
        self.is_assumed = True
        self.reset += _NEXT
        self.remaining = self.limit - under_way
        self.ends_s = now_s + _ASSUMED_S
        return True


class _Lane:
    """Hold one owner's rate windows and running calls for one operation."""

    __slots__ = ("held_until_s", "refused", "under_way", "windows")

    def __init__(self) -> None:
        self.windows: tuple[_Window, ...] = ()
        self.held_until_s = 0.0
        self.refused = 0
        self.under_way = 0

    def window(self, name: str) -> _Window | None:
        """Return the window of that name, `short` or `day`; None if it is not known."""
        for window in self.windows:
            if window.name == name:
                return window
        return None


class Limiter:
    """Track the windows of all operations and owners, and the owners that are out of credit."""

    def __init__(self, *, clock: Clock, entropy: Entropy) -> None:
        self._clock = clock
        self._entropy = entropy
        self._lanes: dict[WindowKey, _Lane] = {}
        self._broke: dict[str, tuple[float, int]] = {}
        self._prune_at = _FEW

    async def ready(self, key: WindowKey) -> None:
        """Wait until a call may leave, a few seconds at most.

        Raises:
            Parked: `rate` or `credits`, with the time: the call has to wait longer.
        """
        while (wait_s := self._wait_s(key)) > 0:
            if wait_s > _IN_PLACE_S:
                raise Parked("rate", until=self._at(wait_s))
            await self._clock.sleep(wait_s)

    def enter_nowait(self, key: WindowKey) -> bool:
        """Count one call in an open window, without reading the clock.

        Return False, and change nothing, if the caller must await `enter` instead. After True the
        caller must call `leave`.
        """
        lane = self._lanes.get(key)
        if lane is None or lane.held_until_s or self._broke:
            return False
        windows = lane.windows
        for window in windows:
            if window.remaining <= 0:
                return False
        for window in windows:
            window.remaining -= 1
        lane.under_way += 1
        return True

    async def enter(self, key: WindowKey) -> None:
        """Wait as `ready` does, then count one call in the window; `leave` must follow."""
        await self.ready(key)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._new_lane(key)
        lane.under_way += 1
        for window in lane.windows:
            window.remaining -= 1

    def leave(self, key: WindowKey) -> None:
        """Record that a call that entered has ended, with whatever result."""
        lane = self._lanes.get(key)
        if lane is not None and lane.under_way:
            lane.under_way -= 1

    def note(self, key: WindowKey, response: Response) -> None:
        """Read from an answer how many calls are left."""
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._new_lane(key)
        lane.refused = 0
        window = response.window
        if window is not None:
            known = lane.window("short")
            if known is not None and known.reset == window.reset:
                # Answers may arrive out of order: the lowest number of one window is the newest.
                known.remaining = min(known.remaining, window.remaining)
            else:
                self._learn(lane, "short", window, response.date)
        if response.day_window is not None:
            self._learn(lane, "day", response.day_window, response.date)
        if self._broke:
            self._broke.pop(key[1], None)

    def limited(self, key: WindowKey, retry_at: datetime | None) -> None:
        """Handle a 429: hold back all such calls until `retry_at`, by our wall clock.

        With None (X named no usable time), hold them back for 60 s. Double that with each 429 in
        a row, up to 15 min.
        """
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._new_lane(key)
        lane.refused += 1
        if retry_at is None:
            span_s = rate_limits.penalty(lane.refused).total_seconds()
        else:
            span_s = max((retry_at - self._clock.now()).total_seconds(), 0.0)
        span_s += self._jitter_s()
        lane.held_until_s = max(lane.held_until_s, self._clock.monotonic() + span_s)
        _log.warning(
            "rate_limit.reached",
            operation=key[0],
            owner=key[1],
            wait_s=round(span_s),
            announced=retry_at is not None,
        )

    def no_credit(self, owner: str) -> datetime:
        """Hold back all calls of an owner whose credit is used up; return until when."""
        until_s, times = self._broke.get(owner, (0.0, 0))
        still_s = until_s - self._clock.monotonic()
        if still_s > 0:  # this call left before the first refusal came: do not wait longer
            return self._at(still_s)
        span_s = min(_NO_CREDIT_S * 2**times, _NO_CREDIT_MOST_S)
        self._broke[owner] = (self._clock.monotonic() + span_s, min(times + 1, 8))
        until = self._at(span_s)
        _log.error("credit.exhausted", owner=owner, next_try=rfc3339(until))
        return until

    def _wait_s(self, key: WindowKey) -> float:
        now_s = self._clock.monotonic()
        if self._broke:
            until_s, _ = self._broke.get(key[1], (0.0, 0))
            if until_s > now_s:
                raise Parked("credits", until=self._at(until_s - now_s))
        lane = self._lanes.get(key)
        if lane is None:
            return 0.0
        wait_s = lane.held_until_s - now_s
        if wait_s <= 0:
            lane.held_until_s = 0.0
        under_way = lane.under_way
        lane.windows = tuple(w for w in lane.windows if w.goes_on(now_s, under_way=under_way))
        for window in lane.windows:
            if window.remaining <= 0:
                wait_s = max(wait_s, window.ends_s - now_s)
        return wait_s

    def _learn(self, lane: _Lane, name: str, window: RateWindow, date: datetime | None) -> None:
        span_s = (window.reset - (date or self._clock.now())).total_seconds()
        if not 0 < span_s <= _LONGEST_S:
            return
        known = lane.window(name)
        if known is not None and abs((known.reset - window.reset).total_seconds()) <= 1:
            known.remaining = min(known.remaining, window.remaining)
            return
        if known is not None and known.reset > window.reset:
            return
        new = _Window(
            name,
            window,
            remaining=window.remaining - max(lane.under_way - 1, 0),
            ends_s=self._clock.monotonic() + span_s + self._jitter_s(),
        )
        lane.windows = (*(old for old in lane.windows if old is not known), new)

    def _new_lane(self, key: WindowKey) -> _Lane:
        if len(self._lanes) >= self._prune_at:
            now_s = self._clock.monotonic()
            for old, lane in tuple(self._lanes.items()):
                over = all(w.ends_s <= now_s for w in lane.windows)
                if over and not lane.under_way and lane.held_until_s <= now_s:
                    del self._lanes[old]
            self._prune_at = max(_FEW, 2 * len(self._lanes))
        return self._lanes.setdefault(key, _Lane())

    def _jitter_s(self) -> float:
        return self._entropy.uniform(*_JITTER_S)

    def _at(self, seconds: float) -> datetime:
        return self._clock.now() + timedelta(seconds=seconds)
