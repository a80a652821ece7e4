"""Rate windows and empty purses: no call leaves that X has announced to refuse.

A window belongs to an operation and an owner: an account (its OAuth 1.0a and 2.0 tokens share it)
or an app. Its end is judged by X's clock, from the `Date` of the same answer, and kept on ours
that never goes back. A wait of a few seconds is awaited in place, a longer one is `Parked`; other
operations go on.
Source: X API docs, "Rate limits"; docs/explanation/requirements.md, faults 14, 15, 60.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from botkit.errors import Parked
from botkit.protocol.api import rate_limits

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
"""An assumed window's reset is later than the one before, earlier than the true one."""
_LONGEST_S = timedelta(hours=24, minutes=5).total_seconds()
_NO_CREDIT_S = 15 * 60.0
_NO_CREDIT_MOST_S = 60 * 60.0
_FEW = 1024


class _Window:
    """What is left of one window until its end, calls under way taken off."""

    __slots__ = ("ends_s", "is_assumed", "limit", "name", "remaining", "reset")

    def __init__(self, name: str, window: RateWindow, *, remaining: int, ends_s: float) -> None:
        self.name = name
        self.reset = window.reset
        self.limit = window.limit
        self.remaining = remaining
        self.ends_s = ends_s
        self.is_assumed = False

    def goes_on(self, now_s: float, *, under_way: int) -> bool:
        """Whether it still counts; when it has ended, the next one of the same size does.

        Of the next one nothing is known until an answer tells: without it all that waited would
        leave at once.
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
    """One operation of one owner."""

    __slots__ = ("held_until_s", "refused", "under_way", "windows")

    def __init__(self) -> None:
        self.windows: tuple[_Window, ...] = ()
        self.held_until_s = 0.0
        self.refused = 0
        self.under_way = 0

    def window(self, name: str) -> _Window | None:
        """The window of that name, `short` or `day`."""
        for window in self.windows:
            if window.name == name:
                return window
        return None


class Limiter:
    """Knows the windows of all operations and owners, and which owner is out of credit."""

    def __init__(self, *, clock: Clock, entropy: Entropy) -> None:
        self._clock = clock
        self._entropy = entropy
        self._lanes: dict[WindowKey, _Lane] = {}
        self._broke: dict[str, tuple[float, int]] = {}
        self._prune_at = _FEW

    async def ready(self, key: WindowKey) -> None:
        """Return when a call could leave now; waits a few seconds at the most.

        Raises:
            Parked: `rate` or `credits`, with the time.
        """
        while (wait_s := self._wait_s(key)) > 0:
            if wait_s > _IN_PLACE_S:
                raise Parked("rate", until=self._at(wait_s))
            await self._clock.sleep(wait_s)

    def enter_nowait(self, key: WindowKey) -> bool:
        """Take one call off an open window without a look at the clock; False when `enter` must.

        `leave` must follow when it was True.
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
        """As `ready`, and take one call off the window. `leave` must follow."""
        await self.ready(key)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._new_lane(key)
        lane.under_way += 1
        for window in lane.windows:
            window.remaining -= 1

    def leave(self, key: WindowKey) -> None:
        """The call that entered is over, however."""
        lane = self._lanes.get(key)
        if lane is not None and lane.under_way:
            lane.under_way -= 1

    def note(self, key: WindowKey, response: Response) -> None:
        """Learn from an answer what is left."""
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._new_lane(key)
        lane.refused = 0
        window = response.window
        if window is not None:
            known = lane.window("short")
            if known is not None and known.reset == window.reset:
                # Answers overtake each other: the lowest figure of one window is the newest.
                known.remaining = min(known.remaining, window.remaining)
            else:
                self._learn(lane, "short", window, response.date)
        if response.day_window is not None:
            self._learn(lane, "day", response.day_window, response.date)
        if self._broke:
            self._broke.pop(key[1], None)

    def limited(self, key: WindowKey, retry_at: datetime | None) -> None:
        """X said 429: nothing of this kind leaves until then.

        `retry_at` is by our wall clock; None, because X did not say or said nonsense, waits 60 s,
        doubling with each such answer in a row, 15 min at the most.
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
        """X wants money: nothing of this owner leaves for a while; gives until when."""
        until_s, times = self._broke.get(owner, (0.0, 0))
        still_s = until_s - self._clock.monotonic()
        if still_s > 0:  # calls that left side by side are told it side by side
            return self._at(still_s)
        span_s = min(_NO_CREDIT_S * 2**times, _NO_CREDIT_MOST_S)
        self._broke[owner] = (self._clock.monotonic() + span_s, min(times + 1, 8))
        until = self._at(span_s)
        _log.error("credit.exhausted", owner=owner, next_try=until.isoformat())
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
