"""Direct messages as frozen values."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

__all__ = ["Message"]


class Message(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A direct message, sent or received.

    `conversation_id` is `<smaller id>-<larger id>` for two people, a number for a group.
    `media` holds the ids or keys of the attachments.
    """

    id: str
    conversation_id: str
    text: str = ""
    sender_id: str | None = None
    created_at: datetime | None = None
    media: tuple[str, ...] = ()
