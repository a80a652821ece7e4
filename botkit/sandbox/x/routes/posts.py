"""X's routes to make, read and delete posts, and its two timelines.

Source: X API docs, "Manage Posts" (to whom an app may reply: changelog 2026-02-23), "Timelines"
and "Response codes and errors".
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Struct

from botkit.sandbox.wire import problems
from botkit.sandbox.wire.exchange import Answer, Refused, as_object
from botkit.sandbox.wire.timeline_pages import page_of
from botkit.sandbox.world.text_rules import cashtags_of, same_text, weight_of
from botkit.sandbox.x.context import ApiRoute, RequestContext
from botkit.sandbox.x.objects import Wanted, escaped, posts_body
from botkit.sandbox.x.routes.users import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from botkit.sandbox.world.world import PostRecord, UserRecord

__all__ = ["ROUTES"]

_BODY_KEYS = frozenset(
    {
        "text",
        "reply",
        "quote_tweet_id",
        "media",
        "poll",
        "reply_settings",
        "made_with_ai",
        "paid_partnership",
        "edit_options",
        "community_id",
        "share_with_followers",
        "geo",
        "for_super_followers_only",
        "nullcast",
        "direct_message_deep_link",
        "card_uri",
    }
)
_REPLY_SETTINGS = frozenset({"following", "mentionedUsers", "subscribers", "verified"})


class _Reply(Struct, frozen=True, forbid_unknown_fields=True):
    """The `reply` of a new post."""

    in_reply_to_tweet_id: Annotated[str, msgspec.Meta(pattern="^[0-9]{1,19}$")]
    exclude_reply_user_ids: tuple[str, ...] = ()
    auto_populate_reply_metadata: bool = False


def _create(request: RequestContext) -> Answer:
    body = _body(request)
    author = _user(request)
    text = body.get("text")
    if not isinstance(text, str) or not text.strip():
        raise problems.invalid_request("$.text: is missing but it is required")
    _check_text(request, text)
    reply = _reply(body)
    target = _target(request, author, reply) if reply else None
    _check_quote(request, author, body.get("quote_tweet_id"))
    _check_duplicate(request, author, text, target)
    settings = body.get("reply_settings")
    if settings is not None and settings not in _REPLY_SETTINGS:
        raise problems.invalid_request(f"$.reply_settings: [{settings}] is not one of the values")
    post = request.world.add_post(
        author.id,
        text,
        reply_to=target.id if target else None,
        quoting=body.get("quote_tweet_id"),
        leave_out=reply.exclude_reply_user_ids if reply else (),
        app_id=request.caller.app.id,
    )
    post.reply_settings = settings or post.reply_settings
    data = {"id": post.id, "text": escaped(post.text), "edit_history_tweet_ids": [post.id]}
    return Answer.json(201, {"data": data})


def _body(request: RequestContext) -> dict[str, Any]:
    body = as_object(request.call.body)
    if request.call.media_type != "application/json" or body is None:
        raise problems.invalid_request(
            "Requests with bodies must have content-type of application/json."
        )
    for key in body:
        if key not in _BODY_KEYS:
            raise problems.invalid_request(
                f"$.{key}: is not defined in the schema and the schema does not allow"
                " additional properties"
            )
    return body


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


def _reply(body: dict[str, Any]) -> _Reply | None:
    try:
        return msgspec.convert(body.get("reply"), _Reply | None)
    except msgspec.ValidationError as wrong:
        raise problems.invalid_request(f"$.reply: {wrong}") from wrong


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


def _check_quote(request: RequestContext, author: UserRecord, quoted_id: Any) -> None:
    if quoted_id is None:
        return
    quoted = request.world.posts.get(str(quoted_id))
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


def _mentions(request: RequestContext) -> Answer:
    return _timeline(request, request.world.posts_naming(_reader_of(request)), reach=800)


def _posts_of(request: RequestContext) -> Answer:
    posts = request.world.posts_by(_reader_of(request))
    if "replies" in (request.call.param("exclude") or "").split(","):
        return _timeline(request, [post for post in posts if not post.reply_to_id], reach=800)
    return _timeline(request, posts, reach=3200)


def _reader_of(request: RequestContext) -> str:
    user_id = request.path["id"]
    if user_id not in request.world.users:
        problem = problems.missing("user", user_id, parameter="id")
        raise Refused(Answer.json(200, {"errors": [problem]}))
    return user_id


def _timeline(request: RequestContext, posts: Sequence[PostRecord], *, reach: int) -> Answer:
    page, meta = page_of(posts, request.call, least=5, most=100, default=10, reach=reach)
    body = posts_body(request.world, page, Wanted(request.call))
    return Answer.json(200, body | {"meta": meta})


ROUTES = (
    ApiRoute("POST", "/2/tweets", _create, "createPosts"),
    ApiRoute("GET", "/2/tweets", _by_ids, "getPostsByIds"),
    ApiRoute("GET", "/2/tweets/{id}", _by_id, "getPostsById"),
    ApiRoute("DELETE", "/2/tweets/{id}", _delete, "deletePosts"),
    ApiRoute("GET", "/2/users/{id}/mentions", _mentions, "getUsersMentions"),
    ApiRoute("GET", "/2/users/{id}/tweets", _posts_of, "getUsersPosts"),
)
