"""Build users, posts and messages as X's JSON, with the requested fields and expansions.

The answer uses the names that the request uses: a request with `post.fields` gets the names of
X's OpenAPI document 2.167 (`post_spelling`), any other those of 2.166. Ids and texts are always
included.

Source: both documents; X API docs, "Data dictionary"; which spelling X answers in, as a program
that asked X on 2026-08-23 wrote it down (github.com/usadamasa/twigpui, x-api-endpoints).
"""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any, cast

from botkit.sandbox.wire.exchange import as_object, encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from botkit.sandbox.wire.exchange import Call
    from botkit.sandbox.world.lists import ListRecord
    from botkit.sandbox.world.world import MessageRecord, PostRecord, UserRecord, World

__all__ = [
    "ALL_POST_FIELDS",
    "ALL_USER_FIELDS",
    "Wanted",
    "escaped",
    "list_json",
    "message_json",
    "post_json",
    "post_spelling",
    "posts_body",
    "timestamp",
    "user_json",
]

_AUTOMATED = {
    "badge_url": "https://pbs.twimg.com/semantic_core_img/1428827730364096519/4ZXpTBhS"
    "?format=png&name=orig",
    "description": "Automated",
}

_EDITABLE = timedelta(hours=1)
"""The time for which a post can be edited. Source: X's sample of `post.mention.create`."""

_NEWER = {
    "edit_history_tweet_ids": "edit_history_post_ids",
    "referenced_tweets": "referenced_posts",
    "retweet_count": "repost_count",
    "tweet_count": "post_count",
    "tweets": "posts",
}
_OLDER = {newer: older for older, newer in _NEWER.items()}

ALL_POST_FIELDS = frozenset(
    {
        "attachments",
        "author_id",
        "conversation_id",
        "created_at",
        "display_text_range",
        "edit_controls",
        "entities",
        "in_reply_to_user_id",
        "lang",
        "paid_partnership",
        "possibly_sensitive",
        "public_metrics",
        "referenced_tweets",
        "reply_settings",
    }
)
ALL_USER_FIELDS = frozenset(
    {
        "affiliation",
        "created_at",
        "description",
        "protected",
        "public_metrics",
        "verified",
        "verified_type",
    }
)


class Wanted:
    """The fields and expansions that a call asks for."""

    def __init__(self, call: Call) -> None:
        self.post_fields: frozenset[str] = _listed(call, "tweet.fields", "post.fields")
        self.user_fields: frozenset[str] = _listed(call, "user.fields")
        self.message_fields: frozenset[str] = _listed(call, "dm_event.fields")
        self.list_fields: frozenset[str] = _listed(call, "list.fields")
        expansions = _listed(call, "expansions")
        if "referenced_tweets" in expansions:
            expansions |= {"referenced_tweets.id"}
        self.expansions: frozenset[str] = expansions


def timestamp(at: datetime) -> str:
    """Return a time as X writes it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def escaped(text: str) -> str:
    """Return a text as X sends it. Source: Twitter4J issue 349."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def post_spelling(body: bytes) -> bytes:
    """Return an answer with its names changed from the older spelling to the newer one."""
    return encode(_renamed(as_object(body)))


def _renamed(value: Any) -> Any:
    if isinstance(value, dict):
        parts = cast("dict[str, Any]", value)
        return {_NEWER.get(name, name): _renamed(part) for name, part in parts.items()}
    if isinstance(value, list):
        return [_renamed(part) for part in cast("Sequence[Any]", value)]
    return value


def user_json(world: World, user: UserRecord, fields: Iterable[str] = ()) -> dict[str, Any]:
    """Return a user as JSON."""
    asked = set(fields)
    whole: dict[str, Any] = {
        "created_at": timestamp(user.created_at),
        "description": user.description,
        "protected": user.protected,
        "verified": user.verified,
        "verified_type": "none",
    }
    if "public_metrics" in asked:
        whole["public_metrics"] = {
            "followers_count": len(user.followers),
            "following_count": len(user.following),
            "tweet_count": world.count("posts", user.id),
            "listed_count": sum(user.id in one.members for one in world.lists.all()),
            "like_count": len(user.liked),
        }
    if user.automated:
        whole["affiliation"] = dict(_AUTOMATED)
    body: dict[str, Any] = {"id": user.id, "name": user.name, "username": user.username}
    return body | {name: whole[name] for name in sorted(asked & whole.keys())}


def list_json(one: ListRecord, fields: Iterable[str] = ()) -> dict[str, Any]:
    """Return a list of users as JSON."""
    asked = set(fields)
    whole: dict[str, Any] = {
        "created_at": timestamp(one.created_at),
        "description": one.description,
        "follower_count": len(one.followers),
        "member_count": len(one.members),
        "owner_id": one.owner_id,
        "private": one.private,
    }
    body: dict[str, Any] = {"id": one.id, "name": one.name}
    return body | {name: whole[name] for name in sorted(asked & whole.keys())}


def post_json(world: World, post: PostRecord, fields: Iterable[str] = ()) -> dict[str, Any]:
    """Return a post as JSON."""
    asked = set(fields)
    whole: dict[str, Any] = {
        "author_id": post.author_id,
        "conversation_id": post.conversation_id,
        "created_at": timestamp(post.created_at),
        "display_text_range": [
            _position(post, post.display_start),
            _position(post, len(post.text)),
        ],
        "edit_controls": {
            "edits_remaining": 5,
            "is_edit_eligible": not post.reply_to_id,
            "editable_until": timestamp(post.created_at + _EDITABLE),
        },
        "lang": post.lang,
        "possibly_sensitive": False,
        "reply_settings": post.reply_settings,
        "paid_partnership": post.paid_partnership,
    }
    if "public_metrics" in asked:
        whole["public_metrics"] = {
            "retweet_count": world.count("reposts", post.id),
            "reply_count": world.count("replies", post.id),
            "like_count": len(post.likes),
            "quote_count": world.count("quotes", post.id),
            "bookmark_count": 0,
            "impression_count": 0,
        }
    whole |= _parts_of_some(post)
    body: dict[str, Any] = {
        "id": post.id,
        "text": escaped(post.text),
        "edit_history_tweet_ids": [post.id],
    }
    return body | {name: whole[name] for name in sorted(asked & whole.keys())}


def _parts_of_some(post: PostRecord) -> dict[str, Any]:
    """Return the fields that only some posts have."""
    parts: dict[str, Any] = {}
    if post.media:
        parts["attachments"] = {"media_keys": [one["media_key"] for one in _media(post)]}
    if entities := _entities(post):
        parts["entities"] = entities
    if post.reply_to_user_id:
        parts["in_reply_to_user_id"] = post.reply_to_user_id
    if references := _references(post):
        parts["referenced_tweets"] = references
    return parts


def message_json(message: MessageRecord, fields: Iterable[str] = ()) -> dict[str, Any]:
    """Return a direct message as an event of its conversation."""
    asked = set(fields)
    whole = {
        "created_at": timestamp(message.created_at),
        "dm_conversation_id": message.conversation_id,
        "sender_id": message.sender_id,
    }
    body: dict[str, Any] = {"event_type": "MessageCreate", "id": message.id}
    body["text"] = escaped(message.text)
    return body | {name: whole[name] for name in sorted(asked & whole.keys())}


def posts_body(
    world: World, posts: Sequence[PostRecord], wanted: Wanted, *, single: bool = False
) -> dict[str, Any]:
    """Return `data` and `includes` of an answer with posts."""
    fields = set(wanted.post_fields)
    if "author_id" in wanted.expansions:
        fields.add("author_id")
    if "referenced_tweets.id" in wanted.expansions:
        fields.add("referenced_tweets")
    if "in_reply_to_user_id" in wanted.expansions:
        fields.add("in_reply_to_user_id")
    if "attachments.media_keys" in wanted.expansions:
        fields.add("attachments")
    body: dict[str, Any] = {}
    if posts:
        listed = [post_json(world, post, fields) for post in posts]
        body["data"] = listed[0] if single else listed
    includes = _includes(world, posts, wanted, fields)
    if includes:
        body["includes"] = includes
    return body


def _includes(
    world: World, posts: Sequence[PostRecord], wanted: Wanted, fields: set[str]
) -> dict[str, Any]:
    referenced = _referenced(world, posts, wanted)
    user_ids: dict[str, None] = {}
    for post in posts:
        user_ids |= dict.fromkeys(_shown_users(post, wanted))
    if "referenced_tweets.id.author_id" in wanted.expansions:
        user_ids |= dict.fromkeys(post.author_id for post in referenced)
    includes: dict[str, Any] = {}
    if user_ids:
        includes["users"] = [
            user_json(world, world.users[one], wanted.user_fields) for one in user_ids
        ]
    if referenced and "referenced_tweets.id" in wanted.expansions:
        includes["tweets"] = [post_json(world, post, fields) for post in referenced]
    if "attachments.media_keys" in wanted.expansions:
        media = [one for post in posts for one in _media(post)]
        includes |= {"media": media} if media else {}
    return includes


def _referenced(world: World, posts: Sequence[PostRecord], wanted: Wanted) -> Sequence[PostRecord]:
    if not wanted.expansions & {"referenced_tweets.id", "referenced_tweets.id.author_id"}:
        return ()
    ids = [
        one
        for post in posts
        for one in (post.reply_to_id, post.quoted_id, post.reposted_id)
        if one
    ]
    return [world.posts[one] for one in dict.fromkeys(ids) if not world.posts[one].deleted]


def _shown_users(post: PostRecord, wanted: Wanted) -> Iterator[str]:
    if "author_id" in wanted.expansions:
        yield post.author_id
    if "in_reply_to_user_id" in wanted.expansions and post.reply_to_user_id:
        yield post.reply_to_user_id
    if "entities.mentions.username" in wanted.expansions:
        yield from (name.user_id for name in post.names)


def _position(post: PostRecord, position: int) -> int:
    """Return a position in the text as X sends it."""
    return len(escaped(post.text[:position]))


def _entities(post: PostRecord) -> dict[str, Any]:
    entities: dict[str, Any] = {}
    if post.names:
        entities["mentions"] = [
            {
                "start": _position(post, name.start),
                "end": _position(post, name.end),
                "username": name.username,
                "id": name.user_id,
            }
            for name in post.names
        ]
    if post.links:
        entities["urls"] = [
            {
                "start": _position(post, link.start),
                "end": _position(post, link.end),
                "url": link.url,
                "expanded_url": link.expanded_url,
                "display_url": link.expanded_url.partition("://")[2],
            }
            for link in post.links
        ]
    for name, tags in (("hashtags", post.hashtags), ("cashtags", post.cashtags)):
        if tags:
            entities[name] = [
                {
                    "start": _position(post, one.start),
                    "end": _position(post, one.end),
                    "tag": one.tag,
                }
                for one in tags
            ]
    return entities


_MEDIA_KEYS = {"photo": "3", "video": "7", "animated_gif": "16"}
"""The first part of a media key, by kind. Source: X API docs, "Data dictionary" (media)."""


def _media(post: PostRecord) -> list[dict[str, str]]:
    """Return the media of a post. A repost shows those of the post that it shows."""
    owner = int(post.reposted_id or post.id)
    return [
        {"media_key": f"{_MEDIA_KEYS[kind]}_{owner + number}", "type": kind}
        for number, kind in enumerate(post.media)
    ]


def _references(post: PostRecord) -> list[dict[str, str]]:
    references: list[dict[str, str]] = []
    if post.reply_to_id:
        references.append({"type": "replied_to", "id": post.reply_to_id})
    if post.quoted_id:
        references.append({"type": "quoted", "id": post.quoted_id})
    if post.reposted_id:
        references.append({"type": "retweeted", "id": post.reposted_id})
    return references


def _listed(call: Call, *names: str) -> frozenset[str]:
    found: set[str] = set()
    for key, value in call.query:
        if key in names:
            found |= {part.strip() for part in value.split(",") if part.strip()}
    # The newer spelling asks for the same things.
    return frozenset(_OLDER.get(name, name) for name in found)
