"""Tell when a sandbox has settled: no event due, every write final, every mention heard."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from botkit.model.records import EventState, WriteState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from botkit.model.records import StoredEvent
    from botkit.sandbox.harness.process import Process
    from botkit.sandbox.world.world import World

__all__ = ["unsettled"]

_OPEN_WRITES = (
    WriteState.QUEUED,
    WriteState.SENDING,
    WriteState.UNCERTAIN,
    WriteState.ABSENT,
)
_HEARD_WITHIN = timedelta(minutes=15)
"""The time in which a source must bring a mention; the slow poll takes five minutes."""


async def unsettled(world: World, process: Process) -> AsyncIterator[str]:
    """Yield a sentence for each write, event and mention that the process has yet to settle."""
    for write in await process.store.writes.listing(states=_OPEN_WRITES):
        yield f"write {write.id} is {write.state}: {write.reason or 'not sent yet'}"
    for event in await process.store.events.listing(state=EventState.WAITING, limit=10_000):
        if _is_under_way(world, event):
            yield f"event {event.key} waits: {event.waiting_for or event.note or 'its turn'}"
    for key in _owed(world, process):
        if not await process.store.events.get(key, account_id=process.account_id):
            yield f"event {key} has not been heard"


def _is_under_way(world: World, event: StoredEvent) -> bool:
    """Return True if the event will go on by itself.

    An event emitted for a future time does not count, nor one that waits, without a time limit,
    for a cause such as a login.
    """
    if event.waiting_for:
        return event.not_before is not None
    if event.not_before is None or event.not_before <= world.clock.now():
        return True
    return event.attempts > 0


def _owed(world: World, process: Process) -> list[str]:
    """Return the keys of the posts that should have been heard since the bot began to run.

    These are the posts that name its account and are not older than `_HEARD_WITHIN`.
    """
    since = int(process.home.heard_from or 0)
    oldest = world.clock.now() - _HEARD_WITHIN
    return [
        f"post/{post.id}/0"
        for post in world.posts_naming(process.account_id)
        if int(post.id) > since and post.created_at >= oldest
    ]
