"""Format times in one way, for logs and command output: RFC 3339, UTC, with Z."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

__all__ = ["rfc3339", "second_not_before"]


def rfc3339(when: datetime, *, timespec: str = "seconds") -> str:
    """Return a time like `2026-11-30T12:00:00Z`, which `jq` reads with `fromdate`.

    `timespec` may ask for `milliseconds`; a time without a zone is UTC.
    """
    aware = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    text = aware.astimezone(UTC).isoformat(timespec=timespec)
    return text.removesuffix("+00:00") + "Z"


def second_not_before(when: datetime) -> datetime:
    """Return the first whole second that is not before a time: an end, shown so, cuts nothing."""
    whole = when.replace(microsecond=0)
    return whole if whole == when else whole + timedelta(seconds=1)
