"""How values lie in SQLite's columns: times as microseconds since 1970 (UTC), money as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

__all__ = ["from_us", "from_us_or_none", "to_us", "to_us_or_none"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_S = 86_400
_SECOND_US = 1_000_000


def to_us(at: datetime) -> int:
    """Microseconds since 1970 of an aware time, exactly; a naive one is a `TypeError`."""
    span = at - _EPOCH
    return (span.days * _DAY_S + span.seconds) * _SECOND_US + span.microseconds


def from_us(us: int) -> datetime:
    """The time of those microseconds, aware, UTC."""
    return _EPOCH + timedelta(microseconds=us)


def to_us_or_none(at: datetime | None) -> int | None:
    """As `to_us`; None stays None."""
    return None if at is None else to_us(at)


def from_us_or_none(us: int | None) -> datetime | None:
    """As `from_us`; None stays None."""
    return None if us is None else from_us(us)
