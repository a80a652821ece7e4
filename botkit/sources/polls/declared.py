"""The polls of the sources that an author declares by `bot.hear`: a search and three timelines."""

from __future__ import annotations

from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from botkit.model.sources import HomeTimeline, ListPosts, OwnPosts, PolledSource, Search
from botkit.protocol.api import requests
from botkit.protocol.api.operations import operation
from botkit.protocol.events.matches import matched
from botkit.sources.polls.posts import PostsPoll

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from botkit.model.events import PostEvent
    from botkit.model.users import Account
    from botkit.protocol.api.objects import PostPage
    from botkit.protocol.api.requests import Request

__all__ = ["OPERATIONS", "poll_of", "reads_how"]

_WEEK = timedelta(days=7)

OPERATIONS: Mapping[type[PolledSource], str] = MappingProxyType(
    {
        Search: "searchPostsRecent",
        OwnPosts: "getUsersPosts",
        HomeTimeline: "getUsersTimeline",
        ListPosts: "getListsPosts",
    }
)
"""The operation of X that reads each kind of source."""


def poll_of(source: PolledSource, account: Account, **ports: Any) -> PostsPoll:
    """Return the poll that reads a declared source for an account."""
    match source:
        case Search():
            return _SearchPoll(source, account, **ports)
        case ListPosts():
            return _ListPoll(source, account, **ports)
        case HomeTimeline():
            return _HomePoll(source, account, **ports)
        case OwnPosts():
            return _OwnPoll(source, account, **ports)
        case _:
            raise TypeError(f"no poll reads {source!r}")


def reads_how(source: PolledSource) -> str:
    """Return words for the interval, price and reach of a declared source."""
    minutes = f"{source.every.total_seconds() / 60:g}"
    price = operation(OPERATIONS[type(source)]).price_usd
    said = f"reads every {minutes} min, {price} USD a post"
    return f"{said}, {source.most} posts at once" if isinstance(source, Search) else said


class _DeclaredPoll(PostsPoll):
    """The base of these polls: its gaps are its own."""

    def __init__(self, source: PolledSource, account: Account, **ports: Any) -> None:
        self.source = source.name
        self.covers = (source.name,)
        super().__init__(account, interval=source.every, **ports)


class _SearchPoll(_DeclaredPoll):
    """Read the recent search: each post is a `PostMatched`."""

    fewest = 10
    counts_hidden = False
    reach_back = _WEEK

    def __init__(self, source: Search, account: Account, **ports: Any) -> None:
        super().__init__(source, account, **ports)
        self._declared = source
        self.reach = source.most
        self.limit = (
            f"the search {source.tag!r} reads {source.most} posts at once, and X shows those of"
            f" {_WEEK.days} days"
        )

    def _request(self, since_id: str | None, token: str | None, most: int) -> Request:
        query = self._declared.query
        return requests.search_recent(query, since_id=since_id, next_token=token, max_results=most)

    def _events(self, page: PostPage) -> Sequence[PostEvent]:
        found = super()._events(page)
        return [matched(each, tag=self._declared.tag, rule=self._declared.query) for each in found]


class _OwnPoll(_DeclaredPoll):
    """Read the account's own posts, replies and reposts included."""

    reach = 3200
    limit = "X's timeline of a user's posts reaches back 3,200 posts"

    def _request(self, since_id: str | None, token: str | None, most: int) -> Request:
        return requests.get_user_posts(
            self._account.id, since_id=since_id, pagination_token=token, max_results=most
        )


class _HomePoll(_DeclaredPoll):
    """Read the posts of the users whom the account follows."""

    reach = 3200
    reach_back = _WEEK
    limit = "X's home timeline reaches back 3,200 posts or 7 days"

    def _request(self, since_id: str | None, token: str | None, most: int) -> Request:
        return requests.get_home_timeline(
            self._account.id, since_id=since_id, pagination_token=token, max_results=most
        )


class _ListPoll(_DeclaredPoll):
    """Read the posts of a list's members."""

    has_since = False
    reach = 800
    limit = "X shows the newest 800 posts of a list"

    def __init__(self, source: ListPosts, account: Account, **ports: Any) -> None:
        super().__init__(source, account, **ports)
        self._list_id = source.list_id

    def _request(self, since_id: str | None, token: str | None, most: int) -> Request:
        del since_id
        return requests.get_list_posts(self._list_id, pagination_token=token, max_results=most)
