"""The events of the X Activity API that are neither posts nor direct messages.

A bot is subscribed to the kinds of the classes that it handles, and to no others.
Source: X API docs, "X Activity API" and "Event payloads".
"""

from __future__ import annotations

from typing import ClassVar

from botkit.model.events import ActivityEvent
from botkit.model.users import User

__all__ = [
    "Block",
    "BroadcastChat",
    "BroadcastEnd",
    "BroadcastStart",
    "ChatChange",
    "EncryptedMessage",
    "Follow",
    "Like",
    "MessageRead",
    "MessageTyping",
    "Mute",
    "News",
    "PostDelete",
    "ProfileUpdate",
    "SpaceEnd",
    "SpaceStart",
    "TypedActivity",
    "Unblock",
    "Unfollow",
    "Unmute",
]

_NOBODY = User(id="", username="", name="")


class TypedActivity(ActivityEvent, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """The base class of these events.

    Attributes:
        kinds: X's names of the kinds that arrive as this class.
        scopes: The OAuth 2.0 scopes that X asks of the account for them.
        is_public: True if X takes the subscription from the app, without a login of the account.
    """

    kinds: ClassVar[tuple[str, ...]] = ()
    scopes: ClassVar[tuple[str, ...]] = ()
    is_public: ClassVar[bool] = False


class Like(TypedActivity, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="like"):
    """The account liked a post, or somebody liked one of the account's.

    Attributes:
        post_id: The post.
        post_author_id: The post's author.
        user_id: The user who liked it; "" if X does not say who.
    """

    kinds: ClassVar[tuple[str, ...]] = ("like.create",)
    scopes: ClassVar[tuple[str, ...]] = ("like.read",)
    post_id: str = ""
    post_author_id: str = ""
    user_id: str = ""


class Follow(TypedActivity, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="follow"):
    """The account followed a user, or a user followed the account."""

    kinds: ClassVar[tuple[str, ...]] = ("follow.follow",)
    follower: User = _NOBODY
    followed: User = _NOBODY


class Unfollow(
    TypedActivity, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="unfollow"
):
    """The account no longer follows a user, or a user no longer follows the account."""

    kinds: ClassVar[tuple[str, ...]] = ("follow.unfollow",)
    follower: User = _NOBODY
    followed: User = _NOBODY


class PostDelete(
    TypedActivity, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="post_delete"
):
    """The account deleted one of its posts; X tells this for subscribed users only."""

    kinds: ClassVar[tuple[str, ...]] = ("post.delete",)
    is_public: ClassVar[bool] = True
    post_id: str = ""
    author_id: str = ""


class ProfileUpdate(
    TypedActivity, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="profile_update"
):
    """The account's profile changed.

    Attributes:
        part: The part, as X names it: `bio`, `handle`, `geo`, ...
        before: Its value before; for a picture its address.
        after: Its value now.
    """

    kinds: ClassVar[tuple[str, ...]] = (
        "profile.update.affiliate_badge",
        "profile.update.banner_picture",
        "profile.update.bio",
        "profile.update.geo",
        "profile.update.handle",
        "profile.update.profile_picture",
        "profile.update.screenname",
        "profile.update.url",
        "profile.update.verified_badge",
    )
    is_public: ClassVar[bool] = True
    part: str = ""
    before: str = ""
    after: str = ""


class MessageRead(
    TypedActivity, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="message_read"
):
    """A direct message was read. No payload is documented: see `raw`."""

    kinds: ClassVar[tuple[str, ...]] = ("dm.read",)
    scopes: ClassVar[tuple[str, ...]] = ("dm.read",)


class MessageTyping(
    TypedActivity, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="message_typing"
):
    """A user types a direct message. No payload is documented: see `raw`."""

    kinds: ClassVar[tuple[str, ...]] = ("dm.indicate_typing",)
    scopes: ClassVar[tuple[str, ...]] = ("dm.read",)


class EncryptedMessage(
    TypedActivity, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="encrypted_message"
):
    """An encrypted message (XChat) came or went; botkit cannot read it."""

    kinds: ClassVar[tuple[str, ...]] = ("chat.received", "chat.sent")
    scopes: ClassVar[tuple[str, ...]] = ("dm.read",)
    conversation_id: str = ""
    sender_id: str = ""


class ChatChange(
    TypedActivity, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="chat_change"
):
    """An encrypted conversation changed: members, admins, its name or restrictions. See `raw`."""

    kinds: ClassVar[tuple[str, ...]] = (
        "chat.conversation.admin_added",
        "chat.conversation.admin_removed",
        "chat.conversation.join",
        "chat.conversation.member_added",
        "chat.conversation.member_removed",
        "chat.update.group_name",
        "chat.update.restrictions",
    )
    scopes: ClassVar[tuple[str, ...]] = ("dm.read",)
    conversation_id: str = ""


class Mute(TypedActivity, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="mute"):
    """The account muted a user (`subject_id`). No payload is documented: see `raw`."""

    kinds: ClassVar[tuple[str, ...]] = ("mute.mute",)
    scopes: ClassVar[tuple[str, ...]] = ("mute.read",)


class Unmute(TypedActivity, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="unmute"):
    """The account no longer mutes a user. No payload is documented: see `raw`."""

    kinds: ClassVar[tuple[str, ...]] = ("mute.unmute",)
    scopes: ClassVar[tuple[str, ...]] = ("mute.read",)


class Block(TypedActivity, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="block"):
    """The account blocked a user (`subject_id`). No payload is documented: see `raw`."""

    kinds: ClassVar[tuple[str, ...]] = ("block.block",)
    scopes: ClassVar[tuple[str, ...]] = ("block.read",)


class Unblock(
    TypedActivity, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="unblock"
):
    """The account no longer blocks a user. No payload is documented: see `raw`."""

    kinds: ClassVar[tuple[str, ...]] = ("block.unblock",)
    scopes: ClassVar[tuple[str, ...]] = ("block.read",)


class SpaceStart(
    TypedActivity, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="space_start"
):
    """The account began a Space."""

    kinds: ClassVar[tuple[str, ...]] = ("spaces.start",)
    title: str = ""


class SpaceEnd(
    TypedActivity, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="space_end"
):
    """A Space of the account ended."""

    kinds: ClassVar[tuple[str, ...]] = ("spaces.end",)
    title: str = ""


class BroadcastStart(
    TypedActivity, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="broadcast_start"
):
    """The account began a broadcast."""

    kinds: ClassVar[tuple[str, ...]] = ("broadcast.start",)
    is_public: ClassVar[bool] = True
    title: str = ""


class BroadcastEnd(
    TypedActivity, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="broadcast_end"
):
    """A broadcast of the account ended."""

    kinds: ClassVar[tuple[str, ...]] = ("broadcast.end",)
    is_public: ClassVar[bool] = True
    title: str = ""


class BroadcastChat(
    TypedActivity, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="broadcast_chat"
):
    """A user wrote in the chat of a broadcast of the account."""

    kinds: ClassVar[tuple[str, ...]] = ("broadcast.chat",)
    scopes: ClassVar[tuple[str, ...]] = ("broadcast.read",)
    broadcast_id: str = ""
    text: str = ""
    author: User = _NOBODY


class News(TypedActivity, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="news"):
    """A news story about a keyword. X offers it to Enterprise apps; botkit does not subscribe."""

    kinds: ClassVar[tuple[str, ...]] = ("news.new",)
    headline: str = ""
    summary: str = ""
    category: str = ""
