"""Reads what an account itself posted or wrote since a time, and whether anything is missing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from msgspec import Struct

from botkit.errors import BotkitError, Parked, RateLimited, ServerError, StateError
from botkit.model.posts import Post
from botkit.model.records import WriteState
from botkit.protocol.api import objects, requests
from botkit.protocol.api.pagination import PageTrail
from botkit.runtime.writes.write_outcomes import MESSAGE_OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from botkit.model.messages import Message
    from botkit.model.records import StoredWrite
    from botkit.ports import Sender, Store
    from botkit.protocol.api.requests import Request

__all__ = [
    "TimelineReading",
    "WriteLookup",
    "as_post",
    "reach_of",
    "read_own_posts",
    "unsettled_writes",
]

_MOST_UNSETTLED = 10_000
_UNSETTLED = (
    WriteState.QUEUED,
    WriteState.SENDING,
    WriteState.UNCERTAIN,
    WriteState.ABSENT,
    WriteState.UNRESOLVED,
)

_UNEVEN = timedelta(seconds=30)
"""A clock may be that far ahead of X's before it matters: more is looked back for."""

_NEAR_REACH = 2_800
"""A reading of this many posts may have hit X's limit of 3,200, which includes hidden posts.

Source: X API docs, "Timelines".
"""

_log = structlog.get_logger(__name__)


class TimelineReading(Struct, frozen=True, kw_only=True):
    """What was read. `at` is when the reading began, `ahead` how far our clock is before X's.

    `clean` says that the absence of a post means something: every page was a success without
    `errors`, and the pages cover the time. What a reading that is not clean does show is there.
    `reaches_to` is the time of the oldest post that X shows, if there may be older ones that it
    does not show; None if there are none.
    """

    at: datetime
    ahead: timedelta = timedelta(0)
    posts: tuple[Post, ...] = ()
    clean: bool = True
    trouble: str = ""
    retry_at: datetime | None = None
    reaches_to: datetime | None = None


class WriteLookup:
    """Reads what shows an account's own writes.

    Source: docs/explanation/requirements.md, "Writes".
    """

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    async def read(self, write: StoredWrite, since: datetime, *, at: datetime) -> TimelineReading:
        """Read the account's posts since then, or its messages in the write's conversation.

        `since` and `at` are by our clock. What X made bears X's time: when ours is ahead of it,
        X is asked for what is older by as much.

        Raises:
            StateError: The store cannot be used now, or the lease is gone.
        """
        read = self._messages if write.operation in MESSAGE_OPERATIONS else self._posts
        posts: list[Post] = []
        ahead = timedelta(0)
        try:
            clean, theirs = await read(write, since, posts)
            if theirs is not None and at - theirs > _UNEVEN:
                ahead = at - theirs
                posts.clear()
                clean, _ = await read(write, since - ahead, posts)
        except StateError:
            raise
        except (BotkitError, Parked) as problem:
            _log.warning("timeline.not_read", account=write.account_id, why=str(problem))
            return TimelineReading(
                at=at,
                ahead=ahead,
                posts=tuple(posts),
                clean=False,
                trouble=str(problem),
                retry_at=_until(problem),
            )
        return TimelineReading(
            at=at,
            ahead=ahead,
            posts=tuple(posts),
            clean=clean,
            reaches_to=reach_of(posts) if read == self._posts else None,
        )

    async def _posts(
        self, write: StoredWrite, since: datetime, posts: list[Post]
    ) -> tuple[bool, datetime | None]:
        """Read into `posts`; return True if none is missing, and the time by X's clock."""
        return await read_own_posts(self._sender, write.account_id, posts, start_time=since)

    async def _messages(
        self, write: StoredWrite, since: datetime, posts: list[Post]
    ) -> tuple[bool, datetime | None]:
        """Return own messages of that conversation as posts, so that texts compare alike."""
        by_peer = write.operation == "createDirectMessagesByParticipantId"

        def page(token: str | None) -> Request:
            return requests.get_dm_events(
                participant_id=write.target if by_peer else None,
                conversation_id=None if by_peer else write.target,
                pagination_token=token,
            )

        clean = True
        trail = PageTrail(page(None).name)
        token: str | None = None
        while True:
            response = await self._sender.send(page(token), account_id=write.account_id)
            clean = clean and not response.errors
            for message in objects.read_messages(response):
                if message.created_at is not None and message.created_at < since:
                    return clean, response.date  # newest first: the pages cover the time
                if message.sender_id is None:
                    clean = False  # may be ours, may be theirs
                elif message.sender_id == write.account_id:
                    posts.append(as_post(message, write.target))
            token = trail.next_token(response)
            if token is None:
                return clean, response.date


def as_post(message: Message, target: str) -> Post:
    """Return a message as the post that a write to `target` makes, so that texts compare alike."""
    return Post(
        id=message.id,
        text=message.text,
        author_id=message.sender_id,
        conversation_id=message.conversation_id,
        created_at=message.created_at,
        in_reply_to_post_id=target,
    )


async def unsettled_writes(store: Store, account_id: str) -> list[StoredWrite]:
    """Return the account's writes that were sent and whose outcome is not known."""
    writes = await store.writes.listing(
        states=_UNSETTLED, account_id=account_id, limit=_MOST_UNSETTLED
    )
    return [write for write in writes if write.attempts]


async def read_own_posts(
    sender: Sender,
    account_id: str,
    posts: list[Post],
    *,
    start_time: datetime | None = None,
    since_id: str | None = None,
    back_to: datetime | None = None,
) -> tuple[bool, datetime | None]:
    """Append an account's posts to `posts`; return True if none is missing, and X's time.

    Pages are newest first: with `back_to` the first one that reaches that time is the last.
    """

    def page(token: str | None) -> Request:
        return requests.get_user_posts(
            account_id, start_time=start_time, since_id=since_id, pagination_token=token
        )

    clean = True
    trail = PageTrail(page(None).name)
    token: str | None = None
    while True:
        response = await sender.send(page(token), account_id=account_id)
        found = objects.read_posts(response)
        posts.extend(found.posts)
        clean = clean and not response.errors and not found.skipped
        token = trail.next_token(response)
        if token is None or (back_to is not None and _reaches(found.posts, back_to)):
            return clean, response.date


def _reaches(posts: Sequence[Post], time: datetime) -> bool:
    return any(post.created_at is not None and post.created_at <= time for post in posts)


def reach_of(posts: list[Post]) -> datetime | None:
    """Return the time of the oldest post if X may not show older ones, else None."""
    times = [post.created_at for post in posts if post.created_at is not None]
    return min(times) if len(posts) >= _NEAR_REACH and times else None


def _until(problem: BotkitError | Parked) -> datetime | None:
    if isinstance(problem, Parked):
        return problem.until
    return problem.retry_at if isinstance(problem, RateLimited | ServerError) else None
