"""Which events were heard too late to be answered without a person's word.

After an outage old posts are heard: an answer to a question of last week helps nobody, and what
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
"""So long the store remembers every event: an older one may have been handled and forgotten."""


def is_too_late(job: Job, event: Event, within: timedelta, proven: ProvenTime) -> bool:
    """Return True if so much time passed between the event and its recording that it only waits.

    What happened inside botkit (ticks, signals, states) is never late, nor is what a person has
    asked to be run again. A wall clock that is ahead of X's makes nothing late.
    """
    if job.recorded_at is None or job.asked or not isinstance(event, (PostEvent, DirectMessage)):
        return False
    most = min(within, REMEMBERED)
    if job.recorded_at - event.at <= most:
        return False
    now = proven.now()
    return now is None or now - event.at > most


def why_skipped(job: Job, event: Event, services: Services) -> str:
    """Return why a run from now on skips the event: it happened, or was due, before; else ""."""
    if not services.from_now or job.asked:
        return ""
    started = services.proven.started
    at = event.at if isinstance(event, XEvent) else job.due
    return "before run --from-now" if at is not None and at < started else ""
