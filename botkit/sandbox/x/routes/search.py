"""Answer X's recent search.

Source: X API docs, "Search Posts", "Search Operators" and the changelog (reposts); X's OpenAPI
document; texts of refusals: docs/explanation/x-facts.md, 18.5.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from botkit.sandbox.wire import problems
from botkit.sandbox.wire.exchange import Answer
from botkit.sandbox.wire.timeline_pages import page_of
from botkit.sandbox.world.queries import NotPlayedError, Query, parse_query
from botkit.sandbox.world.query_syntax import QueryFault
from botkit.sandbox.x.context import ApiRoute, RequestContext
from botkit.sandbox.x.objects import Wanted, posts_body

if TYPE_CHECKING:
    from botkit.sandbox.wire.exchange import Refused

__all__ = ["ROUTES"]

_REACH = timedelta(days=7)
_NEWEST = timedelta(seconds=10)
"""How old an `end_time` must be at least."""


def _recent(request: RequestContext) -> Answer:
    world = request.world
    query = _query(request)
    oldest = world.time_on_x() - _REACH
    _check_bounds(request, oldest)
    found = [
        post
        for post in world.shown_posts()
        if post.created_at >= oldest
        and not world.users[post.author_id].protected
        and query.matches(world, post)
    ]
    # How X ranks by `relevancy` is not known: here it is the newest first, too.
    page, meta = page_of(found, request.call, default=10, reach=len(found) or 1)
    meta.pop("previous_token", None)  # search has no previous page
    return Answer.json(200, posts_body(world, page, Wanted(request.call)) | {"meta": meta})


def _query(request: RequestContext) -> Query:
    text = request.call.param("query")
    if text is None:
        raise problems.bad_request("The `query` query parameter can not be empty", {"query": []})
    try:
        return parse_query(text, "search", enterprise=request.caller.app.enterprise)
    except NotPlayedError as missing:
        raise problems.not_played(f"{missing} of a search") from missing
    except QueryFault as fault:
        message = f"There were errors processing your request: {fault}"
        raise problems.bad_parameter("query", text, message) from fault


def _check_bounds(request: RequestContext, oldest: datetime) -> None:
    call = request.call
    for name in ("since_id", "until_id"):
        an_id = call.param(name)
        if an_id is not None and request.world.time_of(an_id) < oldest:
            least = request.world.id_at(oldest)
            text = f"'{name}' must be a tweet id created after {_minute(oldest)}."
            more = f"Please use a '{name}' that is larger than {least}"
            raise problems.bad_parameter(name, an_id, f"{text} {more}")
    start, end = call.param("start_time"), call.param("end_time")
    if start is not None and call.param("since_id") is not None:
        # X says only that the two do not go together: the wording is assumed.
        message = "'since_id' and 'start_time' cannot be used together"
        raise problems.bad_parameter("start_time", start, message)
    newest = request.world.time_on_x() - _NEWEST
    if end is not None and datetime.fromisoformat(end) > newest:
        least_age = f"must be a minimum of {_NEWEST.seconds} seconds prior to the request time."
        raise _bad_time("end_time", end, least_age)
    # The wording of the rest is assumed.
    if start is not None and datetime.fromisoformat(start) < oldest:
        raise _bad_time("start_time", start, f"must be on or after {_minute(oldest)}.")
    if start is not None and datetime.fromisoformat(start) >= _end(end, newest):
        raise _bad_time("start_time", start, "must be before 'end_time'.")


def _end(end: str | None, newest: datetime) -> datetime:
    return newest if end is None else datetime.fromisoformat(end)


def _bad_time(name: str, value: str, rule: str) -> Refused:
    shown = _minute(datetime.fromisoformat(value))
    return problems.bad_parameter(name, value, f"Invalid '{name}':'{shown}'. '{name}' {rule}")


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%MZ}"


ROUTES = (ApiRoute("GET", "/2/tweets/search/recent", _recent, "searchPostsRecent"),)
