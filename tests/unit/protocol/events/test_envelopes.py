"""The thorough reading: messages, revocations, unknown kinds, objects without an envelope."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from botkit.model.events import (
    ActivityEvent,
    DirectMessage,
    GrantRevoked,
    Mention,
    UnknownEvent,
    XEvent,
)
from botkit.protocol.events.activity import Hearing, decode_events, decode_line

WIRE = Path(__file__).parents[3] / "wire" / "activity"
ME = "1111111111111111111"
NOW = datetime(2026, 8, 1, tzinfo=UTC)


def sample(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((WIRE / f"{name}.json").read_bytes())
    return found


def line_of(value: object) -> bytes:
    return json.dumps(value).encode()


def decoded(value: object, **hearing: Any) -> XEvent:
    return decode_line(line_of(value), hearing=Hearing(**hearing))


def changed(name: str, **payload: object) -> dict[str, Any]:
    found = sample(name)
    found["data"]["payload"] |= payload
    return found


def numbered(value: Any, name: str = "") -> Any:
    """The same JSON with numbers for ids."""
    if isinstance(value, dict):
        return {key: numbered(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [numbered(item, name) for item in value]
    if isinstance(value, str) and value.isdigit() and name.endswith(("id", "ids")):
        return int(value)
    return value


def test_a_message_has_its_sender_and_its_conversation() -> None:
    event = decoded(sample("dm.received"))

    assert isinstance(event, DirectMessage)
    assert event.sender.username == "OtherUser"
    assert event.conversation_id == "1111111111111111111-2222222222222222222"
    assert event.at == datetime(2026, 7, 24, 21, 23, 44, 372000, tzinfo=UTC)
    assert not event.sent_by_me
    assert decoded(numbered(sample("dm.received"))) == event


def test_a_sent_message_is_the_accounts_own() -> None:
    envelope = sample("dm.received")
    envelope["data"] |= {"event_type": "dm.sent", "filter": {"user_id": "2222222222222222222"}}

    event = decoded(envelope)

    assert isinstance(event, DirectMessage)
    assert event.sent_by_me


@pytest.mark.parametrize(
    ("kind", "account"), [("dm.received", ME), ("dm.sent", "2222222222222222222")]
)
def test_a_message_without_a_filter_is_for_whom_it_reached(kind: str, account: str) -> None:
    envelope = sample("dm.received")
    envelope["data"] |= {"event_type": kind, "filter": {}}

    assert decoded(envelope).account_id == account


def test_several_messages_of_one_envelope_are_several_events() -> None:
    envelope = sample("dm.received")
    events = envelope["data"]["payload"]["direct_message_events"]
    events.append(json.loads(json.dumps(events[0]).replace("2080765901528535096", "77")))
    events.append({"type": "message_create"})
    line = line_of(envelope)

    assert [event.key for event in decode_events(line)] == ["dm/2080765901528535096", "dm/77"]
    assert decode_line(line).key == "dm/2080765901528535096"


def test_a_message_without_users_or_peer_is_completed_as_far_as_it_goes() -> None:
    envelope = sample("dm.received")
    envelope["data"]["payload"]["users"] = [{"id": "5", "username": "x"}, None]
    del envelope["data"]["payload"]["direct_message_events"][0]["message_create"]["target"]

    event = decoded(envelope)

    assert isinstance(event, DirectMessage)
    assert event.missing == ("sender",)
    assert event.sender.id == "2222222222222222222"
    assert event.conversation_id == "1111111111111111111-2222222222222222222"


def test_a_message_without_a_sender_is_still_an_event() -> None:
    event = decoded(
        {"data": {"event_type": "dm.received", "payload": {"id": "5", "text": "hi"}}}, now=NOW
    )

    assert isinstance(event, DirectMessage)
    assert (event.sender.id, event.conversation_id, event.account_id) == ("", "", "")
    assert event.at == NOW


def test_an_envelope_of_messages_without_any_is_unknown_and_says_so() -> None:
    event = decoded(
        {"data": {"event_type": "dm.received", "payload": {"direct_message_events": []}}}
    )

    assert isinstance(event, UnknownEvent)
    assert event.missing == ("message",)


def test_messages_are_heard_from_reads_too() -> None:
    answer = {
        "data": [
            {
                "event_type": "MessageCreate",
                "id": "8",
                "text": "hi",
                "sender_id": "22",
                "dm_conversation_id": "1-22",
            },
            {"event_type": "ParticipantsJoin", "id": "9", "dm_conversation_id": "7"},
            {"dm_conversation_id": "1-22", "dm_event_id": "10"},
        ],
        "includes": {"users": [{"id": "22", "username": "ada", "name": "Ada"}]},
    }

    events = decode_events(line_of(answer), hearing=Hearing(account_id="1", source="messages"))

    assert [(type(event), event.key) for event in events] == [
        (DirectMessage, "dm/8"),
        (UnknownEvent, "ParticipantsJoin/9/"),
        (DirectMessage, "dm/10"),
    ]
    assert isinstance(events[0], DirectMessage)
    assert events[0].sender.username == "ada"
    assert {event.account_id for event in events} == {"1"}


def test_posts_of_reads_and_of_the_filtered_stream_are_events() -> None:
    data = {"id": "5", "text": "hi @me", "author_id": "22"}
    includes = {"users": [{"id": "22", "username": "ada", "name": "Ada"}]}
    line = line_of({"data": data, "includes": includes, "matching_rules": [{"id": "1"}]})

    event = decode_line(
        line, hearing=Hearing(account_id="1", usernames={"1": "me"}, source="stream")
    )

    assert isinstance(event, Mention)
    assert (event.source, event.author.username) == ("stream", "ada")
    assert decoded(data | {"author": {"data": {"id": "22", "username": "ada"}}}).missing == ()


def test_old_webhooks_of_messages_are_understood() -> None:
    payload = sample("dm.received")["data"]["payload"]

    event = decoded({"for_user_id": ME, **payload})

    assert isinstance(event, DirectMessage)
    assert event.account_id == ME


def test_a_revoked_grant_names_user_and_app() -> None:
    event = decoded(sample("oauth.revoke"))

    assert isinstance(event, GrantRevoked)
    assert (event.account_id, event.user_id, event.app_id) == (ME, ME, "29820954")
    assert event.at == datetime(2026, 7, 23, 21, 44, 5, tzinfo=UTC)


def test_a_revoked_grant_of_nobody_is_unknown() -> None:
    event = decoded({"data": {"event_type": "oauth.revoke", "payload": None, "filter": {}}})

    assert isinstance(event, UnknownEvent)
    assert event.missing == ("user",)


def test_an_event_keeps_its_name_and_all_that_came() -> None:
    envelope = sample("profile.update.bio")

    event = decoded(envelope, now=NOW)

    assert isinstance(event, ActivityEvent)
    assert (event.kind, event.raw) == ("profile.update.bio", envelope["data"])
    assert (event.account_id, event.actor_id, event.at) == (ME, ME, NOW)
    assert event.lane == f"actor/{ME}"


def test_two_changes_of_a_profile_are_two_events() -> None:
    one, other = sample("profile.update.bio"), changed("profile.update.bio", after="Else")

    assert decoded(one).key != decoded(other).key
    one["data"]["event_uuid"] = "another delivery"
    assert decoded(one).key == decoded(sample("profile.update.bio")).key


def test_two_likes_of_one_post_by_unknown_users_are_two_events() -> None:
    one = sample("like.create")
    one["data"]["filter"]["direction"] = "inbound"
    other = json.loads(json.dumps(one).replace("87719f50", "99999999"))

    assert decoded(one).key == "like.create/87719f50ee17bdfa06a3089098a2b9ed/"
    assert decoded(one).key != decoded(other).key


@pytest.mark.parametrize(
    ("part", "value"),
    [("filter", "x"), ("includes", [1]), ("event_uuid", -5), ("tag", []), ("event_uuid", None)],
)
def test_an_envelope_with_an_odd_part_is_still_an_event(part: str, value: object) -> None:
    envelope = sample("post.mention.create")
    envelope["data"][part] = value

    event = decoded(envelope, account_id=ME, usernames={ME: "ExampleUser"})

    assert isinstance(event, Mention)
    assert event.account_id == ME


def test_an_envelope_without_its_kind_is_told_by_its_payload() -> None:
    post, message = sample("post.mention.create"), sample("dm.received")
    for envelope in (post, message):
        envelope["data"]["event_type"] = None

    assert type(decoded(post)) is Mention
    assert type(decoded(message)) is DirectMessage


def test_an_envelope_of_no_kind_at_all_is_unknown() -> None:
    event = decoded({"data": {"event_type": 5, "payload": {"x": 1}}})

    assert isinstance(event, UnknownEvent)
    assert (event.kind, event.undecoded) == ("unknown", {"event_type": 5})


def test_a_post_of_a_kind_that_nobody_knows_is_unknown() -> None:
    envelope = sample("post.mention.create")
    envelope["data"]["event_type"] = "post.pin.create"

    event = decoded(envelope)

    assert isinstance(event, UnknownEvent)
    assert (event.kind, event.actor_id) == ("post.pin.create", "2222222222222222222")


def test_an_object_without_an_envelope_is_named_by_its_one_part() -> None:
    job = {"replay_job_status": {"job_id": "5", "job_state": "Complete"}}

    event = decoded(job)

    assert isinstance(event, UnknownEvent)
    assert (event.kind, event.raw) == ("replay_job_status", job)


@pytest.mark.parametrize(
    "value", [5, "x", None, True, {}, [], [[]], {"data": None}, {"data": []}, {"data": [5]}]
)
def test_json_that_is_nothing_of_x_is_an_unknown_event(value: object) -> None:
    event = decoded(value, account_id="1", now=NOW)

    assert isinstance(event, UnknownEvent)
    assert (event.account_id, event.at) == ("1", NOW)
