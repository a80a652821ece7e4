"""Decode the Activity API's events: bytes in, typed events out, whatever X sends.

`decode_line` is the fast way for one line of the stream or one webhook body. The other functions
of the room can be imported from here, too.

Source: X API docs, "Event payloads". Only the fields that are used are decoded, in one pass: see
row A1 of `make bench`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from botkit.errors import MalformedAnswer
from botkit.model.posts import MentionEntity, Post
from botkit.model.users import User
from botkit.protocol.api.json_values import parse_json
from botkit.protocol.api.objects import label_seen, note_range
from botkit.protocol.events.codec import decode_event, describe, encode_event
from botkit.protocol.events.envelopes import (
    POST_KINDS,
    Hearing,
    event_of_nothing,
    events_of,
    told_by_kind,
)
from botkit.protocol.events.post_events import (
    classify,
    event_from_post,
    events_of_page,
    mentions_account,
)
from botkit.protocol.text.escapes import decoded_post

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
    start: int | None = None
    end: int | None = None


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
    """A post on the wire: the fields that are used, in both spellings.

    The last three are of a type that fits no value: `envelopes` reads a post that has one.
    """

    id: _Id
    text: str
    author_id: _Id
    conversation_id: _Id | None = None
    created_at: datetime | None = None
    lang: str | None = None
    in_reply_to_tweet_id: _Id | None = None
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
    in_reply_to_post_id: None = None
    author: None = None
    user: None = None


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
    includes: None = None


_decoder: Final = msgspec.json.Decoder(_Line)
_NO_ENTITIES: Final = _Entities()


def decode_line(line: bytes, *, hearing: Hearing = _USUAL) -> XEvent:
    """Return the event of one line of the stream, or of one webhook body.

    Any JSON is read: a part that cannot be read is kept in the event's `undecoded`, an event of
    another kind is an `UnknownEvent`. Of a line with several events (an envelope with several
    messages) the first is returned; `decode_events` returns them all.

    Raises:
        StreamClosed: It is no event but X's announcement that the stream ends.
        MalformedAnswer: It is no JSON, or nested beyond measure.
    """
    event = _fast(line, hearing)
    if event is not None:
        return event
    events = _thorough(line, hearing)
    return events[0] if events else event_of_nothing(hearing)


def decode_events(line: bytes, *, hearing: Hearing = _USUAL) -> list[XEvent]:
    """Return all events of one line, or of one answer that lists posts or messages.

    Raises:
        StreamClosed: It is no event but X's announcement that the stream ends.
        MalformedAnswer: It is no JSON, or nested beyond measure.
    """
    event = _fast(line, hearing)
    return _thorough(line, hearing) if event is None else [event]


def _thorough(line: bytes, hearing: Hearing) -> list[XEvent]:
    try:
        value = parse_json(line)
    except ValueError as error:
        raise MalformedAnswer(f"X sent a line that is no JSON: {error}.", status=200) from error
    return events_of(value, hearing)


def _fast(line: bytes, hearing: Hearing) -> PostEvent | None:
    """Return the event of an ordinary envelope with a post; None if `envelopes` must read it."""
    try:
        wire = _decoder.decode(line)
    except (ValueError, RecursionError):
        return None
    data = wire.data
    payload, includes = data.payload, data.includes
    if data.event_type not in POST_KINDS:
        return None
    post = _post(payload)
    if post is not None and (
        payload.referenced_tweets
        or payload.referenced_posts
        or payload.in_reply_to_tweet_id
        or payload.in_reply_to_user_id
    ):
        post = _with_references(post, data)
    if post is None:
        return None
    author: User | None = None
    account_id, author_id, username = data.filter.user_id, payload.author_id, ""
    if includes is not None and includes.users:
        for user in includes.users:
            if user.id == author_id:
                author = _user(user)
            if user.id == account_id:
                username = user.username
    return event_from_post(
        post,
        account_id=account_id,
        source=hearing.source,
        author=author,
        username=hearing.usernames.get(account_id, username),
    )


def _post(wire: _Payload) -> Post | None:
    """Return the post without its references; None if `envelopes` must read it."""
    created_at, span = wire.created_at, wire.display_text_range
    if created_at is None or created_at.tzinfo is not UTC:
        return None
    if span is not None and not 0 <= span[0] <= span[1]:
        return None
    text, entities = wire.text, wire.entities or _NO_ENTITIES
    note = wire.note_tweet or wire.note_post
    if note is not None and note.text:
        entities = note.entities or entities
        span = span and note_range(text, note.text, span[0])
        text = note.text
    mentions = entities.mentions or ()
    for mention in mentions:
        if not (mention.id and mention.username and mention.end):
            return None
    links, spans = _links(entities.urls) if entities.urls else ((), ())
    post = Post(
        id=wire.id,
        text=text,
        author_id=wire.author_id,
        conversation_id=wire.conversation_id,
        created_at=created_at,
        lang=wire.lang,
        mentions=mentions,
        links=links,
        link_spans=spans,
        display_text_range=span,
        edit_history=wire.edit_history_tweet_ids or wire.edit_history_post_ids or (),
        reply_settings=wire.reply_settings,
        media_count=len(wire.attachments.media_keys or ()) if wire.attachments else 0,
    )
    return decoded_post(post)


def _with_references(post: Post, data: _Envelope) -> Post | None:
    """Return the post with the ids of those that it answers, quotes and reposts."""
    wire = data.payload
    found: dict[str, str] = {}
    for reference in wire.referenced_tweets or wire.referenced_posts or ():
        found.setdefault(reference.type, reference.id)
    answered = wire.in_reply_to_tweet_id or found.get("replied_to")
    if answered is not None and wire.in_reply_to_user_id is None:
        return None
    quoted = found.get("quoted")
    post = replace(
        post,
        in_reply_to_post_id=answered,
        in_reply_to_user_id=wire.in_reply_to_user_id,
        quoted_post_id=quoted,
        quoted_user_id=None if quoted is None else _author_of(quoted, data.includes),
        reposted_post_id=found.get("retweeted") or found.get("reposted"),
    )
    return post if quoted is None else told_by_kind(data.event_type, post, data.filter.user_id)


def _links(wires: list[_Link]) -> tuple[tuple[str, ...], tuple[tuple[int, int], ...]]:
    """Return the links, and their positions if X sent that of each."""
    links: list[str] = []
    spans: list[tuple[int, int]] = []
    for wire in wires:
        link = wire.expanded_url or wire.url
        if link:
            links.append(link)
            if wire.start is not None and wire.end is not None:
                spans.append((wire.start, wire.end))
    return tuple(links), tuple(spans) if len(spans) == len(links) else ()


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
    """Return the id of the author of a post that the delivery included."""
    if includes is None:
        return None
    found = {post.id: post.author_id for post in includes.tweets or includes.posts or ()}
    return found.get(post_id)
