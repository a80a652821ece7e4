"""The Activity API's events: bytes in, typed events out, whatever X sends.

`decode_line` is the fast way for one line of the stream or one webhook body. What else the room
offers about events is to be had here too.

Source: x-platform.md 19.3; performance, row A1: only what is used is decoded, in one pass.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Struct

from botkit.errors import MalformedAnswer
from botkit.model.posts import MentionEntity, Post
from botkit.model.users import User
from botkit.protocol.envelopes import POST_KINDS, Hearing, events_of, told_by_kind
from botkit.protocol.event_codec import decode_event, describe, encode_event
from botkit.protocol.objects import label_seen, note_range
from botkit.protocol.post_events import (
    classify,
    event_from_post,
    events_of_page,
    mentions_account,
)
from botkit.protocol.wire import parse_json

if TYPE_CHECKING:
    from botkit.model.events import PostEvent, XEvent

__all__ = [
    "Hearing",
    "classify",
    "decode_event",
    "decode_events",
    "decode_line",
    "describe",
    "encode_event",
    "event_from_post",
    "events_of_page",
    "mentions_account",
]

_USUAL: Final = Hearing()


_Id = Annotated[str, msgspec.Meta(min_length=1)]


class _Link(Struct, gc=False):
    expanded_url: str | None = None
    url: str | None = None


class _Entities(Struct, gc=False):
    mentions: tuple[MentionEntity, ...] | None = None
    urls: list[_Link] | None = None


class _Reference(Struct, gc=False):
    type: str
    id: _Id


class _Note(Struct, gc=False):
    text: str | None = None
    entities: _Entities | None = None


class _Attachments(Struct, gc=False):
    media_keys: list[str] | None = None


class _Payload(Struct, gc=False):
    """A post as the wire has it: the fields that are used, in both spellings."""

    id: _Id
    text: str
    author_id: _Id
    conversation_id: _Id | None = None
    created_at: datetime | None = None
    lang: str | None = None
    in_reply_to_tweet_id: _Id | None = None
    in_reply_to_post_id: _Id | None = None
    in_reply_to_user_id: _Id | None = None
    referenced_tweets: list[_Reference] | None = None
    referenced_posts: list[_Reference] | None = None
    entities: _Entities | None = None
    display_text_range: tuple[int, int] | None = None
    edit_history_tweet_ids: tuple[_Id, ...] | None = None
    edit_history_post_ids: tuple[_Id, ...] | None = None
    note_tweet: _Note | None = None
    note_post: _Note | None = None
    reply_settings: str | None = None
    attachments: _Attachments | None = None
    author: msgspec.Raw | None = None
    user: msgspec.Raw | None = None


class _Affiliation(Struct, gc=False):
    description: str | None = None
    badge_url: str | None = None


class _User(Struct, gc=False):
    id: _Id
    username: _Id
    name: str | None = None
    description: str | None = None
    protected: bool | None = None
    affiliation: _Affiliation | None = None


class _Included(Struct, gc=False):
    id: _Id
    author_id: _Id | None = None


class _Includes(Struct, gc=False):
    users: list[_User] | None = None
    tweets: list[_Included] | None = None
    posts: list[_Included] | None = None


class _Filter(Struct, gc=False):
    user_id: _Id


class _Envelope(Struct, gc=False):
    event_type: str
    filter: _Filter
    payload: _Payload
    includes: _Includes | None = None


class _Line(Struct, gc=False):
    data: _Envelope
    includes: msgspec.Raw | None = None


_decoder: Final = msgspec.json.Decoder(_Line)
_NO_ENTITIES: Final = _Entities()


def decode_line(line: bytes, *, hearing: Hearing = _USUAL) -> XEvent:
    """The event of one line of the stream, or of one webhook body.

    Never raises for anything that is JSON: a part that cannot be read is kept in the event's
    `undecoded`, an event of another kind is an `UnknownEvent`. A line that brings several events
    (an envelope with several messages) gives the first; `decode_events` gives them all.

    Raises:
        StreamClosed: It is no event but X's announcement that the stream ends.
        MalformedAnswer: It is no JSON, or nested beyond measure.
    """
    event = _fast(line, hearing)
    return decode_events(line, hearing=hearing)[0] if event is None else event


def decode_events(line: bytes, *, hearing: Hearing = _USUAL) -> list[XEvent]:
    """All events of one line, or of one answer that lists posts or messages.

    Raises:
        StreamClosed: It is no event but X's announcement that the stream ends.
        MalformedAnswer: It is no JSON, or nested beyond measure.
    """
    event = _fast(line, hearing)
    if event is not None:
        return [event]
    try:
        value = parse_json(line)
    except ValueError as error:
        raise MalformedAnswer(f"X sent a line that is no JSON: {error}.", status=200) from error
    return events_of(value, hearing)


def _fast(line: bytes, hearing: Hearing) -> PostEvent | None:
    """The event of an ordinary envelope with a post; None when it takes the thorough way."""
    try:
        wire = _decoder.decode(line)
    except (ValueError, RecursionError):
        return None
    data = wire.data
    payload = data.payload
    if data.event_type not in POST_KINDS or wire.includes is not None:
        return None
    post = _post(payload, data.includes)
    if post is None:
        return None
    if post.quoted_post_id is not None and post.quoted_user_id is None:
        post = told_by_kind(data.event_type, post, data.filter.user_id)
    author: User | None = None
    username = ""
    if data.includes is not None and data.includes.users:
        author_id, account_id = payload.author_id, data.filter.user_id
        for user in data.includes.users:
            if user.id == author_id:
                author = _user(user)
            if user.id == account_id:
                username = user.username
    if author is None and (payload.author or payload.user) is not None:
        return None
    account_id = data.filter.user_id
    return event_from_post(
        post,
        account_id=account_id,
        source=hearing.source,
        author=author,
        username=hearing.usernames.get(account_id, username),
    )


def _post(wire: _Payload, includes: _Includes | None) -> Post | None:
    """The post; None for one that the thorough way has to read."""
    created_at = wire.created_at
    if created_at is not None and created_at.tzinfo is not UTC:
        return None
    text, span = wire.text, wire.display_text_range
    if span is not None and not 0 <= span[0] <= span[1]:
        return None
    entities = wire.entities or _NO_ENTITIES
    note = wire.note_tweet or wire.note_post
    if note is not None and note.text:
        entities = note.entities or entities
        if span is not None:
            span = note_range(text, note.text, span[0])
        text = note.text
    mentions = entities.mentions or ()
    for mention in mentions:
        if not (mention.id and mention.username and mention.end):
            return None
    answered = quoted = reposted = None
    for reference in wire.referenced_tweets or wire.referenced_posts or ():
        if reference.type == "replied_to":
            answered = answered or reference.id
        elif reference.type == "quoted":
            quoted = quoted or reference.id
        elif reference.type in {"retweeted", "reposted"}:
            reposted = reposted or reference.id
    answered = wire.in_reply_to_tweet_id or wire.in_reply_to_post_id or answered
    if answered is not None and wire.in_reply_to_user_id is None:
        return None
    attachments = wire.attachments
    return Post(
        id=wire.id,
        text=text,
        author_id=wire.author_id,
        conversation_id=wire.conversation_id,
        created_at=created_at,
        lang=wire.lang,
        in_reply_to_post_id=answered,
        in_reply_to_user_id=wire.in_reply_to_user_id,
        quoted_post_id=quoted,
        quoted_user_id=None if quoted is None else _author_of(quoted, includes),
        reposted_post_id=reposted,
        mentions=mentions,
        links=tuple([one.expanded_url or one.url or "" for one in entities.urls])
        if entities.urls
        else (),
        display_text_range=span,
        edit_history=wire.edit_history_tweet_ids or wire.edit_history_post_ids or (),
        reply_settings=wire.reply_settings,
        media_count=0 if attachments is None else len(attachments.media_keys or ()),
    )


def _user(wire: _User) -> User:
    affiliation = wire.affiliation
    return User(
        id=wire.id,
        username=wire.username,
        name=wire.name or "",
        description=wire.description,
        protected=wire.protected,
        automated=None
        if affiliation is None
        else label_seen(affiliation.description, affiliation.badge_url),
    )


def _author_of(post_id: str, includes: _Includes | None) -> str | None:
    if includes is None:
        return None
    found = [post for post in includes.tweets or includes.posts or () if post.id == post_id]
    return found[-1].author_id if found else None
