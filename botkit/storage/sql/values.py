"""How values lie in columns: times as microseconds since 1970 (UTC), money as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

__all__ = ["from_us", "from_us_or_none", "marks", "to_us", "to_us_or_none"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_S = 86_400
_SECOND_US = 1_000_000


def to_us(at: datetime) -> int:
    """Return the microseconds since 1970 of an aware time; a naive one is a `TypeError`."""
    span = at - _EPOCH
    return (span.days * _DAY_S + span.seconds) * _SECOND_US + span.microseconds


def from_us(us: int) -> datetime:
    """Return the time of those microseconds, aware, in UTC."""
    return _EPOCH + timedelta(microseconds=us)


def to_us_or_none(at: datetime | None) -> int | None:
    """Return as `to_us` does; None for None."""
    return None if at is None else to_us(at)


def from_us_or_none(us: int | None) -> datetime | None:
    """Return as `from_us` does; None for None."""
    return None if us is None else from_us(us)


def marks(first: int, last: int) -> str:
    """Return the parameters from the first to the last: `?1, ?2, ?3`."""
    return ", ".join(f"?{number}" for number in range(first, last + 1))
