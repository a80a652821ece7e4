"""Parameters, ids and parts of posts that X refuses, in X's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from botkit.protocol.api.operations import Operation, all_operations
from tests.unit.sandbox.conftest import PLAYED

if TYPE_CHECKING:
    from tests.unit.sandbox.conftest import Peer

INVALID = {
    "title": "Invalid Request",
    "detail": "One or more parameters to your request was invalid.",
    "type": "https://api.twitter.com/2/problems/invalid-request",
}


async def refusal(peer: Peer, read: Any, path: str, *, token: str = "") -> tuple[Any, str]:
    """The parameters and the message of a refusal."""
    answer = await peer.call("GET", path, token=token or peer.token())
    body = read(answer)
    assert answer.status == 400, body
    [error] = body.pop("errors")
    assert body == INVALID
    return error["parameters"], error["message"]


@pytest.mark.parametrize(
    ("query", "parameters", "message"),
    [
        ("dummy=value", {"dummy": ["value"]}, "The query parameter [dummy] is not one of [id,"),
        ("next_token=7", {"next_token": ["7"]}, "The query parameter [next_token] is not one of"),
        (
            "max_results=4",
            {"max_results": ["4"]},
            "The `max_results` query parameter value [4] is not between 5 and 100",
        ),
        (
            "max_results=²",
            {"max_results": ["²"]},
            "The `max_results` query parameter value [²] is not between 5 and 100",
        ),
        (
            "tweet.fields=id,user",
            {"tweet.fields": ["id,user"]},
            "The `tweet.fields` query parameter value [user] is not one of [article,attachments,",
        ),
        (
            "user.fields=wrong_field",
            {"user.fields": ["wrong_field"]},
            "The `user.fields` query parameter value [wrong_field] is not one of [affiliation,",
        ),
        (
            "expansions=bogus",
            {"expansions": ["bogus"]},
            "The `expansions` query parameter value [bogus] is not one of [",
        ),
        ("since_id=x", {"since_id": ["x"]}, "The `since_id` query parameter value [x] is not"),
        (
            "start_time=today",
            {"start_time": ["today"]},
            "The `start_time` query parameter value [today] is not a valid RFC3339 time",
        ),
        (
            "max_results=5&max_results=6",
            {"max_results": ["5"]},
            "Duplicate parameters are not allowed: the `max_results` query parameter",
        ),
        ("id=1", None, "Duplicate parameters are not allowed: the `id` query parameter"),
        ("expansions=", {"expansions": [""]}, "The `expansions` query parameter can not be empty"),
        (
            "pagination_token=%F0%9F%98%80",
            {"pagination_token": ["😀"]},
            "The `pagination_token` query parameter value [😀] is not valid",
        ),
    ],
)
async def test_a_wrong_parameter_is_named(
    peer: Peer, read: Any, query: str, parameters: Any, message: str
) -> None:
    path = f"/2/users/{peer.greeter.id}/mentions?{query}"
    named, said = await refusal(peer, read, path)
    assert parameters is None or named == parameters
    assert said.startswith(message)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/2/tweets/:id", "The `id` query parameter value [:id] is not valid"),
        ("/2/tweets/search", "The `id` query parameter value [search] is not valid"),
        ("/2/users/12345678901234567890", "The `id` query parameter value [12345678901234567890]"),
        ("/2/tweets?ids=1,x", "The `ids` query parameter value [x] is not valid"),
        ("/2/tweets", "The `ids` query parameter can not be empty"),
        (
            "/2/users/by/username/sixteen_letters_",
            "The `username` query parameter value [sixteen_letters_] does not match ^[A-Za-z0-9_]",
        ),
        ("/2/users/by?usernames=a,b-c", "The `usernames` query parameter value [b-c] does not"),
    ],
)
async def test_an_id_that_can_be_none_is_refused(
    peer: Peer, read: Any, path: str, message: str
) -> None:
    assert (await refusal(peer, read, path))[1].startswith(message)


async def test_more_ids_than_a_call_takes_are_refused(peer: Peer, read: Any) -> None:
    ids = ",".join(str(number) for number in range(101))
    _, said = await refusal(peer, read, f"/2/tweets?ids={ids}")
    assert said.endswith("list [101] is not between 1 and 100")


def filled(operation: Operation) -> str:
    return operation.path.replace("{", "").replace("}", "")


NOT_HERE = [operation for operation in all_operations() if operation not in PLAYED]


@pytest.mark.parametrize("operation", NOT_HERE, ids=lambda one: one.id)
async def test_what_is_not_played_says_so(peer: Peer, read: Any, operation: Operation) -> None:
    answer = await peer.call(operation.method, filled(operation), token=peer.token())
    assert answer.status == 501
    assert f"does not play {operation.method} {filled(operation)}" in read(answer)["detail"]


async def test_a_path_that_x_does_not_have_is_not_found(peer: Peer) -> None:
    for path in ("/2/nothing", "/2/tweets/", "/2//tweets", "/", "/3/tweets", "//["):
        assert (await peer.call("GET", path, token=peer.token())).status == 404
    assert (await peer.call("PATCH", "/2/tweets/1", token=peer.token())).status == 405


POST = "/2/tweets"
NOT_PLAYED = {
    "poll": {"options": ["yes", "no"], "duration_minutes": 5},
    "edit_options": {"previous_post_id": "1"},
    "community_id": "1",
    "share_with_followers": True,
    "geo": {"place_id": "df51dec6f4ee2b2c"},
    "for_super_followers_only": True,
    "nullcast": True,
    "direct_message_deep_link": "https://x.com/messages/compose?recipient_id=1",
    "card_uri": "card://1",
}


@pytest.mark.parametrize("name", NOT_PLAYED)
async def test_no_part_of_a_post_is_thrown_away(peer: Peer, read: Any, name: str) -> None:
    body = {"text": "hi", name: NOT_PLAYED[name]}
    answer = await peer.call("POST", POST, token=peer.token(), body=body)
    assert answer.status == 501
    assert f"`{name}`" in read(answer)["detail"]
    assert not peer.world.posts


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"media": {"media_ids": ["1"]}}, "Your media IDs are invalid."),
        ({"media": {"media_ids": []}}, "$.media.media_ids: "),
        ({"media": {"media_ids": ["1"] * 5}}, "$.media.media_ids: "),
        ({"media": {"media_ids": ["7_1"]}}, "$.media.media_ids[0]: "),
        ({"poll": {"options": ["yes", "no"]}}, "$.poll.duration_minutes: is missing but"),
        ({"poll": {"options": ["yes"], "duration_minutes": 5}}, "$.poll.options: "),
        ({"poll": {"options": ["y", "n"], "duration_minutes": 4}}, "$.poll.duration_minutes: "),
        ({"poll": {"options": ["y" * 26, "n"], "duration_minutes": 5}}, "$.poll.options[0]: "),
        ({"reply": {}}, "$.reply.in_reply_to_tweet_id: is missing but it is required"),
        ({"reply": {"in_reply_to_tweet_id": "x"}}, "$.reply.in_reply_to_tweet_id: "),
        ({"edit_options": {"previous_post_id": 1}}, "$.edit_options.previous_post_id: "),
        ({"reply_settings": "nobody"}, "$.reply_settings: "),
        ({"text": 5}, "$.text: "),
        ({"made_with_ai": "yes"}, "$.made_with_ai: "),
        ({"colour": "red"}, "$.colour: is not defined in the schema and the schema does not"),
        ({"geo": {"lat": "1"}}, "$.geo.lat: is not defined in the schema"),
        (
            {"card_uri": "c", "quote_tweet_id": "1"},
            "The fields [quote_tweet_id, card_uri] are mutually exclusive.",
        ),
    ],
)
async def test_a_wrong_part_of_a_post_is_refused(
    peer: Peer, read: Any, part: dict[str, Any], message: str
) -> None:
    answer = await peer.call("POST", POST, token=peer.token(), body={"text": "hi", **part})
    assert answer.status == 400, answer.body
    assert read(answer)["errors"][0]["message"].startswith(message)
    assert not peer.world.posts


async def test_parts_of_a_post_that_change_nothing_are_taken(peer: Peer, read: Any) -> None:
    token = peer.token()
    body = {"text": "An ad", "paid_partnership": True, "made_with_ai": False, "nullcast": False}
    made = read(await peer.call("POST", POST, token=token, body=body))["data"]
    path = f"/2/tweets/{made['id']}?tweet.fields=paid_partnership"
    assert read(await peer.call("GET", path, token=token))["data"]["paid_partnership"] is True
