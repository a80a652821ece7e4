"""Write events as JSON: the inbox's bodies, and the output of `botkit events decode`.

A body starts with the event's tag; a signal has none, its kind is `signal/<class name>`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

import msgspec

from botkit.errors import UndecodableEvent
from botkit.model import activity_events
from botkit.model.events import (
    AccountState,
    ActivityEvent,
    Authorized,
    DirectMessage,
    Event,
    Gap,
    GrantRevoked,
    Mention,
    OptOut,
    PostEvent,
    PostMatched,
    PostSeen,
    Quote,
    Reply,
    Repost,
    Signal,
    Tick,
    UnknownEvent,
    XEvent,
)
from botkit.model.triggers import PostRequest, Trigger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botkit.model.posts import Post
    from botkit.model.users import User

__all__ = ["decode_event", "describe", "encode_event", "kind_of"]

_SIGNAL: Final = "signal/"

_Stored = (
    Mention
    | Reply
    | Quote
    | Repost
    | PostSeen
    | PostMatched
    | DirectMessage
    | GrantRevoked
    | UnknownEvent
    | activity_events.Block
    | activity_events.BroadcastChat
    | activity_events.BroadcastEnd
    | activity_events.BroadcastStart
    | activity_events.ChatChange
    | activity_events.EncryptedMessage
    | activity_events.Follow
    | activity_events.Like
    | activity_events.MessageRead
    | activity_events.MessageTyping
    | activity_events.Mute
    | activity_events.News
    | activity_events.PostDelete
    | activity_events.ProfileUpdate
    | activity_events.SpaceEnd
    | activity_events.SpaceStart
    | activity_events.Unblock
    | activity_events.Unfollow
    | activity_events.Unmute
    | Authorized
    | AccountState
    | Gap
    | OptOut
    | Tick
    | Trigger
    | PostRequest
)
_decoder: Final = msgspec.json.Decoder(_Stored)
_encoder: Final = msgspec.json.Encoder()
_kinds: Final[Mapping[type[Event], str]] = {
    event_type: str(event_type.__struct_config__.tag) for event_type in get_args(_Stored)
}


def kind_of(event_type: type[Event]) -> str:
    """Return the kind under which events of a class are stored: its tag, or `signal/<name>`."""
    kind = _kinds.get(event_type)
    if kind is not None:
        return kind
    if issubclass(event_type, Signal):
        return _SIGNAL + event_type.signal_name
    return str(event_type.__struct_config__.tag or "")


def encode_event(event: Event) -> tuple[str, bytes]:
    """Return the kind and the body of an event, for the inbox."""
    return kind_of(type(event)), _encoder.encode(event)


def decode_event(kind: str, body: bytes, signals: Mapping[str, type[Signal]]) -> Event:
    """Return the stored event, equal to the one that was encoded.

    `signals` are the signal classes that the bot knows, by class name.

    Raises:
        UndecodableEvent: The signal's class is gone, or the body does not fit its class.
    """
    if not kind.startswith(_SIGNAL):
        return _decoded(kind, body, None)
    name = kind.removeprefix(_SIGNAL)
    signal = signals.get(name)
    if signal is None:
        known = ", ".join(sorted(signals)) or "none"
        raise UndecodableEvent(
            f"No signal named {name} is known; known: {known}.",
            hint=f"Register a handler for it, or keep the class's name: it is stored as {kind}.",
        )
    return _decoded(kind, body, signal)


def _decoded(kind: str, body: bytes, signal: type[Signal] | None) -> Event:
    try:
        if signal is None:
            event: Event = _decoder.decode(body)
            return event
        return msgspec.json.decode(body, type=signal)
    except (ValueError, RecursionError) as error:
        raise UndecodableEvent(
            f"A stored event of kind {kind} cannot be read: {error}.",
            hint="Its class has changed: give new fields a default, and keep the old ones.",
        ) from error


def describe(event: Event) -> dict[str, Any]:
    """Return an event as JSON-ready values, complete, in a fixed order; times are RFC 3339."""
    if not isinstance(event, XEvent):
        return {"type": type(event).__name__, **msgspec.to_builtins(event)}
    told: dict[str, Any] = {
        "type": type(event).__name__,
        "key": event.key,
        "account_id": event.account_id,
        "at": msgspec.to_builtins(event.at),
        "source": event.source,
        "missing": list(event.missing),
    }
    match event:
        case PostEvent():
            told |= {"post": _post(event.post), "author": _user(event.author)}
            if isinstance(event, PostMatched):
                told |= {"tag": event.tag, "rule": event.rule}
        case DirectMessage():
            told |= {"message": _message(event), "sender": _user(event.sender)}
        case ActivityEvent():
            told |= {
                name: value
                for name, value in msgspec.to_builtins(event).items()
                if name not in told
            } | {
                "kind": event.kind,
                "subject_id": event.subject_id,
                "actor_id": event.actor_id,
                "raw": event.raw,
            }
        case GrantRevoked():
            told |= {"user_id": event.user_id, "app_id": event.app_id}
        case _:
            told = {**msgspec.to_builtins(event), **told}
    if event.undecoded:
        told["undecoded"] = event.undecoded
    return told


def _post(post: Post) -> dict[str, Any]:
    return {
        "id": post.id,
        "text": post.text,
        "author_id": post.author_id,
        "conversation_id": post.conversation_id,
        "created_at": msgspec.to_builtins(post.created_at),
        "lang": post.lang,
        "in_reply_to_post_id": post.in_reply_to_post_id,
        "in_reply_to_user_id": post.in_reply_to_user_id,
        "quoted_post_id": post.quoted_post_id,
        "mentions": [
            {"id": one.id, "username": one.username, "start": one.start, "end": one.end}
            for one in post.mentions
        ],
    }


def _message(event: DirectMessage) -> dict[str, Any]:
    message = event.message
    return {
        "id": message.id,
        "conversation_id": message.conversation_id,
        "text": message.text,
        "sender_id": message.sender_id,
        "media": list(message.media),
    }


def _user(user: User) -> dict[str, Any]:
    return {"id": user.id, "username": user.username, "name": user.name} | {
        name: value
        for name in ("description", "protected", "automated")
        if (value := getattr(user, name)) is not None
    }
