"""What is left of a stored post whose author deleted it."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from botkit.model.events import Mention, Tick
from botkit.model.posts import MentionEntity, Post
from botkit.model.triggers import PostRequest
from botkit.model.users import User
from botkit.protocol.events.codec import decode_event, encode_event
from botkit.protocol.events.deleted_posts import (
    NOTHING,
    event_without_content,
    post_without_content,
)

AT = datetime(2026, 11, 30, 12, tzinfo=UTC)
POST = Post(
    id="8",
    text="@bot hunter2",
    author_id="7",
    conversation_id="5",
    created_at=AT,
    in_reply_to_post_id="5",
    in_reply_to_user_id="42",
    mentions=(MentionEntity(username="hunter2"),),
    links=("https://hunter2.example",),
    edit_history=("7", "8"),
    lang="hunter2",
)


def test_an_event_keeps_its_key_its_lane_and_who_it_was_from_and_loses_the_rest() -> None:
    whole = Mention(
        account_id="42",
        at=AT,
        post=POST,
        author=User(id="7", username="hunter2", name="hunter2"),
        mentions_me=True,
        missing=("author",),
        undecoded={"geo": "hunter2"},
    )
    body = event_without_content(*encode_event(whole))
    left = decode_event("mention", body, {})
    assert isinstance(left, Mention)
    assert b"hunter2" not in body
    assert (left.key, left.lane, left.at) == (whole.key, whole.lane, AT)
    assert (left.author.id, left.is_summoned, left.is_reply_to_me) == ("7", True, True)
    assert (left.text, left.missing) == ("", ())


def test_a_request_for_a_post_keeps_its_id() -> None:
    request = PostRequest(account_id="42", at=AT, id="r", text="hunter2", reply_to="5")
    left = decode_event("post_request", event_without_content(*encode_event(request)), {})
    assert isinstance(left, PostRequest)
    assert (left.id, left.text, left.reply_to) == ("r", "", "5")


def test_nothing_is_left_of_what_cannot_be_read() -> None:
    assert event_without_content("mention", b'{"text": "hunter2"}') == NOTHING
    tick = Tick(account_id="42", at=AT, schedule="weather")
    assert event_without_content(*encode_event(tick)) == NOTHING
    assert post_without_content(b"hunter2") == NOTHING


def test_a_post_keeps_its_ids() -> None:
    left = msgspec.json.decode(post_without_content(msgspec.json.encode(POST)), type=Post)
    assert (left.id, left.text, left.author_id, left.edit_version) == ("8", "", "7", 1)
    assert (left.in_reply_to_post_id, left.links, left.mentions) == ("5", (), ())
