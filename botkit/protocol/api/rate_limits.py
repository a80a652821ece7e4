"""Read rate windows from headers, and how long to wait after a 429.

Times in headers are X's: they are compared with the `Date` of the same answer, never with our
clock. Times that this module returns to wait for are translated into our clock.

Source: X API docs, "Rate limits"; RFC 9110 section 10.2.3.
"""

from __future__ import annotations

import email.utils
import functools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "DAY_PREFIXES",
    "LONGEST_PENALTY",
    "RateWindow",
    "penalty",
    "read_date",
    "read_day_window",
    "read_retry_after",
    "read_window",
    "retry_at",
]

DAY_PREFIXES = ("x-app-limit-24hour", "x-user-limit-24hour")
"""Headers of the daily windows, seen on capped routes. Source: seen on the wire."""

_DAY_LIMITS = frozenset(f"{prefix}-limit" for prefix in DAY_PREFIXES)

LONGEST_PENALTY = timedelta(minutes=15)
"""Where doubling after a 429 without a usable reset ends."""

_FIRST_PENALTY = timedelta(seconds=60)
_LONGEST_WINDOW = timedelta(hours=24)
_SLACK = timedelta(minutes=5)
_TOO_LONG_S = 10**9
_MOST_DIGITS = 18


class RateWindow(Struct, frozen=True, kw_only=True, gc=False):
    """The values of `x-rate-limit-*` or of the 24-hour headers. `reset` is by X's clock."""

    limit: int
    remaining: int
    reset: datetime


def read_window(headers: Mapping[str, str], prefix: str = "x-rate-limit") -> RateWindow | None:
    """Return the window of these headers; None unless all three parts can be read."""
    limit_name, remaining_name, reset_name = _names(prefix)
    said = headers.get(limit_name)
    if said is None:  # the usual case for the daily windows; every call comes here
        return None
    limit = _count(said)
    remaining = _count(headers.get(remaining_name))
    reset = _moment(headers.get(reset_name))
    if limit is None or remaining is None or reset is None:
        return None
    return RateWindow(limit=limit, remaining=remaining, reset=reset)


def read_day_window(headers: Mapping[str, str]) -> RateWindow | None:
    """Return the daily window of the app or the user; of two, the one with less left."""
    if _DAY_LIMITS.isdisjoint(headers):
        return None
    found = [window for prefix in DAY_PREFIXES if (window := read_window(headers, prefix))]
    return min(found, key=_tightness, default=None)


def read_date(headers: Mapping[str, str]) -> datetime | None:
    """Return X's time from the `Date` header; None if it is missing or unreadable."""
    value = headers.get("date")
    return None if value is None else _http_date(value)


def read_retry_after(headers: Mapping[str, str], *, now: datetime) -> timedelta | None:
    """Return the span that `Retry-After` asks for, in seconds or by date; None if it is unusable.

    Source: RFC 9110 section 10.2.3. X does not document the header; proxies before it send it.
    """
    value = headers.get("retry-after", "").strip()
    seconds = _count(value)
    if seconds is not None:
        span = timedelta(seconds=min(seconds, _TOO_LONG_S))
    elif (until := _http_date(value)) is not None:
        span = until - (read_date(headers) or now)
    else:
        return None
    return span if timedelta(0) < span <= _LONGEST_WINDOW else None


def retry_at(headers: Mapping[str, str], *, now: datetime) -> datetime | None:
    """Return the time, by our clock, at which a call that got a 429 may be sent again.

    The latest reset of the windows that are used up counts: a 429 can come from the daily window
    while calls are left in the short one. A reset in the past, or further away than any window of
    X is long, is no answer.

    Returns:
        None if X does not say; then wait by `penalty`.
    """
    theirs = read_date(headers) or now
    spans = [
        reset - theirs
        for prefix in ("x-rate-limit", *DAY_PREFIXES)
        if (reset := _used_up_until(headers, prefix)) is not None
    ]
    asked = read_retry_after(headers, now=now)
    if asked is not None:
        spans.append(asked)
    usable = [span for span in spans if timedelta(0) < span <= _LONGEST_WINDOW + _SLACK]
    return now + max(usable) if usable else None


def penalty(in_a_row: int) -> timedelta:
    """Return how long to wait after that many 429s in a row without a usable reset.

    60 s, doubling, 15 min at the most; the caller adds jitter.

    Source: X API docs, "Consuming streaming data": 60 s and doubling after a 429.
    """
    doublings = min(max(in_a_row - 1, 0), 10)
    return min(_FIRST_PENALTY * (1 << doublings), LONGEST_PENALTY)


@functools.cache
def _names(prefix: str) -> tuple[str, str, str]:
    return f"{prefix}-limit", f"{prefix}-remaining", f"{prefix}-reset"


def _used_up_until(headers: Mapping[str, str], prefix: str) -> datetime | None:
    """Return the reset of a window that is used up, or does not say how much is left."""
    remaining = _count(headers.get(f"{prefix}-remaining"))
    return None if remaining else _moment(headers.get(f"{prefix}-reset"))


def _tightness(window: RateWindow) -> tuple[int, float]:
    return window.remaining, -window.reset.timestamp()


def _count(value: str | None) -> int | None:
    if value is None:
        return None
    value = value.strip()
    if not (value.isascii() and value.isdigit()) or len(value) > _MOST_DIGITS:
        return None
    return int(value)


@functools.lru_cache(maxsize=64)
def _moment(value: str | None) -> datetime | None:
    """Return a Unix time as datetime; cached, as all answers of a window carry the same."""
    seconds = _count(value)
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None


@functools.lru_cache(maxsize=16)
def _http_date(value: str) -> datetime | None:
    """Return an HTTP date as datetime; cached, as many answers carry the same second."""
    try:
        found = email.utils.parsedate_to_datetime(value)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
