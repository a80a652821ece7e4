"""End what waits for a post that was deleted, and forget what the post said.

X tells a deletion to those who subscribe to it: a bot that handles `PostDelete`. The deletion is
on record before it is handled, so that a post that arrives after it is known as deleted, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from botkit.model.activity_events import PostDelete
from botkit.model.events import PostEvent

if TYPE_CHECKING:
    from botkit.model.events import Event
    from botkit.runtime.intake.lanes import Job
    from botkit.runtime.writes.actions import Services

__all__ = ["end_of_deleted"]

_log = structlog.get_logger(__name__)


async def end_of_deleted(job: Job, event: Event, services: Services) -> str:
    """Return why the event ends before any handler: its post was deleted; "" if it was not.

    If the event tells of a deletion, forget the post first.
    """
    if isinstance(event, PostDelete):
        await _forget(job.account_id, event.post_id, services)
    elif services.hears_deletions and isinstance(event, PostEvent):
        told = PostDelete(
            account_id=job.account_id,
            at=event.at,
            kind=PostDelete.kinds[0],
            subject_id=event.post.id,
            actor_id=event.author.id,
        )
        if await services.store.events.get(told.key, account_id=job.account_id):
            await _forget(job.account_id, event.post.id, services)
            return "its post was deleted"
    return ""


async def _forget(account_id: str, post_id: str, services: Services) -> None:
    store = services.store
    forgotten = await store.events.forget_post(account_id, post_id, fence=services.fence())
    _log.info(
        "post.deleted",
        account=account_id,
        post=post_id,
        ended=len(forgotten.ended),
        dropped_writes=len(forgotten.dropped_writes),
    )
