from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from botkit.model.sources import Rule
from botkit.protocol.api import push_requests, requests
from botkit.protocol.api.operations import match
from botkit.protocol.api.requests import Request, respelled, stripped

IDS = ["1", "2", "3"]
AT = datetime(2026, 11, 21, 13, 0, tzinfo=timezone(timedelta(hours=1)))

EVERY_CALL = [
    requests.create_post("hello"),
    requests.delete_post("12"),
    requests.get_post("12"),
    requests.get_me(),
    requests.get_users(IDS),
    requests.get_users_by(["ada", "bob"]),
    requests.get_mentions("12", since_id="5"),
    requests.get_user_posts("12", start_time=AT),
    requests.send_message(participant_id="12", text="hello"),
    requests.send_message(conversation_id="1-2", text="hello"),
    requests.get_dm_events(),
    requests.get_dm_events(participant_id="12"),
    requests.get_dm_events(conversation_id="1-2"),
    push_requests.create_subscription("post.mention.create", user_id="12", tag="botkit"),
    push_requests.list_subscriptions(),
    push_requests.delete_subscriptions(IDS),
    push_requests.activity_stream(),
    push_requests.move_subscription("12", webhook_id="34"),
    push_requests.list_webhooks(),
    push_requests.create_webhook("https://bot.example/x"),
    push_requests.validate_webhook("34"),
    push_requests.delete_webhook("34"),
    push_requests.replay_webhook("34", since=AT, until=AT),
    push_requests.list_rules(),
    push_requests.add_rules([Rule(value="cats", tag="c")]),
    push_requests.delete_rules(IDS),
    push_requests.filtered_stream(),
    push_requests.filtered_connections(),
    push_requests.close_connections(["u1"]),
    requests.search_recent("cats"),
    requests.get_home_timeline("12"),
    requests.get_list_posts("12"),
    requests.get_usage(),
]


@pytest.mark.parametrize("request_", EVERY_CALL, ids=lambda request: request.name)
def test_every_call_is_the_operation_that_its_method_and_path_say(request_: Request) -> None:
    found = match(request_.method, request_.path)
    assert found is not None
    assert found.id == request_.operation


def test_each_builder_is_among_them() -> None:
    built = {call.operation for call in EVERY_CALL}
    for module in (requests, push_requests):
        source = Path(str(module.__file__)).read_text()
        assert set(re.findall(r'operation="(\w+)"', source)) <= built


def test_what_is_the_apps_is_asked_for_with_its_bearer_token() -> None:
    assert {call.operation for call in EVERY_CALL if call.as_app} == {
        "activityStream",
        "createWebhookReplayJob",
        "createWebhooks",
        "deleteActivitySubscriptionsByIds",
        "deleteConnectionsByUuids",
        "deleteWebhooks",
        "getActivitySubscriptions",
        "getConnectionHistory",
        "getRules",
        "getWebhooks",
        "streamPosts",
        "updateActivitySubscription",
        "updateRules",
        "validateWebhooks",
    }


def test_a_stream_costs_nothing_to_open() -> None:
    for call in (push_requests.activity_stream(), push_requests.filtered_stream()):
        assert call.resources == 0


def test_rules_are_asked_for_by_the_thousand_added_with_their_tags_and_only_checked_on_request() -> (
    None
):
    assert dict(push_requests.list_rules(pagination_token="p").query) == {
        "max_results": "1000",
        "pagination_token": "p",
    }
    rules = [Rule(value="cats", tag="c"), Rule(value="dogs", tag="d")]
    added = push_requests.add_rules(rules)
    assert body(added) == {"add": [{"value": "cats", "tag": "c"}, {"value": "dogs", "tag": "d"}]}
    assert added.query == ()
    assert push_requests.add_rules(rules, dry_run=True).query == (("dry_run", "true"),)
    deleted = push_requests.delete_rules(IDS)
    assert (body(deleted), deleted.query) == ({"delete": {"ids": IDS}}, ())


def body(request: Request) -> Any:
    assert request.json is not None
    return msgspec.json.decode(request.json)


def test_a_post_has_its_text_and_nothing_that_x_would_refuse() -> None:
    assert body(requests.create_post("hello ☃")) == {"text": "hello ☃"}


def test_a_reply_names_the_post_it_answers() -> None:
    reply = requests.create_post("hi", in_reply_to="99", summoned=True, has_link=True)
    assert body(reply) == {"text": "hi", "reply": {"in_reply_to_tweet_id": "99"}}
    assert reply.summoned
    assert reply.has_link


def test_a_name_is_method_and_path() -> None:
    assert requests.create_post("secret plans").name == "POST /2/tweets"


def test_look_ups_name_all_ids_and_what_they_cost() -> None:
    request = requests.get_users(IDS)
    assert dict(request.query)["ids"] == "1,2,3"
    assert request.resources == 3
    assert dict(requests.get_users_by(["ada", "bob"]).query)["usernames"] == "ada,bob"


def test_posts_come_with_what_events_need() -> None:
    query = dict(requests.get_post("12").query)
    assert "display_text_range" in query["tweet.fields"].split(",")
    assert query["expansions"] == "author_id,referenced_tweets.id,referenced_tweets.id.author_id"
    assert "affiliation" in query["user.fields"].split(",")


@pytest.mark.parametrize("build", [requests.get_users, push_requests.delete_subscriptions])
@pytest.mark.parametrize("ids", [[], ["1"] * 101, ["1,2"], [""]])
def test_lists_that_x_would_not_take_are_refused(
    build: Callable[[list[str]], Request], ids: list[str]
) -> None:
    with pytest.raises(ValueError, match=r"at a time|comma"):
        build(ids)


def test_a_page_of_mentions_says_from_where_to_where() -> None:
    request = requests.get_mentions(
        "12", since_id="5", until_id="9", start_time=AT, pagination_token="p", max_results=50
    )
    assert request.path == "/2/users/12/mentions"
    assert request.resources == 50
    assert dict(request.query) | {
        "max_results": "50",
        "since_id": "5",
        "until_id": "9",
        "start_time": "2026-11-21T12:00:00Z",
        "pagination_token": "p",
    } == dict(request.query)


def test_what_is_not_given_is_not_sent() -> None:
    assert {name for name, _ in requests.get_user_posts("12").query} == {
        "max_results",
        "tweet.fields",
        "expansions",
        "user.fields",
    }


def test_a_message_goes_to_exactly_one_place() -> None:
    assert body(requests.send_message(participant_id="12", text="hi")) == {"text": "hi"}
    for places in ({}, {"participant_id": "12", "conversation_id": "1-2"}):
        with pytest.raises(ValueError, match="participant"):
            requests.send_message(text="hi", **places)
    with pytest.raises(ValueError, match="participant"):
        requests.get_dm_events(participant_id="12", conversation_id="1-2")


def test_messages_are_asked_for_without_the_comings_and_goings() -> None:
    query = dict(requests.get_dm_events(pagination_token="p").query)
    assert query["event_types"] == "MessageCreate"
    assert query["pagination_token"] == "p"


def test_a_subscription_names_event_user_and_tag() -> None:
    request = push_requests.create_subscription("dm.received", user_id="12", tag="botkit:12")
    assert body(request) == {
        "event_type": "dm.received",
        "filter": {"user_id": "12"},
        "tag": "botkit:12",
    }
    request = push_requests.create_subscription("a", user_id=None, tag="t", webhook_id="34")
    assert body(request)["webhook_id"] == "34"
    assert dict(push_requests.list_subscriptions(pagination_token="p").query) == {
        "max_results": "1000",
        "pagination_token": "p",
    }


def test_a_replay_is_asked_for_by_the_minute_in_utc() -> None:
    # Source: X API docs, "Webhooks": POST /2/webhooks/replay.
    request = push_requests.replay_webhook("34", since=AT, until=AT + timedelta(hours=1))
    assert body(request) == {
        "webhook_id": "34",
        "from_date": "202611211200",
        "to_date": "202611211300",
    }


def test_the_stream_fills_back_five_minutes_at_most() -> None:
    assert push_requests.activity_stream().query == ()
    assert push_requests.activity_stream(backfill_minutes=5).query == (("backfill_minutes", "5"),)
    for minutes in (-1, 6):
        with pytest.raises(ValueError, match="0 to 5"):
            push_requests.activity_stream(backfill_minutes=minutes)
    filled = dict(push_requests.filtered_stream(backfill_minutes=5).query)
    assert filled == dict(requests.get_post("1").query) | {"backfill_minutes": "5"}


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_whatever_an_id_is_it_stays_one_segment_of_the_path(an_id: str) -> None:
    if an_id in {"", ".", ".."}:
        with pytest.raises(ValueError, match="no id"):
            requests.get_post(an_id)
        return
    path = requests.get_post(an_id).path
    assert path.count("/") == 3
    assert path.isascii()
    assert not set(path) & set(" ?#\\")


def test_the_other_spelling_names_the_same_things_as_xs_document_does() -> None:
    query = dict(respelled(requests.get_mentions("12", since_id="5")).query)
    assert query == {
        "max_results": "100",
        "since_id": "5",
        "post.fields": "attachments,conversation_id,created_at,display_text_range,entities,lang,"
        "note_post,reply_settings",
        "user.fields": "description,protected",
        "expansions": "author_id,referenced_posts",
    }


def test_users_in_the_other_spelling_have_the_label_as_an_expansion() -> None:
    assert dict(respelled(requests.get_me()).query) == {
        "user.fields": "description,protected",
        "expansions": "affiliation",
    }


def test_messages_in_the_other_spelling_expand_the_sender() -> None:
    query = dict(respelled(requests.get_dm_events()).query)
    assert "sender_id" not in query["dm_event.fields"].split(",")
    assert query["expansions"].split(",") == ["sender_id", "affiliation"]


@pytest.mark.parametrize(
    "request_",
    [requests.create_post("x"), push_requests.activity_stream(), requests.delete_post("1")],
)
def test_a_call_without_fields_is_the_same_in_both_spellings(request_: Request) -> None:
    assert respelled(request_) == request_


def test_users_and_usage_can_be_asked_for_without_any_optional_field() -> None:
    assert [stripped(ask) for ask in (requests.get_post("1"), requests.get_mentions("12"))] == [
        None,
        None,
    ]
    asks = (requests.get_me(), respelled(requests.get_me()), requests.get_usage())
    assert [less.query for ask in asks if (less := stripped(ask))] == [(), (), ()]
    users = stripped(requests.get_users(["1", "2"]))
    assert users is not None
    assert users.query == (("ids", "1,2"),)


def test_times_are_sent_in_utc() -> None:
    request = requests.get_user_posts("12", start_time=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert dict(request.query)["start_time"] == "2026-01-02T03:04:05Z"
