"""X's timelines: mentions, a user's own posts, home, likes, quotes and reposts.

Source: X API docs, "Timelines", "Likes lookup", "Quote Posts" and "Reposts"; X's OpenAPI document.
That likes and reposts reach back 800 posts, as mentions do, is assumed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botkit.sandbox.wire import problems
from botkit.sandbox.wire.exchange import Answer, Refused
from botkit.sandbox.wire.timeline_pages import page_of, part_of
from botkit.sandbox.x.context import ApiRoute, RequestContext
from botkit.sandbox.x.objects import Wanted, posts_body

if TYPE_CHECKING:
    from collections.abc import Sequence

    from botkit.sandbox.world.world import PostRecord

__all__ = ["ROUTES", "dated_page", "post_of", "user_of"]

_REACH = 800
_FAR_REACH = 3200
"""The reach of a user's own timeline, and of home, which X says to be "3,200 or 7 days"."""


def user_of(request: RequestContext) -> str:
    """Return the id of the user in the path; answer that there is none if so."""
    user_id = request.path["id"]
    if user_id not in request.world.users:
        raise _missing("user", user_id)
    return user_id


def post_of(request: RequestContext) -> PostRecord:
    """Return the post in the path; answer that there is none if so."""
    post = request.world.posts.get(request.path["id"])
    if post is None or post.deleted:
        raise _missing("tweet", request.path["id"])
    return post


def _posts_page(request: RequestContext, posts: Sequence[PostRecord], *, default: int) -> Answer:
    """Return a page of posts that are not in the order of their ids, the last one first."""
    page, meta = part_of(posts, request.call, default=default)
    return Answer.json(200, posts_body(request.world, page, Wanted(request.call)) | {"meta": meta})


def dated_page(
    request: RequestContext,
    posts: Sequence[PostRecord],
    *,
    default: int,
    without: Sequence[str] = ("newest_id", "oldest_id"),
) -> Answer:
    """Return a page of posts in the order of their ids, where X's `meta` has less."""
    page, meta = page_of(posts, request.call, default=default, reach=len(posts) or 1)
    shown = {name: value for name, value in meta.items() if name not in without}
    body = posts_body(request.world, page, Wanted(request.call))
    return Answer.json(200, body | {"meta": shown})


def _missing(kind: str, value: str) -> Refused:
    return Refused(Answer.json(200, {"errors": [problems.missing(kind, value, parameter="id")]}))


def _mentions(request: RequestContext) -> Answer:
    return _timeline(request, request.world.posts_naming(user_of(request)), reach=_REACH)


def _own(request: RequestContext) -> Answer:
    posts = request.world.posts_by(user_of(request))
    reach = _REACH if "replies" in _excluded(request) else _FAR_REACH
    return _timeline(request, posts, reach=reach)


def _home(request: RequestContext) -> Answer:
    user_id = user_of(request)
    if request.caller.user is None or request.caller.user.id != user_id:
        raise problems.not_the_caller(request.caller.user, user_id)
    return _timeline(request, request.world.home_of(user_id), reach=_FAR_REACH, default=100)


def _excluded(request: RequestContext) -> list[str]:
    return (request.call.param("exclude") or "").split(",")


def _timeline(
    request: RequestContext, posts: Sequence[PostRecord], *, reach: int, default: int = 10
) -> Answer:
    excluded = _excluded(request)
    shown = [
        post
        for post in posts
        if not ("replies" in excluded and post.reply_to_id)
        and not ("retweets" in excluded and post.reposted_id)
    ]
    page, meta = page_of(shown, request.call, default=default, reach=reach)
    body = posts_body(request.world, page, Wanted(request.call))
    return Answer.json(200, body | {"meta": meta})


def _liked(request: RequestContext) -> Answer:
    return _posts_page(request, request.world.liked_by(user_of(request)), default=100)


def _quotes(request: RequestContext) -> Answer:
    head = post_of(request)
    replies = "replies" not in _excluded(request)
    quotes = [
        post
        for post in request.world.shown_posts()
        if post.quoted_id == head.id and (replies or not post.reply_to_id)
    ]
    left_out = ("newest_id", "oldest_id", "previous_token")
    return dated_page(request, quotes, default=10, without=left_out)


def _reposts(request: RequestContext) -> Answer:
    reposts = list(request.world.reposts_of(post_of(request).id).values())
    return _posts_page(request, reposts, default=100)


def _reposts_of_me(request: RequestContext) -> Answer:
    """Return the caller's posts that others reposted. Source: "Reposts of me"."""
    user = request.caller.user
    posts = request.world.posts_by(user.id) if user is not None else []
    reposted = [post for post in posts if request.world.reposts_of(post.id)]
    return _posts_page(request, reposted[-_REACH:], default=100)


_HOME = "/2/users/{id}/timelines/reverse_chronological"
ROUTES = (
    ApiRoute("GET", "/2/users/{id}/mentions", _mentions, "getUsersMentions"),
    ApiRoute("GET", "/2/users/{id}/tweets", _own, "getUsersPosts"),
    ApiRoute("GET", _HOME, _home, "getUsersTimeline"),
    ApiRoute("GET", "/2/users/{id}/liked_tweets", _liked, "getUsersLikedPosts"),
    ApiRoute("GET", "/2/users/reposts_of_me", _reposts_of_me, "getUsersRepostsOfMe"),
    ApiRoute("GET", "/2/tweets/{id}/quote_tweets", _quotes, "getPostsQuotedPosts"),
    ApiRoute("GET", "/2/tweets/{id}/retweets", _reposts, "getPostsReposts"),
)
