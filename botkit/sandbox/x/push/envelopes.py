"""Turns the actions of users into activity events, in envelopes like those of X's samples.

Source: X API docs, "Event payloads": each integer has a second field `*_str`, mention and post
events contain users, reply and quote events contain none.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, cast

from botkit.sandbox.x.objects import (
    ALL_POST_FIELDS,
    ALL_USER_FIELDS,
    escaped,
    post_json,
    timestamp,
    user_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from botkit.sandbox.world.world import Happening, MessageRecord, PostRecord, World
    from botkit.sandbox.x.push.subscriptions import StoredSubscription

__all__ = ["EVENT_TYPES", "PRIVATE_SCOPES", "envelopes_of"]

PRIVATE_SCOPES: Mapping[str, str] = {
    "post.mention.create": "tweet.read",
    "post.reply.create": "tweet.read",
    "post.quote.create": "tweet.read",
    "post.repost.create": "tweet.read",
    "like.create": "like.read",
    "dm.received": "dm.read",
    "dm.sent": "dm.read",
    "dm.read": "dm.read",
    "dm.indicate_typing": "dm.read",
    "chat.received": "dm.read",
    "chat.sent": "dm.read",
    "mute.mute": "mute.read",
    "mute.unmute": "mute.read",
    "block.block": "block.read",
    "block.unblock": "block.read",
    "broadcast.chat": "broadcast.read",
}
"""The kinds that only the user's own token may subscribe to, with the scope that they need."""

EVENT_TYPES = frozenset(
    {
        *PRIVATE_SCOPES,
        "post.create",
        "post.delete",
        "follow.follow",
        "follow.unfollow",
        "profile.update.bio",
        "profile.update.profile_picture",
        "profile.update.banner_picture",
        "profile.update.screenname",
        "profile.update.handle",
        "profile.update.geo",
        "profile.update.url",
        "profile.update.verified_badge",
        "profile.update.affiliate_badge",
        "spaces.start",
        "spaces.end",
        "broadcast.start",
        "broadcast.end",
        "oauth.revoke",
    }
)
"""The event kinds that an app can subscribe to here."""


def envelopes_of(
    world: World, happening: Happening, subscription: StoredSubscription
) -> Iterator[dict[str, Any]]:
    """Yield the envelope, if any, that the subscription gets for an action."""
    make = _MAKERS.get(happening.kind)
    if make is None:
        return
    found = make(world, happening, subscription)
    if found is None:
        return
    envelope: dict[str, Any] = {
        "event_uuid": _event_uuid(world),
        "filter": subscription.filter,
        "event_type": subscription.event_type,
    }
    if subscription.tag:
        envelope["tag"] = subscription.tag
    yield {"data": envelope | found}


def _of_post(world: World, happening: Happening, sub: StoredSubscription) -> dict[str, Any] | None:
    post = happening.post
    user_id = sub.filter.get("user_id", "")
    if post is None or not _concerns(world, post, sub.event_type, user_id):
        return None
    payload = _doubled(post_json(world, post, ALL_POST_FIELDS))
    if post.reply_to_id:
        payload["in_reply_to_tweet_id"] = post.reply_to_id
    if sub.event_type in {"post.reply.create", "post.quote.create", "post.repost.create"}:
        return {"payload": payload, "includes": {}}
    user_ids = dict.fromkeys([post.author_id, *(name.user_id for name in post.names)])
    users = [_user(world, one) for one in user_ids]
    return {"payload": payload, "includes": {"users": users, "tweets": [payload]}}


def _concerns(world: World, post: PostRecord, event_type: str, user_id: str) -> bool:
    if world.users[post.author_id].protected:
        return False
    if event_type == "post.create" or post.author_id == user_id:
        return event_type == "post.create" and post.author_id == user_id
    if event_type == "post.repost.create":
        return post.reposted_user_id == user_id
    if event_type == "post.mention.create":
        return not post.reposted_id and post.mentions(user_id, explicit=True)
    if event_type == "post.reply.create":
        return post.reply_to_user_id == user_id and _answers_a_head(world, post)
    return event_type == "post.quote.create" and post.quoted_user_id == user_id


def _answers_a_head(world: World, post: PostRecord) -> bool:
    # "Does not fire for replies to replies", read literally.
    if world.rules.replies_to_replies or post.reply_to_id is None:
        return True
    return world.posts[post.reply_to_id].reply_to_id is None


def _of_delete(
    world: World, happening: Happening, sub: StoredSubscription
) -> dict[str, Any] | None:
    post = happening.post
    if post is None or sub.event_type != "post.delete":
        return None
    if post.author_id != sub.filter.get("user_id"):
        return None
    author = {"data": _user(world, post.author_id)}
    payload = {"id": post.id, "author_id": post.author_id}
    return {"payload": payload, "includes": {"users": [author]}}


def _of_like(world: World, happening: Happening, sub: StoredSubscription) -> dict[str, Any] | None:
    post = happening.post
    if post is None or sub.event_type != "like.create":
        return None
    ends = {"outbound": happening.actor_id, "inbound": post.author_id}
    direction = sub.filter.get("direction")
    # Without a direction X's page promises both.
    hearers = {ends[direction]} if direction else set(ends.values())
    if sub.filter.get("user_id") not in hearers:
        return None
    now = world.time_on_x()
    payload = {
        "id": hashlib.sha256(f"{happening.actor_id} {post.id}".encode()).hexdigest()[:32],
        "created_at": timestamp(now.replace(microsecond=0)),
        "timestamp_ms": str(int(now.timestamp() * 1000)),
        "liked_tweet_author_id": post.author_id,
        "liked_tweet_id": post.id,
    }
    tweets = [_doubled(post_json(world, post, ALL_POST_FIELDS))]
    return {
        "payload": payload,
        "includes": {"users": [_user(world, post.author_id)], "tweets": tweets},
    }


def _of_message(
    world: World, happening: Happening, sub: StoredSubscription
) -> dict[str, Any] | None:
    message = happening.message
    if message is None:
        return None
    hearer = {"dm.received": message.recipient_id, "dm.sent": message.sender_id}
    if hearer.get(sub.event_type) != sub.filter.get("user_id", "-"):
        return None
    users = {one: {"data": _user(world, one)} for one in (message.sender_id, message.recipient_id)}
    return {"payload": {"direct_message_events": [_v1_message(message)], "users": users}}


def _v1_message(message: MessageRecord) -> dict[str, Any]:
    entities: dict[str, list[Any]] = {
        "hashtags": [],
        "symbols": [],
        "user_mentions": [],
        "urls": [],
    }
    return {
        "type": "message_create",
        "id": message.id,
        "created_timestamp": str(int(message.created_at.timestamp() * 1000)),
        "message_create": {
            "target": {"recipient_id": message.recipient_id},
            "sender_id": message.sender_id,
            "message_data": {"text": escaped(message.text), "entities": entities},
        },
    }


def _of_follow(
    world: World, happening: Happening, sub: StoredSubscription
) -> dict[str, Any] | None:
    if sub.event_type != f"follow.{happening.kind}":
        return None
    if sub.filter.get("user_id") not in {happening.actor_id, happening.target_id}:
        return None
    ends = {"source": happening.actor_id, "target": happening.target_id}
    return {"payload": {end: {"data": _user(world, one)} for end, one in ends.items()}}


def _of_revoke(
    world: World, happening: Happening, sub: StoredSubscription
) -> dict[str, Any] | None:
    if sub.event_type != "oauth.revoke" or sub.app_id != happening.app_id:
        return None
    return {
        "payload": {
            "date_time": world.clock.now().replace(microsecond=0).isoformat(),
            "user_id": happening.actor_id,
            "app_id": happening.app_id,
        }
    }


_MAKERS: Mapping[str, Callable[[World, Happening, StoredSubscription], dict[str, Any] | None]] = {
    "post": _of_post,
    "delete": _of_delete,
    "like": _of_like,
    "message": _of_message,
    "follow": _of_follow,
    "unfollow": _of_follow,
    "revoke": _of_revoke,
}


def _user(world: World, user_id: str) -> dict[str, Any]:
    shown = user_json(world, world.users[user_id], ALL_USER_FIELDS)
    # X's samples have the older name, and X's own client requires the newer one.
    shown["public_metrics"]["post_count"] = shown["public_metrics"]["tweet_count"]
    return _doubled(shown)


def _event_uuid(world: World) -> str:
    # A signed 64-bit number as text: X's samples show negative ones.
    return str(int.from_bytes(world.entropy.token_bytes(8), "big", signed=True))


def _doubled(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value with each integer repeated as text, as X sends it in events."""
    doubled: dict[str, Any] = {}
    for key, value in body.items():
        doubled[key] = _doubled_value(value)
        if isinstance(value, int) and not isinstance(value, bool):
            doubled[f"{key}_str"] = str(value)
    return doubled


def _doubled_value(value: Any) -> Any:
    if isinstance(value, dict):
        return _doubled(cast("dict[str, Any]", value))
    if isinstance(value, list):
        return [_doubled_value(one) for one in cast("Sequence[Any]", value)]
    return value
