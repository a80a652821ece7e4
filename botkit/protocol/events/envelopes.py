"""Read events from any JSON that X may send: envelopes, posts, messages, lists of these.

This is the thorough way: field by field, nothing raises, and values that cannot be read are kept.
`activity` has the fast way for the envelopes that come by the thousand; both return the same
events.

Source: X API docs, "X Activity API" and "Event payloads";
docs/explanation/requirements.md, "Intake", for keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from botkit.errors import StreamClosed
from botkit.model.activity_events import Like
from botkit.model.events import ActivityEvent, DirectMessage, GrantRevoked, UnknownEvent
from botkit.model.posts import Post
from botkit.model.users import User
from botkit.protocol.api.ids import snowflake_time
from botkit.protocol.api.json_fields import Fields
from botkit.protocol.api.json_values import is_list, is_object, unwrap
from botkit.protocol.api.objects import (
    conversation_of,
    message_of,
    post_of,
    user_of,
    users_by_id,
)
from botkit.protocol.events.post_events import EPOCH, event_from_post
from botkit.protocol.events.stream_lines import closed_by
from botkit.protocol.events.typed_activity import class_of, fields_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from botkit.model.events import XEvent
    from botkit.model.messages import Message

__all__ = ["POST_KINDS", "Hearing", "event_of_nothing", "events_of", "told_by_kind"]

POST_KINDS: Final = frozenset(
    f"{noun}.{verb}"
    for noun in ("post", "tweet")
    for verb in (
        "create",
        "mention.create",
        "reply.create",
        "quote.create",
        "repost.create",
        "retweet.create",
    )
)
_MESSAGE_KINDS: Final = frozenset({"dm.received", "dm.sent"})
_REVOKE_KIND: Final = "oauth.revoke"
_UNKNOWN: Final = "unknown"

_SUBJECTS: Final = (
    "id",
    "message_id",
    "broadcast_id",
    "space_id",
    "post_id",
    "tweet_id",
    "job_id",
)
_ACTORS: Final = ("author_id", "sender_id", "user_id")
_ACTOR_OBJECTS: Final = ("source", "user", "author")
_MOMENTS: Final = (
    "timestamp_ms",
    "event_timestamp_ms",
    "created_at_msec",
    "created_timestamp",
    "created_timestamp_ms",
    "date_time",
    "created_at",
    "updated_at",
)
_OWN_DOING: Final = ("profile.", "mute.", "block.", "spaces.", "broadcast.")


class Hearing(Struct, frozen=True, kw_only=True, gc=False):
    """The listener's knowledge beside the bytes.

    `account_id` is the account if the delivery names none; `usernames` are the accounts' usernames
    by id; `now` is the time of an event that does not hold one.
    """

    source: str = "activity"
    account_id: str = ""
    usernames: Mapping[str, str] = {}
    now: datetime | None = None


class _Includes(Struct, frozen=True, kw_only=True):
    """The envelope around a payload: the account that it is for, and the included objects."""

    hearing: Hearing
    account_id: str
    users: dict[str, User]
    posts: dict[str, Post]
    undecoded: dict[str, Any]

    @property
    def username(self) -> str:
        """Return the account's username, from the listener or from the delivery."""
        known = self.hearing.usernames.get(self.account_id)
        user = self.users.get(self.account_id)
        return known or (user.username if user is not None else "")


def events_of(value: Any, hearing: Hearing) -> list[XEvent]:
    """Return all events of one JSON value, in its order.

    Raises:
        StreamClosed: It is X's announcement that the stream ends, and nothing else.
    """
    if is_list(value):
        return _of_list(value, hearing)
    if not is_object(value):
        return [_unknown(value, hearing)]
    data = unwrap(value.get("data"))
    if is_list(data):
        return [event for item in data for event in _of_object(item, value, hearing)]
    if is_object(data):
        return list(_of_object(data, value, hearing))
    errors = value.get("errors")
    if errors:
        raise closed_by(errors if is_list(errors) else [errors])
    return list(_of_object(value, {}, hearing))


def told_by_kind(kind: str, post: Post, account_id: str) -> Post:
    """Return the post with the facts that the kind of a delivery tells about its references.

    X's samples of replies and quotes come without the posts that they refer to. The kind tells
    that these are the account's and stands in for the missing field; the event's class is still
    computed from the post.

    Source: X API docs, "X Activity API".
    """
    if not account_id or post.author_id == account_id:
        return post
    if kind.endswith(".quote.create") and post.quoted_post_id and not post.quoted_user_id:
        return replace(post, quoted_user_id=account_id)
    if (
        kind.endswith(".reply.create")
        and post.in_reply_to_post_id
        and not post.in_reply_to_user_id
    ):
        return replace(post, in_reply_to_user_id=account_id)
    return post


def event_of_nothing(hearing: Hearing) -> UnknownEvent:
    """Return the event for JSON that is an empty list, so that it can be noticed."""
    return _unknown([], hearing)


def _of_list(items: list[Any], hearing: Hearing) -> list[XEvent]:
    events: list[XEvent] = []
    closed: StreamClosed | None = None
    for item in items:
        try:
            events.extend(events_of(item, hearing))
        except StreamClosed as announced:
            closed = announced
    if closed is not None and not events:
        raise closed
    return events


def _of_object(data: Any, answer: Mapping[str, Any], hearing: Hearing) -> Iterator[XEvent]:
    """Return the events of one object of an answer: an envelope, a post, a message or other."""
    data = unwrap(data)
    if not is_object(data):
        yield _unknown(data, hearing)
        return
    fields = Fields(data)
    enveloped = "payload" in data
    payload = Fields(data["payload"], undecoded=fields.undecoded) if enveloped else fields
    listed = not enveloped and _is_listed_message(data)
    kind = _UNKNOWN if listed else fields.text("event_type") or _UNKNOWN
    includes = _includes(fields, answer, hearing)
    if kind == _REVOKE_KIND:
        yield _revoked(payload, data, includes)
    elif kind in _MESSAGE_KINDS or listed or (kind == _UNKNOWN and _has_messages(payload)):
        yield from _messages(kind, payload, data, includes)
    elif kind in POST_KINDS or (kind == _UNKNOWN and "text" in payload):
        yield _post(kind, payload, data, includes)
    else:
        yield _other(kind, payload, data, includes)


def _includes(fields: Fields, answer: Mapping[str, Any], hearing: Hearing) -> _Includes:
    account_id = fields.inner("filter").id("user_id") or hearing.account_id
    users: dict[str, User] = {}
    posts: dict[str, Post] = {}
    outer = Fields(answer.get("includes"), path="includes", undecoded=fields.undecoded)
    for includes in (outer, fields.inner("includes")):
        users |= users_by_id(includes.objects("users"))
        found = (post_of(item) for item in includes.objects("tweets", "posts"))
        posts |= {post.id: post for post in found if post is not None}
    return _Includes(
        hearing=hearing,
        account_id=account_id or fields.id("for_user_id") or "",
        users=users,
        posts=posts,
        undecoded=fields.undecoded,
    )


def _post(kind: str, payload: Fields, data: Mapping[str, Any], includes: _Includes) -> XEvent:
    post = post_of(payload)
    if post is None:
        return _other(kind, payload, data, includes, missing=("post",))
    author = includes.users.get(post.author_id or "")
    if author is None:
        author = user_of(payload.inner("author", "user"))
    event = event_from_post(
        told_by_kind(kind, _completed(post, includes), includes.account_id),
        account_id=includes.account_id,
        source=includes.hearing.source,
        author=author,
        username=includes.username,
    )
    if event.at == EPOCH and includes.hearing.now is not None:
        event = replace(event, at=includes.hearing.now)
    return replace(event, undecoded=includes.undecoded) if includes.undecoded else event


def _completed(post: Post, includes: _Includes) -> Post:
    """Return the post with the facts that the delivery holds in other places."""
    ids = {user.username.casefold(): user.id for user in includes.users.values()}
    answered = includes.posts.get(post.in_reply_to_post_id or "")
    quoted = includes.posts.get(post.quoted_post_id or "")
    return replace(
        post,
        mentions=tuple(
            mention if mention.id else replace(mention, id=ids.get(mention.username.casefold()))
            for mention in post.mentions
        ),
        in_reply_to_user_id=post.in_reply_to_user_id or (answered.author_id if answered else None),
        quoted_user_id=quoted.author_id if quoted else None,
    )


def _messages(
    kind: str, payload: Fields, data: Mapping[str, Any], includes: _Includes
) -> Iterator[XEvent]:
    listed = "direct_message_events" in payload
    items = payload.objects("direct_message_events") if listed else [payload]
    users = includes.users | users_by_id(_each_user(payload))
    found = False
    for item in items:
        message = message_of(item)
        if message is not None:
            found = True
            yield _message(kind, message, item, users, includes)
    if not found:
        yield _other(kind, payload, data, includes, missing=("message",))


def _message(
    kind: str, message: Message, item: Fields, users: dict[str, User], includes: _Includes
) -> DirectMessage:
    peer_id = item.inner("message_create").inner("target").id("recipient_id")
    told = message.sender_id if kind == "dm.sent" else peer_id
    account_id = includes.account_id or told or ""
    alone = message.conversation_id in {"", message.sender_id}
    if alone and account_id and message.sender_id != account_id:
        message = replace(message, conversation_id=conversation_of(message.sender_id, account_id))
    sender = users.get(message.sender_id or "")
    hearing = includes.hearing
    return DirectMessage(
        account_id=account_id,
        at=message.created_at or snowflake_time(message.id) or hearing.now or EPOCH,
        source=hearing.source,
        missing=() if sender is not None and sender.username else ("sender",),
        undecoded=includes.undecoded,
        message=message,
        sender=sender or User(id=message.sender_id or "", username="", name=""),
    )


def _revoked(payload: Fields, data: Mapping[str, Any], includes: _Includes) -> XEvent:
    user_id = payload.id("user_id") or includes.account_id
    if not user_id:
        return _other(_REVOKE_KIND, payload, data, includes, missing=("user",))
    return GrantRevoked(
        account_id=includes.account_id or user_id,
        at=_when(payload, includes.hearing),
        source=includes.hearing.source,
        undecoded=includes.undecoded,
        user_id=user_id,
        app_id=payload.id("app_id"),
    )


def _other(
    kind: str,
    payload: Fields,
    data: Mapping[str, Any],
    includes: _Includes,
    *,
    missing: tuple[str, ...] = (),
) -> ActivityEvent:
    direction = Fields(data).inner("filter").raw("direction")
    subject_id, actor_id = _about(kind, payload.probe(), includes.account_id, direction)
    kind = _named(data) if kind == _UNKNOWN else kind
    event_class = UnknownEvent if missing else class_of(kind)
    own = fields_of(event_class, kind, payload)
    if event_class is Like:
        own["user_id"] = actor_id
    return event_class(
        account_id=includes.account_id,
        at=_when(payload, includes.hearing),
        source=includes.hearing.source,
        missing=missing,
        undecoded=includes.undecoded,
        kind=kind,
        subject_id=subject_id or _digest(data.get("payload", data)),
        actor_id=actor_id,
        raw=data,
        **own,
    )


def _about(kind: str, payload: Fields, account_id: str, direction: object) -> tuple[str, str]:
    """Return an event's subject and its actor; "" if the payload does not name them."""
    actor_id = payload.id(*_ACTORS) or ""
    for name in _ACTOR_OBJECTS:
        actor_id = actor_id or payload.inner(name).id("id") or ""
    if kind.startswith("like."):
        if direction == "outbound":
            actor_id = account_id
        # X does not name who liked a post of ours; then only the like's own id tells two apart.
        liked = payload.id("liked_tweet_id", "liked_post_id") if actor_id else None
        return liked or payload.id("id") or "", actor_id
    if not actor_id and kind.startswith(_OWN_DOING):
        actor_id = account_id
    return payload.inner("target").id("id") or payload.id(*_SUBJECTS) or "", actor_id


def _when(payload: Fields, hearing: Hearing) -> datetime:
    told = payload.probe()
    for name in _MOMENTS:
        moment = told.moment(name)
        if moment is not None:
            return moment
    return hearing.now or snowflake_time(told.id("message_id", "id") or "") or EPOCH


def _unknown(raw: Any, hearing: Hearing) -> UnknownEvent:
    """Return the event for a value that is not an object."""
    return UnknownEvent(
        account_id=hearing.account_id,
        at=hearing.now or EPOCH,
        source=hearing.source,
        kind=_UNKNOWN,
        subject_id=_digest(raw),
        raw=raw,
    )


def _each_user(payload: Fields) -> Iterable[Fields]:
    """Return the users of a v1 payload: an object by id, or a list."""
    users = payload.raw("users")
    if is_object(users):
        return [payload.inner("users").inner(user_id) for user_id in users]
    return payload.objects("users")


def _has_messages(payload: Fields) -> bool:
    return "direct_message_events" in payload or "message_create" in payload


def _is_listed_message(data: Mapping[str, Any]) -> bool:
    """Return True for a direct message of a read: its `event_type` is not an envelope's."""
    kind = data.get("event_type")
    return kind == "MessageCreate" or (kind is None and "dm_conversation_id" in data)


def _named(data: Mapping[str, Any]) -> str:
    """Return a name for an object without a kind: that of the only object or list in it."""
    parts = [name for name, value in data.items() if isinstance(value, list | dict)]
    return parts[0] if len(parts) == 1 and "payload" not in data else _UNKNOWN


def _digest(raw: Any) -> str:
    """Return a short hash for a value without an id, so that two different ones stay two."""
    canonical = msgspec.json.encode(raw, order="deterministic")
    return "sha256-" + hashlib.sha256(canonical).hexdigest()[:16]
