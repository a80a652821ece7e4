"""Read posts, users, messages and subscriptions from X's JSON, in every spelling that X uses.

`read_post`, `read_user` and `read_message` take one decoded object; the plural forms take an
answer and return all its objects. An object without an id does not count; any other field may be
missing.

Source: X's OpenAPI documents 2.166 and 2.167; X API docs, "Data dictionary" and "Direct Messages".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct

from botkit.errors import MalformedAnswer
from botkit.model.messages import Message
from botkit.model.posts import MentionEntity, Post
from botkit.model.users import User
from botkit.protocol.api.json_fields import Fields
from botkit.protocol.api.json_values import is_list, is_object, unwrap
from botkit.protocol.text.escapes import decoded_post, decoded_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from botkit.protocol.api.responses import Response

__all__ = [
    "PostPage",
    "RegisteredWebhook",
    "Subscription",
    "conversation_of",
    "label_seen",
    "message_of",
    "post_of",
    "read_message",
    "read_messages",
    "read_post",
    "read_posts",
    "read_subscriptions",
    "read_user",
    "read_users",
    "read_webhook",
    "read_webhooks",
    "user_of",
    "users_by_id",
]

_T = TypeVar("_T")

_LABEL_BADGE = "1428827730364096519"
"""The badge of the automated-account label. Source: X API docs, "Event payloads"."""

_REPLIED_TO = frozenset({"replied_to"})
_QUOTED = frozenset({"quoted"})
_REPOSTED = frozenset({"retweeted", "reposted"})


class PostPage(Struct, frozen=True, kw_only=True, gc=False):
    """The posts of one answer, newest first as X sent them.

    `users` and `included` are the expanded objects by id. `newest_id` is X's own word for it,
    None for an empty page; `next_token` is None on the last page. `skipped` counts items of the
    answer that are not posts.
    """

    posts: tuple[Post, ...] = ()
    users: dict[str, User] = {}
    included: dict[str, Post] = {}
    newest_id: str | None = None
    next_token: str | None = None
    skipped: int = 0


class Subscription(Struct, frozen=True, kw_only=True, gc=False):
    """A subscription to activity events, as X lists it."""

    id: str
    event_type: str
    user_id: str | None = None
    tag: str = ""
    webhook_id: str | None = None


class RegisteredWebhook(Struct, frozen=True, kw_only=True, gc=False):
    """A webhook of the app, as X lists it; an invalid one gets no events."""

    id: str
    url: str
    valid: bool = False


def read_post(wire: Mapping[str, Any]) -> Post:
    """Return one post.

    Raises:
        MalformedAnswer: It has no id.
    """
    return _needed(post_of(Fields(wire)), "post")


def read_user(wire: Mapping[str, Any]) -> User:
    """Return one user.

    Raises:
        MalformedAnswer: It has no id.
    """
    return _needed(user_of(Fields(wire)), "user")


def read_message(wire: Mapping[str, Any]) -> Message:
    """Return a direct message: a v2 event, X's answer to a sent one, or the v1 shape of events.

    Raises:
        MalformedAnswer: It has no id.
    """
    return _needed(message_of(Fields(wire)), "message")


def read_posts(response: Response) -> PostPage:
    """Return the posts of an answer, with the objects that it included."""
    posts: list[Post] = []
    skipped = 0
    for item in _items(response.data):
        post = post_of(Fields(item))
        if post is None:
            skipped += 1
        else:
            posts.append(post)
    includes, meta = Fields(response.includes), Fields(response.meta)
    included = (post_of(item) for item in includes.objects("tweets", "posts"))
    return PostPage(
        posts=tuple(posts),
        users=users_by_id(includes.objects("users")),
        included={post.id: post for post in included if post is not None},
        newest_id=meta.id("newest_id"),
        next_token=meta.id("next_token"),
        skipped=skipped,
    )


def read_users(response: Response) -> tuple[User, ...]:
    """Return the users of an answer that have an id and a username, in X's order."""
    found = (user_of(Fields(item)) for item in _items(response.data))
    return tuple(user for user in found if user is not None and user.username)


def read_messages(response: Response) -> tuple[Message, ...]:
    """Return the direct messages of an answer, without joins and leaves of groups."""
    found = (
        message_of(Fields(item)) for item in _items(response.data) if not _is_coming_or_going(item)
    )
    return tuple(message for message in found if message is not None)


def read_subscriptions(response: Response) -> tuple[Subscription, ...]:
    """Return an answer's subscriptions: X sends a list, an object, or `data.subscription`."""
    found: list[Subscription] = []
    for item in _items(response.data):
        fields = Fields(item)
        for name in ("subscription", "subscriptions"):
            found.extend(_subscriptions(fields.objects(name)))
        found.extend(_subscriptions([fields]))
    return tuple(found)


def read_webhooks(response: Response) -> tuple[RegisteredWebhook, ...]:
    """Return the webhooks of an answer, which holds a list or the one that was made."""
    return tuple(
        RegisteredWebhook(
            id=webhook_id, url=fields.text("url") or "", valid=fields.flag("valid") is True
        )
        for fields in map(Fields, _items(response.data))
        if (webhook_id := fields.id("id")) is not None
    )


def read_webhook(response: Response) -> RegisteredWebhook:
    """Return the one webhook of an answer.

    Raises:
        MalformedAnswer: There is none.
    """
    return _needed(next(iter(read_webhooks(response)), None), "webhook")


def post_of(fields: Fields) -> Post | None:
    """Return the post in an object's fields; None if it has no id."""
    post_id = fields.id("id", "id_str")
    if post_id is None:
        return None
    note = fields.inner("note_tweet", "note_post")
    short, long = fields.text("text") or "", note.text("text")
    entities = fields.inner("entities")
    if long and note.raw("entities") is not None:
        entities = note.inner("entities")
    span = _span(fields)
    if long and span is not None:
        span = note_range(short, long, span[0])
    references = fields.objects("referenced_tweets", "referenced_posts")
    links = list(_links(entities))
    spans = tuple((start, end) for _, start, end in links if start is not None and end is not None)
    post = Post(
        id=post_id,
        text=long or short,
        author_id=fields.id("author_id"),
        conversation_id=fields.id("conversation_id"),
        created_at=fields.moment("created_at"),
        lang=fields.text("lang"),
        in_reply_to_post_id=fields.id("in_reply_to_tweet_id", "in_reply_to_post_id")
        or _referenced(references, _REPLIED_TO),
        in_reply_to_user_id=fields.id("in_reply_to_user_id"),
        quoted_post_id=_referenced(references, _QUOTED),
        reposted_post_id=_referenced(references, _REPOSTED),
        mentions=tuple(_mentions(entities)),
        links=tuple(link for link, _, _ in links),
        link_spans=spans if len(spans) == len(links) else (),
        display_text_range=span,
        edit_history=tuple(_ids(fields, "edit_history_tweet_ids", "edit_history_post_ids")),
        reply_settings=fields.text("reply_settings"),
        media_count=len(fields.inner("attachments").items("media_keys")),
    )
    return decoded_post(post)


def note_range(short: str, long: str, start: int) -> tuple[int, int]:
    """Return the range of a long post's full text that people see.

    X counts the range in the short text. The full text of a reply starts with the same hidden
    names, if it has them at all.
    """
    return (start if long.startswith(short[:start]) else 0, len(long))


def user_of(fields: Fields) -> User | None:
    """Return the user in an object's fields; None if it has no id."""
    user_id = fields.id("id", "id_str")
    if user_id is None:
        return None
    affiliation = fields.inner("affiliation")
    label, badge = affiliation.raw("description"), affiliation.raw("badge_url")
    return User(
        id=user_id,
        username=fields.text("username", "screen_name") or "",
        name=fields.text("name") or "",
        description=fields.text("description"),
        protected=fields.flag("protected"),
        automated=label_seen(label, badge),
    )


def label_seen(description: object, badge_url: object) -> bool | None:
    """Return True if an affiliation is the automated-account label; None if there is none.

    Source: docs/explanation/x-facts.md, 6.4; X documents no field for it.
    """
    if description is None and badge_url is None:
        return None
    if isinstance(description, str) and description.casefold() == "automated":
        return True
    return isinstance(badge_url, str) and _LABEL_BADGE in badge_url


def users_by_id(items: Iterable[Fields]) -> dict[str, User]:
    """Return the users among these objects, by id."""
    found = (user_of(item) for item in items)
    return {user.id: user for user in found if user is not None}


def message_of(fields: Fields) -> Message | None:
    """Return the direct message in an object's fields, v1 or v2; None if it has no id."""
    message_id = fields.id("id", "dm_event_id", "id_str")
    if message_id is None:
        return None
    created = fields.inner("message_create")
    content = created.inner("message_data") if created else fields
    sender_id = fields.id("sender_id") or created.id("sender_id")
    target = created.inner("target")
    peer_id = target.id("recipient_id")
    conversation_id = fields.id("dm_conversation_id", "conversation_id") or target.id(
        "conversation_id"
    )
    return Message(
        id=message_id,
        conversation_id=conversation_id or conversation_of(sender_id, peer_id),
        text=decoded_text(content.text("text") or ""),
        sender_id=sender_id,
        created_at=fields.moment("created_at", "created_timestamp"),
        media=tuple(_media(content)),
    )


def conversation_of(one: str | None, other: str | None) -> str:
    """Return the id of two users' conversation: `<smaller id>-<larger id>`, as numbers.

    Source: X API docs, "Manage Direct Messages".
    """
    ids = [an_id for an_id in (one, other) if an_id]
    return "-".join(sorted(ids, key=lambda an_id: (len(an_id), an_id)))


def _mentions(entities: Fields) -> Iterable[MentionEntity]:
    for item in entities.objects("mentions"):
        username = item.text("username")
        if username:
            yield MentionEntity(
                username=username,
                start=item.number("start") or 0,
                end=item.number("end") or 0,
                id=item.id("id"),
            )


def _links(entities: Fields) -> Iterable[tuple[str, int | None, int | None]]:
    """Yield each link with its position in the text."""
    for item in entities.objects("urls"):
        link = item.text("expanded_url") or item.text("url")
        if link:
            yield link, item.number("start"), item.number("end")


def _media(content: Fields) -> Iterable[str]:
    yield from _ids(content.inner("attachments"), "media_keys", "media_ids")
    media_id = content.inner("attachment").inner("media").id("id")
    if media_id is not None:
        yield media_id


def _ids(fields: Fields, *names: str) -> Iterable[str]:
    for item in fields.items(*names):
        if isinstance(item, str) and item:
            yield item
        elif isinstance(item, int) and not isinstance(item, bool):
            yield str(item)
        elif item is not None:
            fields.refuse(names[0], fields.raw(*names))


def _referenced(references: Iterable[Fields], kinds: frozenset[str]) -> str | None:
    for reference in references:
        if reference.text("type") in kinds:
            return reference.id("id")
    return None


def _span(fields: Fields) -> tuple[int, int] | None:
    value = fields.raw("display_text_range")
    if value is None:
        return None
    if is_list(value) and [type(number) for number in value] == [int, int]:
        start, end = value
        if 0 <= start <= end:
            return (start, end)
    fields.refuse("display_text_range", value)
    return None


def _subscriptions(items: Iterable[Fields]) -> Iterable[Subscription]:
    for item in items:
        subscription_id = item.id("subscription_id", "id")
        if subscription_id is not None:
            yield Subscription(
                id=subscription_id,
                event_type=item.text("event_type") or "",
                user_id=item.inner("filter").id("user_id"),
                tag=item.text("tag") or "",
                webhook_id=item.id("webhook_id"),
            )


def _is_coming_or_going(item: object) -> bool:
    return Fields(item).text("event_type") in {"ParticipantsJoin", "ParticipantsLeave"}


def _items(data: object) -> list[Any]:
    data = unwrap(data)
    if is_list(data):
        return data
    return [data] if is_object(data) else []


def _needed(value: _T | None, what: str) -> _T:
    if value is None:
        raise MalformedAnswer(f"X sent a {what} without an id.", status=200)
    return value
