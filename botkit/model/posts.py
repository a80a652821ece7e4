"""Posts as frozen values."""

from __future__ import annotations

import re
from datetime import datetime

from msgspec import Struct

__all__ = ["LEADING_NAMES", "MentionEntity", "Post"]

LEADING_NAMES = re.compile(r"\s*(?:[@\uff20][a-zA-Z0-9_]{1,20}(?![a-zA-Z0-9_@\uff20])\s*)+")
"""The run of @names at a text's start, with the blanks after it."""


class MentionEntity(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """An @mention inside a post's text.

    `start` and `end` count Unicode code points of `text`, end exclusive, as X counts them.
    """

    username: str
    start: int = 0
    end: int = 0
    id: str | None = None


class Post(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A post on X. Only `id` and `text` are always set; the rest depends on what X sent.

    The text is as people read it: `<`, where X sends `&lt;`. Positions count in this text.

    Source: X API docs, "Data dictionary"; both the `tweet.*` and the `post.*` spellings are read.
    """

    id: str
    text: str
    author_id: str | None = None
    conversation_id: str | None = None
    created_at: datetime | None = None
    lang: str | None = None
    in_reply_to_post_id: str | None = None
    in_reply_to_user_id: str | None = None
    quoted_post_id: str | None = None
    quoted_user_id: str | None = None
    reposted_post_id: str | None = None
    mentions: tuple[MentionEntity, ...] = ()
    links: tuple[str, ...] = ()
    """Expanded addresses of the links in the text."""
    link_spans: tuple[tuple[int, int], ...] = ()
    """Where each of `links` stands in the text, as `start` and `end`; empty if X left that out."""
    display_text_range: tuple[int, int] | None = None
    edit_history: tuple[str, ...] = ()
    """Ids of all versions, oldest first, this one included; empty when X did not send it."""
    reply_settings: str | None = None
    media_count: int = 0

    @property
    def edit_version(self) -> int:
        """The number of this version: 0 for the first, 1 for the first edit, and so on."""
        return self.edit_history.index(self.id) if self.id in self.edit_history else 0

    @property
    def original_id(self) -> str:
        """The id of the first version: an edited post is still one interaction."""
        return self.edit_history[0] if self.edit_history else self.id
