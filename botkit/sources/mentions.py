"""Polls the mentions timeline: slowly beside the stream, faster alone.

It is the net under the stream: self-serve streams have no backfill, and a reply to one of the
account's own replies comes by no activity event. An empty poll costs nothing.
Source: X API docs, "Timelines" and "Paginate" (`since_id` polling);
docs/explanation/requirements.md, "Intake".
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

import msgspec
import structlog
from msgspec import Struct

from botkit.errors import MalformedAnswer
from botkit.model.hearing import GapRow
from botkit.protocol.api import objects, requests
from botkit.protocol.api.ids import is_id, snowflake_time
from botkit.protocol.api.pagination import PageTrail
from botkit.protocol.events import activity
from botkit.sources.gaps import REACH
from botkit.sources.polling import Poll, PollPace
from botkit.waiting.backoff import Ladder

if TYPE_CHECKING:
    from datetime import datetime

    from botkit.model.events import PostEvent
    from botkit.model.hearing import Checkpoint

__all__ = ["MentionsPoll"]

_log = structlog.get_logger(__name__)

_FEWEST = 5
_NEXT_ID = timedelta(milliseconds=1)
_REACH = 800
_NEAR_REACH = 700
"""A read of this many posts may have hit X's limit of 800, which includes hidden posts."""


class _Cursor(Struct, frozen=True, kw_only=True):
    """Ids of posts: nothing up to `floor` is for the bot, all up to `newest` was read."""

    floor: str = ""
    newest: str = ""

    def to_text(self) -> str:
        """Return the cursor as the store keeps it."""
        return msgspec.json.encode(self).decode()


class MentionsPoll(Poll):
    """Reads one account's mentions from a durable, contiguous cursor."""

    source = "mentions"
    covers: ClassVar[tuple[str, ...]] = ("mentions", "activity")
    pace: ClassVar[PollPace] = PollPace(
        failures=Ladder.doubling(5.0, cap_s=320.0), jitter=(0.9, 1.1)
    )

    async def poll(self) -> int:
        """Read to the end, then record events and cursor together; return how many were new."""
        last = await self._begin()
        if last is None:
            return await self._start()
        cursor = msgspec.json.decode(last.cursor, type=_Cursor)
        since = max(self._since(_number(cursor.newest), last), _number(cursor.floor))
        read_at: datetime | None = None
        events: list[PostEvent] = []
        count = 0
        newest = cursor.newest or cursor.floor
        trail = PageTrail(self.name)
        token: str | None = None
        while True:
            request = requests.get_mentions(
                self._account.id, since_id=str(since) if since else None, pagination_token=token
            )
            response = await self._ask(request, further=token is not None)
            read_at = read_at or self._time_of(response)
            page = objects.read_posts(response)
            newest = max(newest, page.newest_id or "", key=_number)
            count += len(page.posts)
            events.extend(
                activity.events_of_page(
                    page,
                    account_id=self._account.id,
                    source=self.source,
                    username=self._account.username,
                )
            )
            try:
                token = trail.next_token(response)
            except MalformedAnswer:
                await self._keep(events)
                raise
            if token is None:
                break
        events.sort(key=lambda event: _number(event.post.id))
        if count >= _NEAR_REACH and _number(events[0].post.id) > _number(cursor.newest):
            await self._open_gap_below(events[0], last, cursor)
        moved = _Cursor(floor=cursor.floor, newest=newest)
        return await self._move(events, last, moved.to_text(), read_at)

    async def _open_gap_below(self, oldest: PostEvent, last: Checkpoint, cursor: _Cursor) -> None:
        """Record a gap: X shows nothing older than this post, and the last poll ended earlier."""
        read_to = last.read_to or snowflake_time(cursor.newest or cursor.floor) or oldest.at
        start = snowflake_time(cursor.floor)
        if start is not None:  # the bot does not hear earlier posts
            read_to = max(read_to, start + _NEXT_ID)
        await self._gaps.open(
            GapRow(
                source=self.source,
                account_id=self._account.id,
                since=min(read_to, oldest.at),
                until=oldest.at,
                cause=REACH,
                tried=self.source,
                reason=f"X's mentions timeline reaches back {_REACH} posts",
            )
        )

    async def _start(self) -> int:
        """Start at now in the first run: older posts were not meant for this bot."""
        response = await self._ask(requests.get_mentions(self._account.id, max_results=_FEWEST))
        newest = max("", objects.read_posts(response).newest_id or "", key=_number)
        cursor = _Cursor(floor=newest, newest=newest)
        await self._start_at(cursor.to_text(), response)
        _log.info(
            "source.started_at_now",
            source="mentions",
            account=self._account.id,
            after=newest or "the first",
        )
        return 0


def _number(post_id: str) -> int:
    """Return an id as a number to order by; what is no id comes first."""
    return int(post_id) if is_id(post_id) else 0
