"""X's routes to make, read and delete posts.

Source: X API docs, "Manage Posts" (to whom an app may reply: changelog 2026-02-23) and "Response
codes and errors".
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from botkit.sandbox.wire import problems
from botkit.sandbox.wire.exchange import Answer
from botkit.sandbox.wire.request_bodies import Id, body_of
from botkit.sandbox.world.text_rules import cashtags_of, same_text, weight_of
from botkit.sandbox.x.context import ApiRoute, RequestContext
from botkit.sandbox.x.objects import Wanted, escaped, posts_body
from botkit.sandbox.x.routes.users import listed

if TYPE_CHECKING:
    from botkit.sandbox.world.world import PostRecord, UserRecord

__all__ = ["ROUTES"]

_ReplySettings = Literal["following", "mentionedUsers", "subscribers", "verified"]


class _Reply(Struct, frozen=True, forbid_unknown_fields=True):
    """The `reply` of a new post."""

    in_reply_to_tweet_id: Id
    exclude_reply_user_ids: tuple[str, ...] = ()
    auto_populate_reply_metadata: bool = False


class _Media(Struct, frozen=True, forbid_unknown_fields=True):
    """Hold the `media` of a new post."""

    media_ids: Annotated[tuple[Id, ...], Meta(min_length=1, max_length=4)]
    tagged_user_ids: Annotated[tuple[Id, ...], Meta(max_length=10)] = ()
    title: str = ""
    description: str = ""
    embeddable: bool = False
    preview_media_id: Id | UnsetType = UNSET
    call_to_actions: dict[str, dict[str, str]] | UnsetType = UNSET


class _Poll(Struct, frozen=True, forbid_unknown_fields=True):
    """Hold the `poll` of a new post."""

    options: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=25)], ...],
        Meta(min_length=2, max_length=4),
    ]
    duration_minutes: Annotated[int, Meta(ge=5, le=10080)]
    reply_settings: _ReplySettings | UnsetType = UNSET


class _EditOptions(Struct, frozen=True, forbid_unknown_fields=True):
    previous_post_id: Id


class _Geo(Struct, frozen=True, forbid_unknown_fields=True):
    place_id: str = ""


class _NewPost(Struct, frozen=True, forbid_unknown_fields=True):
    """Hold the body of a new post. Source: X's OpenAPI document 2.167, `CreatePostsRequest`."""

    text: str = ""
    reply: _Reply | None = None
    quote_tweet_id: Id | None = None
    media: _Media | None = None
    poll: _Poll | None = None
    reply_settings: _ReplySettings | None = None
    made_with_ai: bool = False
    paid_partnership: bool = False
    edit_options: _EditOptions | None = None
    community_id: Id | None = None
    share_with_followers: bool = False
    geo: _Geo | None = None
    for_super_followers_only: bool = False
    nullcast: bool = False
    direct_message_deep_link: str = ""
    card_uri: str = ""


_EITHER = ("poll", "media", "quote_tweet_id", "direct_message_deep_link", "card_uri")
"""A post can have at most one of these. Source: X's OpenAPI document 2.166."""
_NOT_PLAYED = (
    "poll",
    "edit_options",
    "community_id",
    "share_with_followers",
    "geo",
    "for_super_followers_only",
    "nullcast",
    "direct_message_deep_link",
    "card_uri",
)


def _create(request: RequestContext) -> Answer:
    body = body_of(request.call, _NewPost)
    author = _user(request)
    _check_parts(body)
    if not body.text.strip():
        raise problems.invalid_request("$.text: is missing but it is required")
    _check_text(request, body.text)
    target = _target(request, author, body.reply) if body.reply else None
    _check_quote(request, author, body.quote_tweet_id)
    _check_duplicate(request, author, body.text, target)
    post = request.world.add_post(
        author.id,
        body.text,
        reply_to=target.id if target else None,
        quoting=body.quote_tweet_id,
        leave_out=body.reply.exclude_reply_user_ids if body.reply else (),
        app_id=request.caller.app.id,
    )
    post.reply_settings = body.reply_settings or post.reply_settings
    post.paid_partnership = body.paid_partnership
    return Answer.json(201, {"data": {"id": post.id, "text": escaped(post.text)}})


def _check_parts(body: _NewPost) -> None:
    """Refuse parts that exclude each other, unknown media, and parts that are not simulated."""
    chosen = [name for name in _EITHER if getattr(body, name)]
    if len(chosen) > 1:
        raise problems.invalid_request(f"The fields [{', '.join(chosen)}] are mutually exclusive.")
    if body.media is not None:
        # The sandbox takes no uploads, so it knows no media id. Source: X's own simulator.
        ids = list(body.media.media_ids)
        raise problems.bad_request("Your media IDs are invalid.", {"media.media_ids": ids})
    for name in _NOT_PLAYED:
        if getattr(body, name):
            raise problems.not_played(f"`{name}` of a new post")


def _user(request: RequestContext) -> UserRecord:
    user = request.caller.user
    if user is None:
        raise problems.unauthorized()
    return user


def _check_text(request: RequestContext, text: str) -> None:
    if weight_of(text) > request.world.rules.max_text_weight:
        # Code 186 of the older API.
        raise problems.forbidden("Your Tweet text is too long.")
    if len(cashtags_of(text)) > 1:
        raise problems.forbidden("Posts are limited to one cashtag.")


def _target(request: RequestContext, author: UserRecord, reply: _Reply) -> PostRecord:
    """Return the post to reply to. Refuse if the account may not reply to it."""
    target = request.world.posts.get(reply.in_reply_to_tweet_id)
    if target is None or target.deleted:
        raise problems.forbidden(
            "You attempted to reply to a Tweet that is deleted or not visible to you."
        )
    if not request.caller.app.enterprise and not _summons(request, target, author):
        raise problems.unsummoned()
    return target


def _summons(request: RequestContext, target: PostRecord, account: UserRecord) -> bool:
    """Return True if the post mentions or quotes the account that replies, or is its own."""
    if account.id in {target.author_id, target.quoted_user_id}:
        return True
    return target.mentions(account.id, explicit=not request.world.rules.implicit_summons)


def _check_quote(request: RequestContext, author: UserRecord, quoted_id: str | None) -> None:
    if quoted_id is None:
        return
    quoted = request.world.posts.get(quoted_id)
    if quoted is None or quoted.deleted:
        raise problems.forbidden("You attempted to quote a Tweet that is deleted or not visible.")
    if not request.caller.app.enterprise and not _summons(request, quoted, author):
        raise problems.blank(
            403,
            "Authorization Error",
            detail="You can only reply to or quote posts where you are mentioned or are the"
            " author.",
        )


def _check_duplicate(
    request: RequestContext, author: UserRecord, text: str, target: PostRecord | None
) -> None:
    # The same normalised text and reply target. Source: docs/explanation/x-facts.md, 12.3.
    since = request.world.clock.now() - timedelta(seconds=request.world.rules.duplicate_window_s)
    for post in request.world.newest_by(author.id):
        if post.created_at < since:
            break
        if post.reply_to_id == (target.id if target else None) and same_text(post.written, text):
            raise problems.duplicate_content()


def _delete(request: RequestContext) -> Answer:
    post = request.world.posts.get(request.path["id"])
    author = _user(request)
    if post is not None and post.author_id != author.id:
        raise problems.forbidden("You are not authorized to delete this Tweet.")
    if post is not None and not post.deleted:
        request.world.delete_post(post.id)
    return Answer.json(200, {"data": {"deleted": True}})


def _by_id(request: RequestContext) -> Answer:
    post_id = request.path["id"]
    post = request.world.posts.get(post_id)
    if post is None or post.deleted:
        return Answer.json(200, {"errors": [problems.missing("tweet", post_id, parameter="id")]})
    return Answer.json(200, posts_body(request.world, [post], Wanted(request.call), single=True))


def _by_ids(request: RequestContext) -> Answer:
    found: list[PostRecord] = []
    errors: list[dict[str, Any]] = []
    for post_id in listed(request, "ids"):
        post = request.world.posts.get(post_id)
        if post is None or post.deleted:
            errors.append(problems.missing("tweet", post_id, parameter="ids"))
        else:
            found.append(post)
    body = posts_body(request.world, found, Wanted(request.call))
    return Answer.json(200, body | ({"errors": errors} if errors else {}))


ROUTES = (
    ApiRoute("POST", "/2/tweets", _create, "createPosts"),
    ApiRoute("GET", "/2/tweets", _by_ids, "getPostsByIds"),
    ApiRoute("GET", "/2/tweets/{id}", _by_id, "getPostsById"),
    ApiRoute("DELETE", "/2/tweets/{id}", _delete, "deletePosts"),
)
