"""Decide which events arrived too late to be answered unless a person asks for it.

After an outage old posts arrive. An answer to last week's question is of no use, and an event that
the store has forgotten may have been answered already.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from botkit.model.events import DirectMessage, PostEvent, XEvent

if TYPE_CHECKING:
    from botkit.model.events import Event
    from botkit.runtime.intake.lanes import Job
    from botkit.runtime.writes.actions import Services
    from botkit.waiting.proven_time import ProvenTime

__all__ = ["REMEMBERED", "is_too_late", "why_skipped"]

REMEMBERED: Final = timedelta(days=7)
"""The time for which the store remembers every event, and so knows if it was handled."""


def is_too_late(job: Job, event: Event, within: timedelta, proven: ProvenTime) -> bool:
    """Return True if the event was recorded later than `within` after it happened.

    Events from inside botkit (ticks, signals, states) are never late, nor are events that a person
    has put back. A wall clock that is ahead of X's makes no event late.
    """
    if job.recorded_at is None or job.asked or not isinstance(event, (PostEvent, DirectMessage)):
        return False
    most = min(within, REMEMBERED)
    if job.recorded_at - event.at <= most:
        return False
    now = proven.now()
    return now is None or now - event.at > most


def why_skipped(job: Job, event: Event, services: Services) -> str:
    """Return why a bot started with `--from-now` skips the event, "" if it does not."""
    if not services.from_now or job.asked:
        return ""
    started = services.proven.started
    at = event.at if isinstance(event, XEvent) else job.due
    return "before run --from-now" if at is not None and at < started else ""
