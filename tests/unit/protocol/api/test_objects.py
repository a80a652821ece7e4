"""Posts, users, messages and subscriptions out of X's JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from botkit.errors import MalformedAnswer
from botkit.model.messages import Message
from botkit.model.posts import MentionEntity, Post
from botkit.model.users import User
from botkit.protocol.api.objects import (
    PostPage,
    Subscription,
    conversation_of,
    read_message,
    read_messages,
    read_post,
    read_posts,
    read_subscriptions,
    read_user,
    read_users,
)
from botkit.protocol.api.responses import Response

ACTIVITY = Path(__file__).parents[3] / "wire" / "activity"


def payload(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ACTIVITY / f"{name}.json").read_bytes())["data"]["payload"]
    return found


def test_a_post_of_xs_samples_reads_whole() -> None:
    assert read_post(payload("post.reply.create")) == Post(
        id="2090000000000000001",
        text="@ExampleUser Great post \u2014 thanks for sharing!",
        author_id="2222222222222222222",
        conversation_id="2080761390344937796",
        created_at=datetime(2026, 8, 12, 18, tzinfo=UTC),
        lang="en",
        in_reply_to_post_id="2080761390344937796",
        in_reply_to_user_id="1111111111111111111",
        mentions=(
            MentionEntity(username="ExampleUser", start=0, end=12, id="1111111111111111111"),
        ),
        display_text_range=(14, 45),
        edit_history=("2090000000000000001",),
        reply_settings="everyone",
    )


def test_both_spellings_of_a_post_give_the_same() -> None:
    old = {
        "id": "3",
        "text": "x",
        "edit_history_tweet_ids": ["2", "3"],
        "referenced_tweets": [
            {"type": "replied_to", "id": "7"},
            {"type": "quoted", "id": "8"},
            {"type": "retweeted", "id": "9"},
        ],
        "in_reply_to_tweet_id": "7",
        "note_tweet": {"text": "longer"},
    }
    new = {
        "data": {
            "id": 3,
            "text": "x",
            "edit_history_post_ids": [2, "3"],
            "referenced_posts": [
                {"type": "replied_to", "id": 7},
                {"type": "quoted", "id": 8},
                {"type": "reposted", "id": 9},
            ],
            "note_post": {"text": "longer"},
        }
    }

    assert read_post(old) == read_post(new)
    assert read_post(old) == Post(
        id="3",
        text="longer",
        edit_history=("2", "3"),
        in_reply_to_post_id="7",
        quoted_post_id="8",
        reposted_post_id="9",
    )
    assert read_post(old).edit_version == 1


def test_a_long_post_has_the_text_and_the_entities_of_its_note() -> None:
    long = "@a " + "word " * 80 + "@b https://t.co/x"
    post = read_post(
        {
            "id": "1",
            "text": "@a word\u2026",
            "display_text_range": [3, 8],
            "entities": {"mentions": [{"start": 0, "end": 2, "username": "a"}]},
            "note_tweet": {
                "text": long,
                "entities": {
                    "mentions": [{"start_str": "403", "end_str": "405", "username": "b", "id": 5}],
                    "urls": [
                        {"url": "https://t.co/x", "expanded_url": "https://example.com/x"},
                        {"url": "https://t.co/y"},
                        {"display_url": "neither"},
                    ],
                },
            },
        }
    )

    assert post.text == long
    assert post.mentions == (MentionEntity(username="b", start=403, end=405, id="5"),)
    assert post.links == ("https://example.com/x", "https://t.co/y")
    assert post.display_text_range == (3, len(long))


def test_a_note_that_leaves_out_the_hidden_names_is_shown_from_its_start() -> None:
    post = read_post(
        {
            "id": "1",
            "text": "@a hello",
            "display_text_range": [3, 8],
            "entities": {"mentions": [{"start": 0, "end": 2, "username": "a"}]},
            "note_post": {"text": "hello world", "entities": None},
        }
    )

    assert post.display_text_range == (0, 11)
    assert post.mentions[0].username == "a"


def test_a_post_needs_nothing_but_its_id() -> None:
    assert read_post({"id": 5}) == Post(id="5", text="")


def test_parts_of_a_wrong_type_are_left_out() -> None:
    post = read_post(
        {
            "id": "1",
            "text": None,
            "author_id": [],
            "created_at": "now",
            "entities": {"mentions": [None, 5, {"username": ""}, {"username": "b"}], "urls": "x"},
            "display_text_range": [5, 2],
            "edit_history_tweet_ids": [None, True, "", "1"],
            "referenced_tweets": [{"type": ["quoted"], "id": "2"}, {"type": "quoted"}],
            "attachments": {"media_keys": ["3_1", "3_2"]},
        }
    )

    assert post == Post(
        id="1",
        text="",
        mentions=(MentionEntity(username="b"),),
        edit_history=("1",),
        media_count=2,
    )


@pytest.mark.parametrize("span", [[True, 5], [1], [1, 2, 3], ["1", "2"], {"start": 1}, [-1, 3]])
def test_a_range_that_is_none_is_left_out(span: object) -> None:
    assert read_post({"id": "1", "display_text_range": span}).display_text_range is None


@pytest.mark.parametrize("read", [read_post, read_user, read_message])
def test_an_object_without_an_id_is_a_malformed_answer(read: Any) -> None:
    with pytest.raises(MalformedAnswer, match="without an id"):
        read({"text": "x"})


def test_a_user_reads_with_the_automated_label() -> None:
    users = payload("dm.received")["users"]

    assert read_user(users["2222222222222222222"]) == User(
        id="2222222222222222222",
        username="OtherUser",
        name="OtherUser",
        description="",
        protected=False,
        automated=True,
    )


@pytest.mark.parametrize(
    ("affiliation", "automated"),
    [
        (None, None),
        ({}, None),
        ({"description": "X", "url": "https://x.com/X"}, False),
        ({"description": "AUTOMATED"}, True),
        ({"badge_url": "https://pbs.twimg.com/semantic_core_img/1428827730364096519/x"}, True),
        ({"badge_url": 5}, False),
        ("X", None),
    ],
)
def test_the_label_is_seen_where_x_shows_it(affiliation: object, automated: object) -> None:
    user = read_user({"id_str": "1", "screen_name": "ada", "affiliation": affiliation})

    assert (user.id, user.username, user.name, user.automated) == ("1", "ada", "", automated)


def test_messages_read_from_the_event_shape_and_from_the_api_shape() -> None:
    event = payload("dm.received")["direct_message_events"][0]
    sent = {"dm_conversation_id": "1-22", "dm_event_id": "9"}
    listed = {
        "event_type": "MessageCreate",
        "id": "8",
        "text": "hi",
        "sender_id": 22,
        "dm_conversation_id": "1-22",
        "created_at": "2026-07-24T21:23:44Z",
        "attachments": {"media_keys": ["3_5"]},
    }

    assert read_message(event) == Message(
        id="2080765901528535096",
        conversation_id="1111111111111111111-2222222222222222222",
        text="hello!",
        sender_id="2222222222222222222",
        created_at=datetime(2026, 7, 24, 21, 23, 44, 372000, tzinfo=UTC),
    )
    assert read_message(sent) == Message(id="9", conversation_id="1-22")
    assert read_message(listed) == Message(
        id="8",
        conversation_id="1-22",
        text="hi",
        sender_id="22",
        created_at=datetime(2026, 7, 24, 21, 23, 44, tzinfo=UTC),
        media=("3_5",),
    )


def test_the_attachment_of_a_message_event_is_its_media() -> None:
    message = read_message(
        {
            "id": "1",
            "message_create": {
                "sender_id": "2",
                "target": {"conversation_id": 77},
                "message_data": {
                    "text": "look",
                    "attachment": {"type": "media", "media": {"id": 5, "id_str": "5"}},
                },
            },
        }
    )

    assert (message.media, message.conversation_id) == (("5",), "77")


def test_a_conversation_is_named_by_the_smaller_id_first_by_number() -> None:
    assert conversation_of("1072250532645998596", "750362064426721281") == (
        "750362064426721281-1072250532645998596"
    )
    assert conversation_of("5", None) == "5"
    assert conversation_of(None, None) == ""


def test_a_page_brings_posts_users_and_what_it_included() -> None:
    page = read_posts(
        Response(
            status=200,
            data=[{"id": "2", "text": "b", "author_id": "7"}, {"text": "no id"}, {"id": "1"}],
            includes={
                "users": [{"data": {"id": "7", "username": "ada", "name": "Ada"}}, {"name": "x"}],
                "tweets": [{"id": "9", "text": "c"}, {"text": "no id"}],
            },
            meta={"newest_id": "2", "next_token": "t"},
        )
    )

    assert page == PostPage(
        posts=(Post(id="2", text="b", author_id="7"), Post(id="1", text="")),
        users={"7": User(id="7", username="ada", name="Ada")},
        included={"9": Post(id="9", text="c")},
        newest_id="2",
        next_token="t",
        skipped=1,
    )


@pytest.mark.parametrize("data", [None, [], "x", {"data": []}])
def test_an_empty_page_has_nothing(data: object) -> None:
    assert read_posts(Response(status=200, data=data)) == PostPage()


@pytest.mark.parametrize("name", [{}, {"username": ""}, {"username": None}])
def test_a_user_without_a_username_counts_as_not_sent(name: dict[str, Any]) -> None:
    data = [{"id": "1", "name": "A"} | name, {"id": "2", "username": "b", "name": "B"}]
    assert [user.id for user in read_users(Response(status=200, data=data))] == ["2"]


def test_one_object_is_a_page_of_one() -> None:
    assert read_posts(Response(status=200, data={"id": "1"})).posts[0].id == "1"
    assert read_users(Response(status=200, data={"id": "1", "username": "a", "name": "A"})) == (
        User(id="1", username="a", name="A"),
    )


def test_joins_and_leaves_of_a_group_are_no_messages() -> None:
    data = [
        {"id": "3", "event_type": "ParticipantsJoin"},
        {"id": "2", "event_type": "MessageCreate", "text": "hi"},
        {"text": "no id"},
        {"id": "1", "event_type": 5},
    ]

    assert [m.id for m in read_messages(Response(status=200, data=data))] == ["2", "1"]


LISTED = {
    "subscription_id": "1",
    "event_type": "post.mention.create",
    "filter": {"user_id": "7"},
    "tag": "botkit:x",
    "webhook_id": 4,
}


@pytest.mark.parametrize(
    "data",
    [
        [LISTED],
        LISTED,
        {"subscription": LISTED},
        {"subscriptions": [LISTED]},
        {"data": [LISTED]},
        [LISTED | {"subscription_id": None, "id": 1}],
    ],
)
def test_subscriptions_read_from_every_shape_that_x_sends(data: object) -> None:
    assert read_subscriptions(Response(status=200, data=data)) == (
        Subscription(
            id="1",
            event_type="post.mention.create",
            user_id="7",
            tag="botkit:x",
            webhook_id="4",
        ),
    )


def test_a_subscription_may_lack_all_but_its_id() -> None:
    found = read_subscriptions(Response(status=200, data=[{"subscription_id": "1"}, {"tag": "x"}]))

    assert found == (Subscription(id="1", event_type=""),)
