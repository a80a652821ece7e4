"""The poll of posts: page by page, newest first, down to a durable cursor.

The classes that derive from it choose the read, and say how far back X shows posts.
Source: X API docs, "Timelines" and "Paginate" (`since_id` polling);
docs/explanation/requirements.md, "Intake".
"""

from __future__ import annotations

import abc
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

import msgspec
import structlog
from msgspec import Struct

from botkit.errors import MalformedAnswer
from botkit.model.events import PostEvent
from botkit.model.hearing import GapRow
from botkit.protocol.api import objects
from botkit.protocol.api.ids import is_id, snowflake_at, snowflake_time
from botkit.protocol.api.pagination import PageTrail
from botkit.protocol.events import activity
from botkit.sources.gaps import REACH
from botkit.sources.polls.polling import Poll, PollPace
from botkit.waiting.backoff import Ladder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from botkit.model.hearing import Checkpoint
    from botkit.protocol.api.objects import PostPage
    from botkit.protocol.api.requests import Request

__all__ = ["PostsPoll"]

_log = structlog.get_logger(__name__)

_NEXT_ID = timedelta(milliseconds=1)
_SLACK = timedelta(minutes=1)
_PAGE = 100
_HIDDEN = 100


class _Cursor(Struct, frozen=True, kw_only=True):
    """Ids of posts: nothing up to `floor` is for the bot, all up to `newest` was read."""

    floor: str = ""
    newest: str = ""

    def to_text(self) -> str:
        """Return the cursor as the store keeps it."""
        return msgspec.json.encode(self).decode()


class _Read(Struct, kw_only=True):
    """Hold what one poll has read so far.

    A timeline shows its newest posts at the time of each page. So while several pages are read,
    newer posts may push older ones out that are not read yet. A last round of one page, after the
    newest post, shows how many came: if all together are fewer than X shows, none was lost.

    Attributes:
        pages: The number of pages of the last round.
        last: The index of that round's first event.
    """

    since: int
    newest: str
    at: datetime | None = None
    count: int = 0
    pages: int = 0
    last: int = 0
    is_cut: bool = False
    events: list[PostEvent] = msgspec.field(default_factory=list[PostEvent])

    def again(self) -> None:
        """Begin another round, after the newest post."""
        self.since, self.pages, self.last = _number(self.newest), 0, len(self.events)

    def has_known(self, newest: str) -> bool:
        """Return True if the posts come down to one that was the newest of an earlier poll."""
        return any(_number(event.post.id) <= _number(newest) for event in self.events)


class PostsPoll(Poll):
    """Read posts of one kind for one account from a durable, contiguous cursor.

    Attributes:
        reach: The number of posts that X shows, or that one read may take.
        reach_back: The age of the oldest posts that X shows; None if only their number counts.
        limit: The reason, in words, why X may show no more; for gaps.
        counts_hidden: True if X counts posts that it does not show: a read that ends a little
            short of the reach may have ended there.
        fewest: The smallest page that X returns.
        has_since: True if the read takes `since_id`; else each read ends at a known post.
    """

    pace: ClassVar[PollPace] = PollPace(
        failures=Ladder.doubling(5.0, cap_s=320.0), jitter=(0.9, 1.1)
    )
    fewest: ClassVar[int] = 5
    has_since: ClassVar[bool] = True
    counts_hidden: ClassVar[bool] = True
    reach: int
    reach_back: timedelta | None = None
    limit: str

    @abc.abstractmethod
    def _request(self, since_id: str | None, token: str | None, most: int) -> Request:
        """Return the request for a page of up to `most` posts."""

    def _events(self, page: PostPage) -> Sequence[PostEvent]:
        """Return the events of a page, oldest first."""
        return activity.events_of_page(
            page,
            account_id=self._account.id,
            source=self.source,
            username=self._account.username,
        )

    async def poll(self) -> int:
        """Read to the end, then record events and cursor together; return how many were new."""
        last = await self._begin()
        if last is None:
            return await self._start()
        cursor = msgspec.json.decode(last.cursor, type=_Cursor)
        since = max(self._since(_number(cursor.newest), last), _number(cursor.floor))
        oldest = None if self.reach_back is None else self._clock.now() - self.reach_back + _SLACK
        if oldest is not None:
            since = max(since, snowflake_at(oldest))
        read = _Read(since=since, newest=cursor.newest or cursor.floor)
        try:
            await self._read(read)
            is_whole = read.has_known(cursor.newest)
            while not is_whole and self._may_lack_posts(read):
                read.again()
                await self._read(read)
        except MalformedAnswer:
            await self._keep(read.events)
            raise
        if read.is_cut and not is_whole:
            until = min(event.at for event in read.events[read.last :])
            await self._open_gap(until, last, cursor)
        elif oldest is not None and last.read_to is not None and last.read_to < oldest:
            await self._open_gap(oldest, last, cursor)
        read.events.sort(key=lambda event: _number(event.post.id))
        moved = _Cursor(floor=cursor.floor, newest=read.newest)
        read_at = read.at or self._clock.now()
        return await self._move(read.events, last, moved.to_text(), read_at)

    async def _read(self, read: _Read) -> None:
        """Read pages, newest first, until X shows no more or the limit is reached.

        Raises:
            MalformedAnswer: X's pages do not end; what was read until then is good.
        """
        trail = PageTrail(self.name)
        token: str | None = None
        while True:
            most = min(_PAGE, max(self.reach - read.count, self.fewest))
            request = self._request(str(read.since) if read.since else None, token, most)
            response = await self._ask(request, further=read.at is not None)
            page = objects.read_posts(response)
            read.at = read.at or self._time_of(response)
            read.newest = _newest(page, read.newest)
            read.count += len(page.posts)
            read.pages += 1
            events = self._events(page)
            if not self.has_since:
                events = [each for each in events if _number(each.post.id) > read.since]
            read.events += events
            token = trail.next_token(response)
            if len(events) < len(page.posts):
                return  # it came to a known post
            read.is_cut = self._may_be_cut(read.count, token)
            if token is None or read.is_cut:
                return

    def _may_lack_posts(self, read: _Read) -> bool:
        """Return True if posts may have been pushed out meanwhile, and another round tells."""
        pushes = self.counts_hidden and self.has_since
        return pushes and not read.is_cut and read.pages > 1 and len(read.events) > read.last

    def _may_be_cut(self, count: int, token: str | None) -> bool:
        """Return True if there may be posts below those that were read."""
        if token is not None:
            return count >= self.reach
        return self.counts_hidden and count >= self.reach - _HIDDEN

    async def _open_gap(self, until: datetime, last: Checkpoint, cursor: _Cursor) -> None:
        """Record a gap: X shows nothing older than `until`, and the last poll ended earlier."""
        read_to = last.read_to or snowflake_time(cursor.newest or cursor.floor) or until
        start = snowflake_time(cursor.floor)
        if start is not None:  # the bot does not hear earlier posts
            read_to = max(read_to, start + _NEXT_ID)
        await self._gaps.open(
            GapRow(
                source=self.source,
                account_id=self._account.id,
                since=min(read_to, until),
                until=until,
                cause=REACH,
                tried=self.source,
                reason=self.limit,
            )
        )

    async def _start(self) -> int:
        """Start at now in the first run: older posts were not meant for this bot."""
        response = await self._ask(self._request(None, None, self.fewest))
        newest = _newest(objects.read_posts(response), "")
        cursor = _Cursor(floor=newest, newest=newest)
        await self._start_at(cursor.to_text(), response)
        _log.info(
            "source.started_at_now",
            source=self.source,
            account=self._account.id,
            after=newest or "the first",
        )
        return 0


def _newest(page: PostPage, known: str) -> str:
    """Return the newest of a page's ids and `known`; for lists, X does not name it itself."""
    return max(known, page.newest_id or "", *(post.id for post in page.posts), key=_number)


def _number(post_id: str) -> int:
    """Return an id as a number to order by; what is no id comes first."""
    return int(post_id) if is_id(post_id) else 0
