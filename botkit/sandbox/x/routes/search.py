"""Answer X's recent search, for queries by names: `@ada -from:ada -is:retweet`.

Source: X API docs, "Search Posts" (the last 7 days) and its operators; X's OpenAPI document.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from botkit.sandbox.wire import problems
from botkit.sandbox.wire.exchange import Answer
from botkit.sandbox.wire.timeline_pages import page_of
from botkit.sandbox.x.context import ApiRoute, RequestContext
from botkit.sandbox.x.objects import Wanted, posts_body

if TYPE_CHECKING:
    from collections.abc import Callable

    from botkit.sandbox.world.world import PostRecord, World

__all__ = ["ROUTES"]

_REACH = timedelta(days=7)
_LONGEST_QUERY = 512
_TERM = re.compile(r"(?P<no>-?)(?P<word>@|from:|is:retweet)(?P<name>[A-Za-z0-9_]*)", re.IGNORECASE)


def _recent(request: RequestContext) -> Answer:
    world, query = request.world, request.call.param("query") or ""
    terms = [_term(world, term) for term in query.split()]
    if not 0 < len(query) <= _LONGEST_QUERY:
        message = f"The `query` must have 1 to {_LONGEST_QUERY} characters"
        raise problems.bad_parameter("query", query, message)
    oldest = world.time_on_x() - _REACH
    since = request.call.param("since_id")
    if since is not None and world.time_of(since) < oldest:
        # X's refusal names the lowest allowed id; the wording is assumed.
        message = f"'since_id' must be a tweet id created after {oldest:%Y-%m-%dT%H:%MZ}"
        raise problems.bad_parameter("since_id", since, message)
    found = [
        post
        for post in world.shown_posts()
        if post.created_at >= oldest and all(term(post) for term in terms)
    ]
    page, meta = page_of(found, request.call, default=10, reach=len(found) or 1)
    meta.pop("previous_token", None)  # search has no previous page
    return Answer.json(200, posts_body(world, page, Wanted(request.call)) | {"meta": meta})


def _term(world: World, term: str) -> Callable[[PostRecord], bool]:
    """Return a test for posts that implements one term of the query."""
    parts = _TERM.fullmatch(term)
    if parts is None:
        raise problems.not_played(f"the search operator {term}")
    word, wanted = parts["word"].lower(), not parts["no"]
    if word == "is:retweet":  # the sandbox has no reposts
        return lambda _: not wanted
    user = world.find_user(parts["name"])
    user_id = user.id if user is not None else ""
    if word == "@":
        return lambda post: post.mentions(user_id) is wanted
    return lambda post: (post.author_id == user_id) is wanted


ROUTES = (ApiRoute("GET", "/2/tweets/search/recent", _recent, "searchPostsRecent"),)
