"""Events as the store keeps them, and as they are told."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from botkit.errors import UndecodableEvent
from botkit.model.events import (
    AccountState,
    Authorized,
    DirectMessage,
    Event,
    GrantRevoked,
    Mention,
    PostEvent,
    PostSeen,
    Quote,
    Reply,
    Signal,
    Tick,
    UnknownEvent,
)
from botkit.model.messages import Message
from botkit.model.posts import MentionEntity, Post
from botkit.model.triggers import Trigger
from botkit.model.users import User
from botkit.protocol.events import codec
from botkit.protocol.events.codec import decode_event, describe, encode_event, kind_of
from botkit.protocol.events.matches import matched

NOW = datetime(2026, 7, 24, 21, 23, 23, tzinfo=UTC)
ADA = User(id="22", username="ada", name="Ada")
POST = Post(
    id="9",
    text="hey @greeter",
    author_id="22",
    created_at=NOW,
    lang="en",
    mentions=(MentionEntity(username="greeter", start=4, end=12, id="1"),),
    display_text_range=(0, 12),
)
MENTION = Mention(account_id="1", at=NOW, source="activity", post=POST, author=ADA)
MESSAGE = DirectMessage(
    account_id="1",
    at=NOW,
    message=Message(id="5", conversation_id="1-22", text="hi", sender_id="22", media=("3_1",)),
    sender=User(id="22", username="ada", name="Ada", automated=True),
)


class Remind(Signal, frozen=True, kw_only=True):
    asked: Mention
    what: str
    after: timedelta = timedelta(0)


REMIND = Remind(asked=MENTION, what="tea", after=timedelta(minutes=5))

STATE = AccountState(
    account_id="1",
    at=NOW,
    username="greeter",
    app="default",
    credential="UserToken",
    gen=2,
    status="DEAD",
    before="UNCERTAIN",
    reason="revoked",
    next_step="botkit setup",
)
EVENTS = [
    (MENTION, "mention"),
    (Reply(account_id="1", at=NOW, post=POST, author=ADA, missing=("author",)), "reply"),
    (Quote(account_id="1", at=NOW, post=POST, author=ADA, quotes_me=True), "quote"),
    (PostSeen(account_id="1", at=NOW, post=POST, author=ADA, undecoded={"a": [1]}), "post_seen"),
    (MESSAGE, "direct_message"),
    (GrantRevoked(account_id="1", at=NOW, user_id="1", app_id="7"), "grant_revoked"),
    (UnknownEvent(account_id="1", at=NOW, kind="x.y", raw={"a": [None, 1.5]}), "unknown"),
    (Authorized(account_id="1", at=NOW, username="greeter", credential="c"), "authorized"),
    (STATE, "account_state"),
    (Tick(account_id="1", at=NOW, schedule="daily"), "tick"),
    (Trigger(account_id="1", at=NOW, name="a", data={"b": [1]}, delivery="c"), "trigger"),
    (REMIND, "signal/Remind"),
]


@pytest.mark.parametrize(("event", "kind"), EVENTS, ids=lambda value: getattr(value, "tag", None))
def test_a_stored_event_comes_back_the_same(event: Event, kind: str) -> None:
    stored_kind, body = encode_event(event)

    assert (stored_kind, kind_of(type(event))) == (kind, kind)
    found = decode_event(stored_kind, body, {"Remind": Remind})
    assert type(found) is type(event)
    assert found == event


def test_a_class_that_stands_for_several_kinds_has_none_of_its_own() -> None:
    assert kind_of(PostEvent) == ""


def test_a_tick_keeps_its_own_zone() -> None:
    zone = timezone(timedelta(hours=2))
    tick = Tick(account_id="1", at=datetime(2026, 7, 24, 8, tzinfo=zone), schedule="daily")

    found = decode_event(*encode_event(tick), {})

    assert isinstance(found, Tick)
    assert (found.at.utcoffset(), found.key) == (timedelta(hours=2), tick.key)


def test_a_signal_of_a_class_that_is_gone_names_those_that_are_there() -> None:
    kind, body = encode_event(REMIND)

    with pytest.raises(UndecodableEvent, match="Remind is known; known: none") as lost:
        decode_event(kind, body, {})

    assert "signal/Remind" in lost.value.hint
    with pytest.raises(UndecodableEvent, match="known: Later, Sooner"):
        decode_event(kind, body, {"Sooner": type(REMIND), "Later": type(REMIND)})


def test_a_signal_of_a_class_that_has_changed_says_what_does_not_fit() -> None:
    with pytest.raises(UndecodableEvent, match=r"signal/Remind cannot be read: .*asked"):
        decode_event("signal/Remind", b'{"what":"tea"}', {"Remind": Remind})


@pytest.mark.parametrize("body", [b"", b"{}", b'{"type":"nonsense"}', b"[" * 5000])
def test_a_damaged_body_is_told(body: bytes) -> None:
    with pytest.raises(UndecodableEvent, match="mention cannot be read"):
        decode_event("mention", body, {})


def test_a_post_event_is_described_whole_in_a_fixed_order() -> None:
    assert list(describe(MENTION).items()) == [
        ("type", "Mention"),
        ("key", "post/9/0"),
        ("account_id", "1"),
        ("at", "2026-07-24T21:23:23Z"),
        ("source", "activity"),
        ("missing", []),
        (
            "post",
            {
                "id": "9",
                "text": "hey @greeter",
                "author_id": "22",
                "conversation_id": None,
                "created_at": "2026-07-24T21:23:23Z",
                "lang": "en",
                "in_reply_to_post_id": None,
                "in_reply_to_user_id": None,
                "quoted_post_id": None,
                "mentions": [{"id": "1", "username": "greeter", "start": 4, "end": 12}],
            },
        ),
        ("author", {"id": "22", "username": "ada", "name": "Ada"}),
    ]


def test_what_a_post_refers_to_is_described_by_name() -> None:
    refers = {
        "conversation_id": "4",
        "in_reply_to_post_id": "5",
        "in_reply_to_user_id": "6",
        "quoted_post_id": "7",
    }
    post = msgspec.structs.replace(MENTION.post, **refers)
    told = describe(msgspec.structs.replace(MENTION, post=post))["post"]
    assert refers.items() <= told.items()


def test_a_message_is_described_with_its_sender() -> None:
    told = describe(MESSAGE)

    assert told["message"] == {
        "id": "5",
        "conversation_id": "1-22",
        "text": "hi",
        "sender_id": "22",
        "media": ["3_1"],
    }
    assert told["sender"] == {"id": "22", "username": "ada", "name": "Ada", "automated": True}


@pytest.mark.parametrize(
    ("event", "rest"),
    [
        (EVENTS[5][0], {"user_id": "1", "app_id": "7"}),
        (
            EVENTS[6][0],
            {"kind": "x.y", "subject_id": "", "actor_id": "", "raw": {"a": [None, 1.5]}},
        ),
        (EVENTS[9][0], {"schedule": "daily"}),
        (
            STATE,
            {
                "username": "greeter",
                "app": "default",
                "credential": "UserToken",
                "gen": 2,
                "status": "DEAD",
                "before": "UNCERTAIN",
                "reason": "revoked",
                "next_step": "botkit setup",
            },
        ),
        (
            EVENTS[7][0],
            {"username": "greeter", "credential": "c"},
        ),
    ],
)
def test_other_events_are_described_with_what_is_theirs(
    event: Event, rest: dict[str, object]
) -> None:
    told = describe(event)

    usual = {"type", "key", "account_id", "at", "source", "missing"}
    assert {name: value for name, value in told.items() if name not in usual} == rest
    assert told["type"] == type(event).__name__


def test_a_match_is_described_with_its_tag_and_its_rule() -> None:
    told = describe(matched(MENTION, tag="cats", rule="cats -is:retweet"))

    assert (told["type"], told["tag"], told["rule"]) == ("PostMatched", "cats", "cats -is:retweet")
    assert told["post"] == describe(MENTION)["post"]


def test_what_could_not_be_read_is_told_only_when_there_is_some() -> None:
    assert describe(EVENTS[3][0])["undecoded"] == {"a": [1]}
    assert "undecoded" not in describe(MENTION)


def test_a_signal_is_described_by_its_fields() -> None:
    told = describe(REMIND)

    assert (told["type"], told["what"]) == ("Remind", "tea")
    assert msgspec.json.encode(told)


VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text())["events"]


@pytest.mark.parametrize("kept", VECTORS, ids=lambda kept: kept["kind"])
def test_an_event_of_an_earlier_version_is_read_with_the_key_and_the_lane_it_had(
    kept: dict[str, str],
) -> None:
    event = decode_event(kept["kind"], kept["body"].encode(), {"Remind": Remind})
    assert kind_of(type(event)) == kept["kind"]
    assert getattr(event, "key", "") == kept["key"]
    assert getattr(event, "lane", "") == kept["lane"]
    again = json.loads(encode_event(event)[1])
    assert again | json.loads(kept["body"]) == again


def test_there_is_a_vector_of_every_kind_that_is_stored() -> None:
    assert {kept["kind"] for kept in VECTORS} == {
        kind_of(one) for one in get_args(codec._Stored)
    } | {"signal/Remind"}
