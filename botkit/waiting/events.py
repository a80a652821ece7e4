"""Waits for an event with a time limit, or until a time of the wall clock."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from datetime import datetime

    from botkit.ports import Clock

__all__ = ["event_or_timeout", "seconds_until"]


async def event_or_timeout(event: asyncio.Event, seconds: float | None, *, clock: Clock) -> bool:
    """Wait until the event is set; return False if that many seconds pass first.

    With None, wait without a limit. Under Python 3.11 a tracer (such as coverage) misses the
    caller's lines between a result of False and its next wait: put code that runs only then into
    a function of its own.
    """
    try:
        async with clock.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


def seconds_until(
    when: datetime | None, *, clock: Clock, least_s: float = 0.0, most_s: float = math.inf
) -> float:
    """Return the seconds from now until `when`, within `least_s` and `most_s`.

    Return `most_s` for None, which means never. A caller that waits for a distant time should
    set `most_s` and call again after it, because the wall clock may be changed in between.
    """
    if when is None:
        return most_s
    return min(max((when - clock.now()) / timedelta(seconds=1), least_s), most_s)
