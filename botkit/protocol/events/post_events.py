"""Classify a post for an account, by the post alone.

A post is one event whatever delivered it, so neither the envelope nor the source decides.
Source: docs/explanation/requirements.md, "Intake" (One post is one event).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botkit.model.events import Mention, PostEvent, PostSeen, Quote, Reply, Repost
from botkit.model.users import User
from botkit.protocol.api.ids import snowflake_time
from botkit.protocol.text.weighted_length import leading_names, mentions_in

if TYPE_CHECKING:
    from botkit.model.posts import MentionEntity, Post
    from botkit.protocol.api.objects import PostPage

__all__ = ["EPOCH", "classify", "event_from_post", "events_of_page", "mentions_account"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""The time of an event that holds none."""

_REPOST_TEXT = re.compile(r"RT @\w{1,20}: ", re.ASCII)
_STATUS = re.compile(
    r"//(?:www\.|mobile\.)?(?:twitter|x)\.com/(\w{1,20})/status/([0-9]+)", re.ASCII
)


def classify(
    post: Post, account_id: str, quoted_user_id: str | None, *, username: str = ""
) -> type[PostEvent]:
    """Return the class of a post's event for an account.

    `Mention` if the text itself @mentions the account, else `Repost` if it is one, else `Reply` if
    it answers the account, else `Quote` if the quoted post is the account's, else `PostSeen`. The
    account's own posts are always `PostSeen`, and so is a text that only looks like a repost's.
    `username` is the account's; it is used only if X left out the ids of mentions.
    """
    mentions_me = mentions_account(post, account_id, username=username)
    return _class_of(post, account_id, mentions_me=mentions_me, quoted_user_id=quoted_user_id)


def mentions_account(post: Post, account_id: str, *, username: str = "") -> bool:
    """Return True if the text itself @mentions the account, explicitly.

    The names that X puts at the start of a reply do not count: they lie before
    `display_text_range`, or, if X did not send that, in the unbroken run of @names that starts a
    reply. A repost does not count: its text is another user's.
    """
    if not account_id or _is_repost(post):
        return False
    mentions = post.mentions
    if not mentions:
        if not username or "@" not in post.text:
            return False
        mentions = mentions_in(post.text)
    for mention in mentions:
        named = mention.id == account_id or (
            not mention.id and mention.username.casefold() == username.casefold()
        )
        if named and _is_shown(mention, post):
            return True
    return False


def event_from_post(
    post: Post,
    *,
    account_id: str,
    source: str,
    author: User | None,
    quoted: Post | None = None,
    username: str = "",
) -> PostEvent:
    """Return the event of a post for an account.

    `quoted` is the quoted post if the delivery held it; `username` the account's, if known. The
    event's `missing` names needed parts that are not there: `author`, and `quoted` if only the
    quoted post could tell whether it is the account's.
    """
    quoted_user_id = post.quoted_user_id or (quoted.author_id if quoted is not None else None)
    missing: tuple[str, ...] = ()
    if author is None or not author.username:
        missing = ("author",)
        author = author or User(id=post.author_id or "", username="", name="")
    if post.quoted_post_id is not None and quoted_user_id is None:
        name = _quoted_name(post)
        if username and name:
            quoted_user_id = account_id if name.casefold() == username.casefold() else None
        elif author.id != account_id and post.reposted_post_id is None:
            missing = (*missing, "quoted")
    mentions_me = mentions_account(post, account_id, username=username)
    event_type = _class_of(
        post, account_id, mentions_me=mentions_me, quoted_user_id=quoted_user_id
    )
    return event_type(
        account_id=account_id,
        at=post.created_at or snowflake_time(post.id) or EPOCH,
        source=source,
        missing=missing,
        post=post,
        author=author,
        quotes_me=quoted_user_id == account_id and bool(account_id) and event_type is not Repost,
        mentions_me=mentions_me,
    )


def events_of_page(
    page: PostPage, *, account_id: str, source: str, username: str = ""
) -> list[PostEvent]:
    """Return the events of a page of posts, oldest first, with the included objects."""
    return [
        event_from_post(
            post,
            account_id=account_id,
            source=source,
            author=page.users.get(post.author_id or ""),
            quoted=page.included.get(post.quoted_post_id or ""),
            username=username,
        )
        for post in reversed(page.posts)
    ]


def _class_of(
    post: Post, account_id: str, *, mentions_me: bool, quoted_user_id: str | None
) -> type[PostEvent]:
    if not account_id or post.author_id == account_id:
        return PostSeen
    if mentions_me:
        return Mention
    if _is_repost(post):
        return PostSeen if post.reposted_post_id is None else Repost
    if post.in_reply_to_user_id == account_id:
        return Reply
    return Quote if quoted_user_id == account_id else PostSeen


def _is_repost(post: Post) -> bool:
    return post.reposted_post_id is not None or (
        post.text.startswith("RT @") and _REPOST_TEXT.match(post.text) is not None
    )


def _is_shown(mention: MentionEntity, post: Post) -> bool:
    """Return True if the mention stands in the text that people see.

    Range and positions count the same: code points of the text. Source: X's samples of replies and
    likes.
    """
    if post.display_text_range is not None:
        start, end = post.display_text_range
        return start <= mention.start < end
    if post.in_reply_to_post_id is None and post.in_reply_to_user_id is None:
        return True
    return mention.start >= leading_names(post.text)


def _quoted_name(post: Post) -> str:
    """Return the username in the link to the quoted post; "" if there is no such link."""
    for link in post.links:
        found = _STATUS.search(link)
        if found is not None and found[2] == post.quoted_post_id and found[1] != "i":
            return found[1]
    return ""
