"""Likes, reposts and follows: the calls that make and undo them, and who did.

X has taken likes and follows from self-serve apps; what it answers to one is not known.
Source: X API docs, "Likes", "Reposts", "Follows" and the changelog (2026-04-16); recorded answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from botkit.sandbox.wire import problems
from botkit.sandbox.wire.exchange import Answer
from botkit.sandbox.wire.request_bodies import Id, body_of
from botkit.sandbox.wire.timeline_pages import part_of
from botkit.sandbox.x.context import ApiRoute, RequestContext
from botkit.sandbox.x.objects import Wanted, user_json
from botkit.sandbox.x.routes.timelines import post_of, user_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from botkit.sandbox.world.world import PostRecord, UserRecord

__all__ = ["ROUTES", "acting_user", "users_page"]


class _Post(Struct, frozen=True, forbid_unknown_fields=True):
    tweet_id: Id


class _User(Struct, frozen=True, forbid_unknown_fields=True):
    target_user_id: Id


def acting_user(request: RequestContext, *, parameter: str = "id") -> UserRecord:
    """Return the calling user, who must be the one in the path."""
    user, named = request.caller.user, request.path[parameter]
    if user is None or user.id != named:
        raise problems.not_the_caller(user, named, parameter=parameter)
    return user


def users_page(request: RequestContext, user_ids: Iterable[str], *, default: int = 100) -> Answer:
    """Return a page of users, those who came last first."""
    wanted = Wanted(request.call)
    page, meta = part_of(list(user_ids), request.call, default=default)
    fields = wanted.user_fields | (wanted.expansions & {"affiliation"})
    users = [user_json(request.world, request.world.users[one], fields) for one in page]
    body: dict[str, Any] = {"data": users} if users else {}
    return Answer.json(200, body | {"meta": meta})


def _done(**data: Any) -> Answer:
    return Answer.json(200, {"data": data})


def _for_enterprise(request: RequestContext, what: str) -> None:
    if not request.caller.app.enterprise:
        raise problems.forbidden(f"{what} is not available in your access level.")  # assumed


def _existing(request: RequestContext, post_id: str) -> PostRecord:
    post = request.world.posts.get(post_id)
    if post is None or post.deleted:
        raise problems.forbidden("The Tweet is deleted or not visible to you.")  # assumed
    return post


def _like(request: RequestContext) -> Answer:
    user = acting_user(request)
    _for_enterprise(request, "Liking Posts")
    post = _existing(request, body_of(request.call, _Post).tweet_id)
    request.world.like(user.id, post.id)
    return _done(liked=True)


def _unlike(request: RequestContext) -> Answer:
    user = acting_user(request)
    _for_enterprise(request, "Liking Posts")
    post = _existing(request, request.path["tweet_id"])
    request.world.like(user.id, post.id, on=False)
    return _done(liked=False)


def _likers(request: RequestContext) -> Answer:
    return users_page(request, post_of(request).likes)


def _repost(request: RequestContext) -> Answer:
    user = acting_user(request)
    post = _existing(request, body_of(request.call, _Post).tweet_id)
    request.world.repost(user.id, post.id, app_id=request.caller.app.id)
    # The document says "the ID of the reposted Post".
    return _done(retweeted=True, rest_id=post.id)


def _undo_repost(request: RequestContext) -> Answer:
    user = acting_user(request)
    repost = request.world.reposts_of(request.path["source_tweet_id"]).get(user.id)
    if repost is not None:
        request.world.delete_post(repost.id)
    return _done(retweeted=False)


def _reposters(request: RequestContext) -> Answer:
    return users_page(request, request.world.reposts_of(post_of(request).id))


def _follow(request: RequestContext) -> Answer:
    user = acting_user(request)
    _for_enterprise(request, "Following users")
    target = request.world.users.get(body_of(request.call, _User).target_user_id)
    if target is None or target is user:
        raise problems.forbidden("You cannot follow this user.")  # assumed
    request.world.follow(user.id, target.id)
    return _done(following=True, pending_follow=False)


def _unfollow(request: RequestContext) -> Answer:
    user = acting_user(request, parameter="source_user_id")
    _for_enterprise(request, "Following users")
    target = request.world.users.get(request.path["target_user_id"])
    if target is not None:
        request.world.follow(user.id, target.id, on=False)
    return _done(following=False)


def _followers(request: RequestContext) -> Answer:
    return users_page(request, request.world.users[user_of(request)].followers)


def _following(request: RequestContext) -> Answer:
    return users_page(request, request.world.users[user_of(request)].following)


_UNFOLLOW = "/2/users/{source_user_id}/following/{target_user_id}"
ROUTES = (
    ApiRoute("POST", "/2/users/{id}/likes", _like, "likePost"),
    ApiRoute("DELETE", "/2/users/{id}/likes/{tweet_id}", _unlike, "unlikePost"),
    ApiRoute("GET", "/2/tweets/{id}/liking_users", _likers, "getPostsLikingUsers"),
    ApiRoute("POST", "/2/users/{id}/retweets", _repost, "repostPost"),
    ApiRoute("DELETE", "/2/users/{id}/retweets/{source_tweet_id}", _undo_repost, "unrepostPost"),
    ApiRoute("GET", "/2/tweets/{id}/retweeted_by", _reposters, "getPostsRepostedBy"),
    ApiRoute("POST", "/2/users/{id}/following", _follow, "followUser"),
    ApiRoute("DELETE", _UNFOLLOW, _unfollow, "unfollowUser"),
    ApiRoute("GET", "/2/users/{id}/followers", _followers, "getUsersFollowers"),
    ApiRoute("GET", "/2/users/{id}/following", _following, "getUsersFollowing"),
)
