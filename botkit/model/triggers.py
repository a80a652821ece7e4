"""Events of other software: what it tells the bot, and what it asks the bot to post."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from botkit.errors import UndecodableEvent
from botkit.model.events import XEvent

__all__ = ["PostRequest", "Trigger"]

T = TypeVar("T")


class Trigger(XEvent, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="trigger"):
    """Other software told the bot something: an ERP, a CRM, a scheduler.

    It is for the bot's account, or for the `account` of `[hooks.NAME]`. Triggers are handled side
    by side; X has no part in them, so they cost nothing.

    Attributes:
        name: The name of the hook, for the filter `hook`.
        data: The decoded body: JSON as it was sent, a form as an object of texts.
        delivery: The sender's key for this delivery; the same key again is no new event.
    """

    name: str
    data: Any = None
    delivery: str

    @property
    def key(self) -> str:
        """`trigger/<name>/<delivery>`."""
        return f"trigger/{self.name}/{self.delivery}"

    def read(self, kind: type[T]) -> T:
        """Return `data` as a value of that class: a Struct, a dataclass, a TypedDict, a list.

        Texts are taken for numbers and truth values where the class wants those, because a form
        has only texts. Fields that the class does not name are left out.

        Raises:
            UndecodableEvent: The data does not fit. Let it pass: the event becomes a dead letter
                at once, and `botkit events retry` runs it when the class fits.
        """
        try:
            return msgspec.convert(self.data, kind, strict=False)
        except msgspec.ValidationError as error:
            raise UndecodableEvent(
                f"The data of {self.key} is no {kind.__name__}: {error}.",
                hint="Change the class, or what the sender sends; then botkit events retry.",
            ) from error


class PostRequest(
    XEvent, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="post_request"
):
    """`botkit post` asked for a post of the account; botkit handles it itself.

    Attributes:
        id: The request's name: the same again asks for nothing new.
        reply_to: The id of the post to answer, "" for a post of its own.
    """

    id: str
    text: str
    reply_to: str = ""

    @property
    def key(self) -> str:
        """`post_request/<id>`."""
        return f"post_request/{self.id}"

    @property
    def lane(self) -> str:
        """Return the one lane of all requests: they are sent in order."""
        return "post_request"

    @property
    def what(self) -> tuple[str, str]:
        """What is asked for: two requests of one id must not differ in it."""
        return self.text, self.reply_to
