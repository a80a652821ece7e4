"""Finds what led to an event: the chain of events whose handlers emitted it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botkit.model.events import Signal
from botkit.protocol.events.activity import decode_event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from botkit.model.events import Event
    from botkit.ports import Store
    from botkit.runtime.intake.lanes import Job

__all__ = ["causes_of", "origin_of"]

_FURTHEST = 32
"""A signal that emits itself for ever must not make this walk for ever."""


async def causes_of(
    job: Job, store: Store, signals: Mapping[str, type[Signal]]
) -> AsyncIterator[Event]:
    """Yield the events that led to this one, the nearest first, as far as they are on record."""
    key = job.cause
    for _ in range(_FURTHEST):
        rows = await store.events.get(key, account_id=job.account_id) if key else []
        if not rows:
            return
        yield decode_event(rows[0].kind, rows[0].body, signals)
        key = rows[0].cause


async def origin_of(
    job: Job, event: Event, store: Store, signals: Mapping[str, type[Signal]]
) -> Event:
    """Return the first cause of a signal that is on record; any other event as it is."""
    if isinstance(event, Signal):
        async for cause in causes_of(job, store, signals):
            event = cause
            if not isinstance(cause, Signal):
                break
    return event
