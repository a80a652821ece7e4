"""Read, by X's recent search, posts that another source missed and cannot read any more.

The search is the second means to close a gap. It shows public posts of the last 7 days. Each post
costs money, so the budget is asked first.
Source: X API docs, "Search Posts"; docs/explanation/x-facts.md, 14.7.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from msgspec import Struct
from msgspec.structs import replace

from botkit.errors import (
    BotkitError,
    MalformedAnswer,
    Parked,
    RateLimited,
    ServerError,
    StoreUnavailable,
    TransportError,
)
from botkit.protocol.api import objects, requests
from botkit.protocol.api.ids import snowflake_at
from botkit.protocol.events import activity
from botkit.protocol.events.matches import matched
from botkit.protocol.rules.pricing import price_usd
from botkit.sources.gaps import REACH
from botkit.telemetry.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime
    from decimal import Decimal

    from botkit.model.events import PostEvent
    from botkit.model.hearing import GapRow
    from botkit.model.users import Account
    from botkit.ports import Clock, Intake, Sender
    from botkit.protocol.api.objects import PostPage
    from botkit.sources.gaps import Gaps

__all__ = ["GapSearch", "RecentSearch", "for_mentions"]

_log = structlog.get_logger(__name__)

_SOURCE = "search"
_REACH = timedelta(days=7)
_SLACK = timedelta(minutes=1)
_PAGES_AT_ONCE = 20
_SOON = "recent search comes next, as soon as X shows all of that time"
_AGAIN = timedelta(hours=1)
"""The time for which a refusal of X is not tested again."""
_PASSING = (TransportError, ServerError, RateLimited, MalformedAnswer, StoreUnavailable)


class GapSearch(Struct, frozen=True, kw_only=True):
    """Say which gaps a search fills, and by which query.

    Attributes:
        source: The source that missed the posts.
        query: The query that finds them.
        tag: The tag of the rule whose matches are missing; "" if each post is an event by itself.
        every_cause: True if no other means reads the gaps; else those that a poll could not read
            to their end.
    """

    source: str
    query: str
    tag: str = ""
    every_cause: bool = False


def for_mentions(username: str) -> GapSearch:
    """Return the search for the mentions of an account."""
    return GapSearch(source="mentions", query=f"@{username} -is:retweet -from:{username}")


class RecentSearch:
    """Fill the gaps of one account and source.

    Args:
        wanted: Which gaps, and by which query.
        late: The longest time that X takes to show a new post; younger ones are read later.
        allow: Awaited before each page, with the account's id and the most that the page can
            cost; raises `Parked` if no more may be spent now.
    """

    def __init__(
        self,
        account: Account,
        wanted: GapSearch,
        *,
        sender: Sender,
        intake: Intake,
        gaps: Gaps,
        clock: Clock,
        late: timedelta,
        allow: Callable[[str, Decimal], Awaitable[None]],
    ) -> None:
        self._account = account
        self._wanted = wanted
        self._sender = sender
        self._intake = intake
        self._gaps = gaps
        self._clock = clock
        self._late = late
        self._allow = allow
        self._not_before: datetime | None = None

    async def fill(self) -> bool:
        """Read as much as possible of the account's gaps; return True if more can be read soon."""
        now = self._clock.now()
        if self._not_before is not None and now < self._not_before:
            return False
        self._not_before = None
        for gap in await self._gaps.of(self._account.id):
            oldest = now - _REACH + _SLACK
            if gap.source != self._wanted.source or gap.until is None:
                continue
            if gap.cause != REACH and not self._wanted.every_cause:
                continue
            if gap.until <= oldest:
                await self._give_up(gap)
            elif gap.until > now - self._late and _SOON not in gap.reason:
                await self._gaps.change(replace(gap, reason=f"{gap.reason}; {_SOON}"))
            elif gap.until <= now - self._late and not await self._try(gap, oldest):
                return self._not_before is None
        return False

    async def _try(self, gap: GapRow, oldest: datetime) -> bool:
        """Read a gap; return True if no part is left that a search could read."""
        why = ""
        try:
            return await self._read(gap, oldest)
        except Parked as problem:
            self._not_before = problem.until
            why = f"the search waits for {problem.waiting_for}"
            if problem.until is not None:
                why += f" until {rfc3339(problem.until)}"
        except _PASSING as problem:
            _log.info("gap.not_read", account=self._account.username, why=str(problem))
        except BotkitError as problem:
            why = f"X refuses the search: {problem}"
        self._not_before = self._not_before or self._clock.now() + (_AGAIN if why else _SLACK)
        left = next(each for each in await self._gaps.of(self._account.id) if each.id == gap.id)
        if why and why != left.reason:
            await self._gaps.change(replace(left, reason=why))
        return False

    async def _read(self, gap: GapRow, oldest: datetime) -> bool:
        """Read some pages, newest first; after each, move the gap's end to the oldest post."""
        begin = max(gap.since, oldest)
        until = gap.until or begin
        token: str | None = None
        for _ in range(_PAGES_AT_ONCE):
            request = requests.search_recent(
                self._wanted.query,
                since_id=str(snowflake_at(begin) - 1),
                until_id=str(snowflake_at(until + timedelta(milliseconds=1))),
                next_token=token,
            )
            await self._allow(self._account.id, price_usd(request))
            response = await self._sender.send(request, account_id=self._account.id)
            page = objects.read_posts(response)
            gap = await self._record(page, gap)
            token = page.next_token
            if token is None:
                await self._end(gap, begin)
                return True
        return False

    async def _record(self, page: PostPage, gap: GapRow) -> GapRow:
        events: Sequence[PostEvent] = activity.events_of_page(
            page, account_id=self._account.id, source=_SOURCE, username=self._account.username
        )
        if tag := self._wanted.tag:
            events = [matched(each, tag=tag, rule=self._wanted.query) for each in events]
        await self._intake.record(events, account_id=self._account.id, source=_SOURCE)
        oldest = min((event.at for event in events), default=gap.until)
        if oldest is None or gap.until is None or oldest >= gap.until:
            return gap
        return await self._gaps.change(replace(gap, until=max(oldest, gap.since)))

    async def _end(self, gap: GapRow, begin: datetime) -> None:
        if begin <= gap.since:
            await self._gaps.close(gap, "read by recent search")
        else:
            await self._give_up(await self._gaps.change(replace(gap, until=begin)))

    async def _give_up(self, gap: GapRow) -> None:
        """Record that the gap is too old for the search."""
        if _SOURCE not in gap.tried:
            tried = f"{gap.tried}, {_SOURCE}" if gap.tried else _SOURCE
            why = f"X's recent search reaches back {_REACH.days} days"
            reason = f"{gap.reason.removesuffix(f'; {_SOON}')}; {why}"
            await self._gaps.change(replace(gap, tried=tried, reason=reason))
