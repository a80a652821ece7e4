"""Waits that end early: at an event, at a time of the wall clock, or after a number of seconds."""

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

    None waits without a limit. Python 3.11 shows a tracer no line of the caller between a return
    of False and its next wait: what happens only then belongs in a function of its own.
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

    None is never: `most_s`. A caller that waits for a time far ahead sets `most_s` and looks
    again, because the wall clock may be set meanwhile.
    """
    if when is None:
        return most_s
    return min(max((when - clock.now()) / timedelta(seconds=1), least_s), most_s)
