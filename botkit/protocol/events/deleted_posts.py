"""Take the content of a deleted post out of what is stored, and leave its ids.

The ids prove that an event was handled; texts, links, names and authors' profiles go.
Source: X developer policy, "Content compliance".
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from botkit.errors import UndecodableEvent
from botkit.model.events import PostEvent
from botkit.model.posts import Post
from botkit.model.triggers import PostRequest
from botkit.model.users import User
from botkit.protocol.events.codec import decode_event

__all__ = ["NOTHING", "event_without_content", "post_without_content"]

NOTHING = b"null"
"""What is left of a body that cannot be read."""


def event_without_content(kind: str, body: bytes) -> bytes:
    """Return the body of a stored event of a post without the post's content."""
    try:
        event = decode_event(kind, body, {})
    except UndecodableEvent:
        return NOTHING
    if isinstance(event, PostEvent):
        author = User(id=event.author.id, username="", name="")
        bare = replace(event, post=_bare(event.post), author=author, missing=(), undecoded={})
        return msgspec.json.encode(bare)
    if isinstance(event, PostRequest):
        return msgspec.json.encode(replace(event, text=""))
    return NOTHING


def post_without_content(body: bytes) -> bytes:
    """Return a stored post without its content."""
    try:
        return msgspec.json.encode(_bare(msgspec.json.decode(body, type=Post)))
    except (ValueError, RecursionError):
        return NOTHING


def _bare(post: Post) -> Post:
    return Post(
        id=post.id,
        text="",
        author_id=post.author_id,
        conversation_id=post.conversation_id,
        created_at=post.created_at,
        in_reply_to_post_id=post.in_reply_to_post_id,
        in_reply_to_user_id=post.in_reply_to_user_id,
        edit_history=post.edit_history,
    )
