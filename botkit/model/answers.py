"""The store's rows on replies, for the limit that ends loops."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

__all__ = ["SentAnswer"]


class SentAnswer(Struct, frozen=True, kw_only=True, gc=False):
    """Hold when a reply was sent to an author in a conversation, which `thread` names."""

    account_id: str
    thread: str
    at: datetime
