"""Make the typed events of the Activity API from the fields of their payloads.

Source: X API docs, "Event payloads"; X's samples of each kind that has one.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from botkit.model import activity_events
from botkit.model.activity_events import (
    BroadcastChat,
    BroadcastEnd,
    BroadcastStart,
    ChatChange,
    EncryptedMessage,
    Follow,
    Like,
    News,
    PostDelete,
    ProfileUpdate,
    SpaceEnd,
    SpaceStart,
    TypedActivity,
    Unfollow,
)
from botkit.model.events import ActivityEvent, UnknownEvent
from botkit.protocol.api.objects import user_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botkit.protocol.api.json_fields import Fields

__all__ = ["CLASSES", "PUBLIC_KINDS", "class_of", "fields_of"]

_ALIASES: Final = MappingProxyType({"chat.conversation_join": "chat.conversation.join"})
"""Names that X has deprecated, each with the one of today."""

CLASSES: Final[Mapping[str, type[TypedActivity]]] = MappingProxyType(
    {
        kind: event_class
        for name in activity_events.__all__
        for event_class in (getattr(activity_events, name),)
        for kind in event_class.kinds
    }
)
"""The class of each kind."""

PUBLIC_KINDS: Final = frozenset(kind for kind, each in CLASSES.items() if each.is_public)
"""The kinds that X lets the app subscribe to by its bearer."""


def class_of(kind: str) -> type[ActivityEvent]:
    """Return the class for events of a kind."""
    return CLASSES.get(_ALIASES.get(kind, kind), UnknownEvent)


def fields_of(event_class: type[ActivityEvent], kind: str, payload: Fields) -> dict[str, Any]:
    """Return the values for the class's own fields; what a payload lacks keeps its default."""
    read = _READERS.get(event_class)
    found = {} if read is None else read(payload)
    if event_class is ProfileUpdate:
        found["part"] = kind.rpartition(".")[2]
    return {name: value for name, value in found.items() if value is not None}


def _like(payload: Fields) -> dict[str, Any]:
    return {
        "post_id": payload.id("liked_tweet_id", "liked_post_id"),
        "post_author_id": payload.id("liked_tweet_author_id", "liked_post_author_id"),
    }


def _follow(payload: Fields) -> dict[str, Any]:
    return {
        "follower": user_of(payload.inner("source")),
        "followed": user_of(payload.inner("target")),
    }


def _texts(*names: str) -> Callable[[Fields], dict[str, Any]]:
    """Return a reader of texts whose names are those of the class."""
    return lambda payload: {name: payload.text(name) for name in names}


def _post_delete(payload: Fields) -> dict[str, Any]:
    return {"post_id": payload.id("id"), "author_id": payload.id("author_id")}


def _broadcast_chat(payload: Fields) -> dict[str, Any]:
    return {
        "broadcast_id": payload.text("broadcast_id"),
        "text": payload.text("message"),
        "author": user_of(payload.inner("author")),
    }


def _chat(payload: Fields) -> dict[str, Any]:
    return {"conversation_id": payload.text("conversation_id")}


def _encrypted(payload: Fields) -> dict[str, Any]:
    return _chat(payload) | {"sender_id": payload.id("sender_id")}


def _news(payload: Fields) -> dict[str, Any]:
    return {
        "headline": payload.text("headline", "name"),
        "summary": payload.text("summary"),
        "category": payload.text("category"),
    }


_READERS: Final[Mapping[type[ActivityEvent], Callable[[Fields], dict[str, Any]]]] = {
    Like: _like,
    Follow: _follow,
    Unfollow: _follow,
    PostDelete: _post_delete,
    ProfileUpdate: _texts("before", "after"),
    EncryptedMessage: _encrypted,
    ChatChange: _chat,
    SpaceStart: _texts("title"),
    SpaceEnd: _texts("title"),
    BroadcastStart: _texts("title"),
    BroadcastEnd: _texts("title"),
    BroadcastChat: _broadcast_chat,
    News: _news,
}
