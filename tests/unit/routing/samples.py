"""Events and a scope to try routing with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from botkit.errors import Skip
from botkit.model.events import (
    DirectMessage,
    Event,
    GrantRevoked,
    Mention,
    PostMatched,
    PostSeen,
    Reply,
    Signal,
    UnknownEvent,
)
from botkit.model.messages import Message
from botkit.model.posts import Post
from botkit.model.users import User
from botkit.routing.wiring import Wiring

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
ADA = User(id="9", username="Ada", name="Ada Lovelace")


def post(text: str, **more: Any) -> Post:
    return Post(**({"id": "50", "text": text, "author_id": ADA.id} | more))


def mention(text: str = "@greeter hello", *, author: User = ADA, **more: Any) -> Mention:
    return Mention(account_id="1", at=AT, post=post(text, **more), author=author)


def reply(text: str = "thanks", *, author: User = ADA, **more: Any) -> Reply:
    return Reply(account_id="1", at=AT, post=post(text, **more), author=author)


def seen(text: str = "by the way", *, author: User = ADA, **more: Any) -> PostSeen:
    return PostSeen(account_id="1", at=AT, post=post(text, **more), author=author)


def matched(post_id: str, tag: str) -> PostMatched:
    return PostMatched(account_id="1", at=AT, post=post("cats", id=post_id), author=ADA, tag=tag)


def dm(text: str = "help", *, sender: User = ADA, **more: Any) -> DirectMessage:
    fields = {"id": "70", "conversation_id": "1-9", "text": text, "sender_id": sender.id} | more
    return DirectMessage(account_id="1", at=AT, message=Message(**fields), sender=sender)


def revoked() -> GrantRevoked:
    return GrantRevoked(account_id="1", at=AT, user_id="9")


def unknown() -> UnknownEvent:
    return UnknownEvent(account_id="1", at=AT, kind="profile.update.bio")


class Remind(Signal, frozen=True, kw_only=True):
    """A signal with an event inside."""

    asked: Mention
    what: str = ""


class Values:
    """A scope of fixed values that writes down what it was asked for."""

    def __init__(self, values: Mapping[Any, Any] | None = None) -> None:
        self.values = values or {}
        self.asked: list[Any] = []

    def resolve(self, wanted: Any) -> Any:
        self.asked.append(wanted)
        return self.values[wanted]


async def handled(event: Any) -> str:
    return f"handled {type(event).__name__}"


def names(wiring: Wiring, event: Event) -> list[str]:
    return [candidate.route.name for candidate in wiring.candidates(event)]


async def run(wiring: Wiring, event: Event, values: Any = None) -> Any:
    """What the runtime does: the first candidate that does not pass the event on."""
    for candidate in wiring.candidates(event):
        try:
            return await candidate(Values(values))
        except Skip:
            continue
    return None


def named(name: str, handler: Callable[..., Any] = handled) -> Callable[..., Any]:
    async def function(event: Any) -> Any:
        return await handler(event)

    function.__qualname__ = name
    return function
