"""X's ids: whole numbers of 64 bits, sent as text, which hold the time of their making.

Source: docs/explanation/x-facts.md, 1.7.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

__all__ = ["is_id", "snowflake_at", "snowflake_time"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SNOWFLAKE_EPOCH_MS = 1_288_834_974_657
"""X's ids carry milliseconds since 2010-11-04T01:42:54.657Z in their upper bits."""
_FIRST_SNOWFLAKE = 1 << 36
_LAST_SNOWFLAKE = 1 << 63
_ID = re.compile(r"[0-9]{1,19}")


def is_id(text: str) -> bool:
    """Return True if X could have made that id; no call is made for any other.

    Source: X's OpenAPI document, `PostId` and `UserId`.
    """
    return _ID.fullmatch(text) is not None


def snowflake_time(an_id: str) -> datetime | None:
    """Return the time at which X made the id; None for an id that does not hold it.

    Source: X API docs, "Twitter IDs": 41 bits of milliseconds, ten of a worker, twelve of a count.
    """
    if not (an_id.isascii() and an_id.isdigit()) or len(an_id) > len(str(_LAST_SNOWFLAKE)):
        return None
    number = int(an_id)
    if not _FIRST_SNOWFLAKE <= number < _LAST_SNOWFLAKE:
        return None
    return _EPOCH + timedelta(milliseconds=(number >> 22) + _SNOWFLAKE_EPOCH_MS)


def snowflake_at(time: datetime) -> int:
    """Return the lowest id that X can make at that time: ids below it are older."""
    milliseconds = (time - _EPOCH) // timedelta(milliseconds=1) - _SNOWFLAKE_EPOCH_MS
    return max(milliseconds, 0) << 22
