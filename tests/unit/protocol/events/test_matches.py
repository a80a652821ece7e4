"""Lines of the filtered stream are posts with the ids of the rules that they matched.

The form of a line rests on X's page "Matching returned Posts"; there is no recorded line here.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from botkit.errors import MalformedAnswer, StreamClosed
from botkit.model.events import Mention, PostSeen
from botkit.protocol.api.responses import Response
from botkit.protocol.events.matches import StoredRule, decode_match, matched, rules_of

POST = {"id": "20", "text": "two cats", "author_id": "7"}
USERS = {"users": [{"id": "7", "username": "ada", "name": "Ada"}]}


def decoded(value: Any) -> Any:
    line = value if isinstance(value, bytes) else json.dumps(value).encode()
    return decode_match(line, account_id="1", username="greeter", source="filtered")


def test_a_line_is_a_post_with_its_author_and_the_ids_of_its_rules() -> None:
    rules = [{"id": "5", "tag": "cats"}, {"id": 6}, {"tag": "no id"}, "no rule"]
    found = decoded({"data": POST, "includes": USERS, "matching_rules": rules})
    assert found.rule_ids == ("5", "6")
    assert isinstance(found.event, PostSeen)
    assert (found.event.id, found.event.author.username, found.event.source) == (
        "20",
        "ada",
        "filtered",
    )


def test_a_post_is_a_match_whatever_it_says_of_the_account() -> None:
    text = "@greeter cats"
    mentions = {"mentions": [{"start": 0, "end": 8, "username": "greeter", "id": "1"}]}
    post = POST | {"text": text, "entities": mentions}
    event = decoded({"data": post, "matching_rules": []}).event
    assert isinstance(event, Mention)
    match = matched(event, tag="cats", rule="cats")
    assert (match.key, match.is_summoned) == ("match/20/0/cats", True)


@pytest.mark.parametrize(
    "value",
    [b"[]", b"5", {}, {"data": []}, {"data": {"text": "no id"}}, {"meta": {"sent": "now"}}],
)
def test_a_message_that_holds_no_post_is_left_out(value: Any) -> None:
    assert decoded(value) is None


@pytest.mark.parametrize("includes", [None, [], 5])
def test_odd_includes_cost_no_post(includes: Any) -> None:
    found = decoded({"data": POST, "includes": includes})
    assert (found.event.missing, found.rule_ids) == (("author",), ())


_END = {"title": "operational-disconnect", "disconnect_type": "UpstreamOperationalDisconnect"}


@pytest.mark.parametrize("errors", [_END, [_END]])
def test_an_error_in_the_stream_ends_it(errors: Any) -> None:
    with pytest.raises(StreamClosed, match="operational-disconnect"):
        decoded({"errors": errors})


def test_a_line_that_is_no_json_is_malformed() -> None:
    with pytest.raises(MalformedAnswer, match="no JSON"):
        decoded(b"{")


def test_rules_are_read_from_a_listing_that_may_have_none() -> None:
    rows = [{"id": "5", "value": "cats", "tag": "c"}, {"id": "6", "value": "dogs"}, {"id": "7"}, 8]
    assert rules_of(Response(status=200, data=rows)) == [
        StoredRule(id="5", value="cats", tag="c"),
        StoredRule(id="6", value="dogs"),
    ]
    assert rules_of(Response(status=200)) == []
