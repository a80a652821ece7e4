"""Every kind of the Activity API has a class, with the fields that X documents.

X's samples (tests/wire/activity) are the oracle where there is one. The payloads of `dm.read`,
`dm.indicate_typing`, `mute.*`, `block.*`, `spaces.end` and `chat.conversation.*` are documented
nowhere: their events have what any payload has, and `raw`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from botkit.model import activity_events
from botkit.model.activity_events import (
    BroadcastChat,
    BroadcastStart,
    ChatChange,
    EncryptedMessage,
    Follow,
    Like,
    News,
    PostDelete,
    ProfileUpdate,
    SpaceStart,
    TypedActivity,
)
from botkit.model.events import ActivityEvent, UnknownEvent
from botkit.protocol.events import codec
from botkit.protocol.events.activity import decode_events, decode_line, describe
from botkit.protocol.events.typed_activity import CLASSES, class_of

WIRE = Path(__file__).parents[3] / "wire" / "activity"
ME = "1111111111111111111"
OFFERED = """
block.block
block.unblock
broadcast.chat
broadcast.end
broadcast.start
chat.conversation.admin_added
chat.conversation.admin_removed
chat.conversation.join
chat.conversation.member_added
chat.conversation.member_removed
chat.conversation_join
chat.received
chat.sent
chat.update.group_name
chat.update.restrictions
dm.indicate_typing
dm.read
dm.received
dm.sent
follow.follow
follow.unfollow
like.create
mute.mute
mute.unmute
news.new
post.create
post.delete
post.mention.create
post.quote.create
post.reply.create
post.repost.create
profile.update.affiliate_badge
profile.update.banner_picture
profile.update.bio
profile.update.geo
profile.update.handle
profile.update.profile_picture
profile.update.screenname
profile.update.url
profile.update.verified_badge
spaces.end
spaces.start
"""
"""The `event_type` of X's OpenAPI document 2.167, read on 2026-08-22."""
OTHERWISE_READ = {
    *(f"post.{kind}create" for kind in ("", "mention.", "reply.", "quote.", "repost.")),
    "dm.received",
    "dm.sent",
}


def decoded(kind: str, payload: Any) -> Any:
    data = {"event_type": kind, "filter": {"user_id": ME}, "payload": payload}
    return decode_line(json.dumps({"data": data}).encode())


def sample(name: str) -> Any:
    return decode_line((WIRE / f"{name}.json").read_bytes())


def test_every_kind_that_x_offers_is_read_as_a_class_of_its_own() -> None:
    offered = set(OFFERED.split())
    assert offered - OTHERWISE_READ - {"chat.conversation_join"} == set(CLASSES)


def test_a_deprecated_name_is_read_as_the_one_of_today() -> None:
    assert class_of("chat.conversation_join") is ChatChange
    assert class_of("post.pin.create") is UnknownEvent


def test_every_class_is_stored_and_comes_back() -> None:
    stored = set(get_args(codec._Stored))
    assert {getattr(activity_events, name) for name in activity_events.__all__} - {
        TypedActivity
    } <= stored


@pytest.mark.parametrize(
    ("name", "event_class", "fields"),
    [
        (
            "like.create",
            Like,
            {
                "post_id": "2079814480427442556",
                "post_author_id": "3333333333333333333",
                "user_id": ME,
            },
        ),
        ("post.delete", PostDelete, {"post_id": "2080761269309813134", "author_id": ME}),
        (
            "profile.update.geo",
            ProfileUpdate,
            {"part": "geo", "before": "New York, NY", "after": "San Francisco, CA"},
        ),
        (
            "chat.received",
            EncryptedMessage,
            {
                "conversation_id": f"2222222222222222222:{ME}",
                "sender_id": "2222222222222222222",
            },
        ),
        ("broadcast.start", BroadcastStart, {"title": "Example broadcast"}),
        ("spaces.start", SpaceStart, {"title": ""}),
        ("broadcast.chat", BroadcastChat, {"broadcast_id": "1mGPaZaAdNqJN", "text": "test"}),
        (
            "news.new",
            News,
            {"headline": "ChatGPT Adds Custom Virtual Pets for Sharing", "category": "News"},
        ),
    ],
)
def test_xs_sample_fills_the_fields(
    name: str, event_class: type[ActivityEvent], fields: dict[str, str]
) -> None:
    event = sample(name)
    assert type(event) is event_class
    assert {field: getattr(event, field) for field in fields} == fields
    told = describe(event)
    assert {field: told.get(field, "") for field in fields} == fields


def test_a_follow_names_both_users() -> None:
    event = sample("follow.follow")
    assert isinstance(event, Follow)
    assert (event.follower.id, event.followed.id) == (ME, "4444444444444444444")


def test_a_chat_message_of_a_broadcast_names_its_author() -> None:
    assert sample("broadcast.chat").author.username == "ExampleUser"


def test_who_liked_a_post_of_the_account_is_unknown_if_x_does_not_say() -> None:
    event = decoded("like.create", {"id": "87", "liked_tweet_id": "9"})
    assert (event.post_id, event.user_id) == ("9", "")


@pytest.mark.parametrize("kind", sorted(CLASSES))
@pytest.mark.parametrize("payload", [{}, None, [], {"source": 5, "author": "x", "title": [1]}])
def test_an_odd_payload_is_still_an_event_with_what_came(kind: str, payload: Any) -> None:
    event = decoded(kind, payload)
    assert (type(event), event.kind) == (CLASSES[kind], kind)
    assert event.raw["payload"] == payload
    assert decode_events(json.dumps({"data": event.raw}).encode()) == [event]
