"""The filtered stream: its rules, its lines, its places and its bill.

What rests on reports of users stands in docs/explanation/x-facts.md, 18.7 and 18.8.
"""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal

import pytest

RULES = "/2/tweets/search/stream/rules"
STREAM = "/2/tweets/search/stream"
TOO_MANY = {
    "title": "ConnectionException",
    "detail": "This stream is currently at the maximum allowed connection limit.",
    "connection_issue": "TooManyConnections",
    "type": "https://api.x.com/2/problems/streaming-connection",
}


@pytest.fixture
def ask(peer, read):
    """Call as the app; the status must be as expected."""

    async def asked(method, path, body=None, *, status=200):
        answer = await peer.call(method, path, token=peer.app.bearer, body=body)
        assert answer.status == status, answer.body
        return read(answer)

    return asked


@pytest.fixture
def add(ask):
    async def added(*rules, more=""):
        listed = [{"value": value, "tag": tag} for value, tag in rules]
        return await ask("POST", RULES + more, {"add": listed}, status=201)

    return added


async def connected(peer, more=""):
    answer = await peer.call("GET", STREAM + more, token=peer.app.bearer)
    assert answer.status == 200, answer.body
    return answer.stream


async def heard(stream):
    return json.loads(await anext(stream))


async def test_rules_are_added_listed_and_deleted_by_id_and_by_value(ask, add):
    made = await add(("cats has:images", "cats"), ("dogs", "dogs"))
    first, second = made["data"]
    assert (first["value"], first["tag"]) == ("cats has:images", "cats")
    assert made["meta"]["summary"] == {"created": 2, "not_created": 0, "valid": 2, "invalid": 0}

    listed = await ask("GET", RULES)
    assert listed["data"] == [first, second]
    assert listed["meta"]["result_count"] == 2
    assert (await ask("GET", f"{RULES}?ids={second['id']}"))["data"] == [second]

    gone = await ask("POST", RULES, {"delete": {"ids": [first["id"]]}})
    assert gone["meta"]["summary"] == {"deleted": 1, "not_deleted": 0}
    gone = await ask("POST", RULES, {"delete": {"values": ["dogs", "owls"]}})
    assert gone["meta"]["summary"] == {"deleted": 1, "not_deleted": 1}
    assert gone["errors"][0]["errors"][0]["message"] == "Rule does not exist"
    assert "data" not in await ask("GET", RULES)


async def test_rules_come_in_pages(ask, add):
    await add(*((f"word{number}", "") for number in range(3)))
    first = await ask("GET", f"{RULES}?max_results=2")
    token = first["meta"]["next_token"]
    rest = await ask("GET", f"{RULES}?max_results=2&pagination_token={token}")
    assert len(token) == 16
    values = [rule["value"] for rule in first["data"] + rest["data"]]
    assert values == ["word0", "word1", "word2"]
    assert "next_token" not in rest["meta"]
    assert "tag" not in first["data"][0]
    for wrong in ("x", "x" * 16):
        await ask("GET", f"{RULES}?pagination_token={wrong}", status=400)


async def test_each_rule_is_judged_by_itself(peer, read, ask, add):
    await add(("cats", "a"))
    body = {"add": [{"value": "cats", "tag": "b"}, {"value": "dogs"}, {"value": "h:m"}]}
    made = await ask("POST", RULES, body, status=201)
    duplicate, invalid = made["errors"]
    assert [rule["value"] for rule in made["data"]] == ["dogs"]
    assert made["meta"]["summary"] == {"created": 1, "not_created": 2, "valid": 1, "invalid": 2}
    assert duplicate == {
        "value": "cats",
        "id": (await ask("GET", RULES))["data"][0]["id"],
        "title": "DuplicateRule",
        "type": "https://api.twitter.com/2/problems/duplicate-rules",
    }
    assert invalid == {
        "value": "h:m",
        "details": [
            "Reference to invalid operator 'h' (at position 1).",
            "Reference to invalid field 'h' (at position 1).",
        ],
        "title": "UnprocessableEntity",
        "type": "https://api.twitter.com/2/problems/invalid-rules",
    }
    nothing = await ask("POST", RULES, {"add": [{"value": "has:links"}]})
    assert "data" not in nothing
    assert nothing["meta"]["summary"]["created"] == 0


async def test_a_tag_cannot_be_changed_but_by_a_new_rule(ask, add):
    rule = (await add(("cats", "a")))["data"][0]
    refused = await ask("POST", RULES, {"add": [{"value": "cats", "tag": "b"}]})
    assert refused["errors"][0]["id"] == rule["id"]
    await ask("POST", RULES, {"delete": {"ids": [rule["id"]]}})
    assert (await add(("cats", "b")))["data"][0]["tag"] == "b"


async def test_a_dry_run_changes_nothing(ask, add):
    dry = await add(("cats", "a"), more="?dry_run=true")
    assert dry["meta"]["summary"]["created"] == 1
    assert "data" not in await ask("GET", RULES)
    await add(("cats", "a"))
    gone = await ask("POST", f"{RULES}?dry_run=true", {"delete": {"values": ["cats"]}})
    assert gone["meta"]["summary"]["deleted"] == 1
    assert len((await ask("GET", RULES))["data"]) == 1


async def test_all_rules_can_be_deleted_at_once(ask, add):
    await add(("cats", "a"), ("dogs", "b"))
    gone = await ask("POST", f"{RULES}?delete_all=true", {})
    assert gone["meta"]["summary"] == {"deleted": 2, "not_deleted": 0}
    assert "data" not in await ask("GET", RULES)


@pytest.mark.parametrize(
    ("more", "body"),
    [
        ("", {}),
        ("", {"add": [], "delete": {}}),
        ("", {"add": [{"tag": "a"}]}),
        ("", {"add": [{"value": "a", "name": "b"}]}),
        ("", {"delete": {"ids": ["x"]}}),
        ("?dry_run=yes", {"add": []}),
        ("?all=true", {"add": []}),
    ],
)
async def test_a_change_that_is_none_is_refused(ask, more, body):
    await ask("POST", RULES + more, body, status=400)


async def test_the_plan_limits_the_number_of_rules(peer, ask, add, monkeypatch):
    monkeypatch.setattr("botkit.sandbox.x.routes.push.filtered_stream._MOST_RULES", 2)
    made = await add(("a", ""), ("b", ""), ("c", ""))
    assert made["errors"][0]["type"] == "https://api.twitter.com/2/problems/rule-cap"
    assert made["meta"]["summary"] == {"created": 2, "not_created": 1, "valid": 2, "invalid": 1}
    counts = (await ask("GET", f"{RULES}/counts"))["data"]
    assert (counts["project_rules_count"], counts["cap_per_project"]) == ("2", "2")
    assert counts["client_app_rules_count"] == {"client_app_id": peer.app.id, "rule_count": 2}
    peer.app.enterprise = True
    assert (await ask("GET", f"{RULES}/counts"))["data"]["cap_per_client_app"] == "25000"
    await add(("c", ""))


async def test_a_rule_that_the_sandbox_cannot_play_is_said(ask):
    body = await ask("POST", RULES, {"add": [{"value": "context:10.1"}]}, status=501)
    assert "the operator `context:` of a rule" in body["detail"]


async def test_a_post_comes_once_with_all_rules_that_match(peer, add):
    rules = (await add(("cats", "one"), ("from:ada", ""), ("dogs", "two")))["data"]
    stream = await connected(peer, "?tweet.fields=author_id&expansions=author_id")
    peer.world.add_post(peer.greeter.id, "owls")
    post = peer.world.add_post(peer.ada.id, "cats <3")
    line = await heard(stream)
    assert line == {
        "data": {
            "id": post.id,
            "text": "cats &lt;3",
            "edit_history_tweet_ids": [post.id],
            "author_id": peer.ada.id,
        },
        "includes": {"users": [{"id": peer.ada.id, "name": "Ada", "username": "ada"}]},
        "matching_rules": [
            {"id": rules[0]["id"], "tag": "one"},
            {"id": rules[1]["id"], "tag": ""},
        ],
    }


async def test_rules_change_under_an_open_stream(peer, ask, add):
    await add(("cats", ""))
    stream = await connected(peer)
    rule = (await add(("dogs", "")))["data"][0]
    post = peer.world.add_post(peer.ada.id, "dogs")
    assert (await heard(stream))["data"]["id"] == post.id
    await ask("POST", RULES, {"delete": {"ids": [rule["id"]]}})
    peer.world.add_post(peer.ada.id, "dogs")
    last = peer.world.add_post(peer.ada.id, "cats")
    assert (await heard(stream))["data"]["id"] == last.id


async def test_a_rule_may_start_late(peer, add):
    peer.world.rules.rules_after_s = 20
    await add(("cats", ""))
    stream = await connected(peer)
    peer.world.add_post(peer.ada.id, "cats")
    await peer.clock.advance(20)
    post = peer.world.add_post(peer.ada.id, "cats")
    assert (await heard(stream))["data"]["id"] == post.id


async def test_reposts_come_unless_the_rule_says_no_and_protected_posts_never(peer, add):
    await add(("cats", ""), ("cats -is:retweet", "plain"))
    stream = await connected(peer, "?tweet.fields=referenced_tweets")
    head = peer.world.add_post(peer.ada.id, "cats")
    repost = peer.world.repost(peer.greeter.id, head.id)
    assert len((await heard(stream))["matching_rules"]) == 2
    line = await heard(stream)
    assert (line["data"]["id"], len(line["matching_rules"])) == (repost.id, 1)
    assert line["data"]["referenced_tweets"] == [{"type": "retweeted", "id": head.id}]
    peer.ada.protected = True
    peer.world.add_post(peer.ada.id, "cats")
    last = peer.world.add_post(peer.greeter.id, "cats")
    assert (await heard(stream))["data"]["id"] == last.id


async def test_another_app_hears_its_own_rules_only(peer, add):
    await add(("cats", ""))
    stream = await connected(peer)
    other = peer.world.grants.add_app("Other")
    answer = await peer.call("GET", STREAM, token=other.bearer)
    assert answer.status == 409
    post = peer.world.add_post(peer.ada.id, "cats")
    assert (await heard(stream))["data"]["id"] == post.id


async def test_silence_is_filled_with_keep_alives(peer, add):
    await add(("cats", ""))
    stream = await connected(peer)
    waiting = asyncio.get_running_loop().create_task(anext(stream))
    await peer.clock.advance(20)
    assert await waiting == b"\r\n"


async def test_without_rules_there_is_no_stream(ask):
    assert await ask("GET", STREAM, status=409) == {
        "title": "ConnectionException",
        "detail": "You must define rules using the POST /2/tweets/search/stream/rules endpoint"
        " before connecting to filtered stream.",
        "connection_issue": "RuleConfigurationIssue",
        "type": "https://api.twitter.com/2/problems/streaming-connection",
    }


async def test_a_second_stream_is_refused_until_the_first_is_closed(peer, ask, add):
    await add(("cats", ""))
    first = await connected(peer)
    assert await ask("GET", STREAM, status=429) == TOO_MANY
    await first.aclose()
    await connected(peer)


async def test_a_newer_stream_may_close_the_older_one(peer, add):
    peer.world.rules.newer_stream_wins = True
    await add(("cats", ""))
    first, second = await connected(peer), await connected(peer)
    with pytest.raises(StopAsyncIteration):
        await anext(first)
    peer.world.add_post(peer.ada.id, "cats")
    assert await heard(second)


async def test_a_user_token_is_refused(peer, read, add):
    await add(("cats", ""))
    for method, path in (
        ("GET", STREAM),
        ("GET", RULES),
        ("POST", RULES),
        ("GET", "/2/connections"),
    ):
        answer = await peer.call(method, path, token=peer.token(), body={})
        assert answer.status == 403
        assert read(answer)["title"] == "Unsupported Authentication"


async def test_an_app_connects_fifty_times_in_fifteen_minutes(peer, ask, add):
    await add(("cats", ""))
    for _ in range(50):
        await (await connected(peer)).aclose()
    body = await ask("GET", STREAM, status=429)
    assert body["title"] == "Too Many Requests"


async def test_backfill_and_recovery_are_for_enterprise(peer, ask, add):
    await add(("cats", ""))
    for more in ("?backfill_minutes=5", "?start_time=2026-01-01T00:00:00Z"):
        refused = await ask("GET", STREAM + more, status=400)
        assert "is for Enterprise" in refused["errors"][0]["message"]
    await ask("GET", f"{STREAM}?backfill_minutes=6", status=400)
    peer.app.enterprise = True
    peer.world.add_post(peer.ada.id, "cats")
    await peer.clock.advance(240)
    post = peer.world.add_post(peer.ada.id, "cats")
    peer.world.add_post(peer.ada.id, "dogs")
    await peer.clock.advance(120)
    stream = await connected(peer, "?backfill_minutes=5")
    assert (await heard(stream))["data"]["id"] == post.id
    await connected(peer, "?backfill_minutes=0")
    await ask("GET", f"{STREAM}?start_time=2026-01-01T00:00:00Z", status=501)


async def test_a_streamed_post_is_billed_once_a_day(peer, add):
    await add(("cats", ""))
    stream = await connected(peer)
    post = peer.world.add_post(peer.ada.id, "cats")
    assert peer.app.spent_usd == 0
    await heard(stream)
    assert peer.app.spent_usd == Decimal("0.005")
    await peer.call("GET", f"/2/tweets/{post.id}", token=peer.app.bearer)
    assert peer.app.spent_usd == Decimal("0.005")


async def test_an_error_in_the_stream_ends_it(peer, add):
    await add(("cats", ""))
    stream = await connected(peer)
    body = {"kind": "stream_error", "disconnect_type": "ForceDisconnect"}
    await peer.call("POST", "/sandbox/faults", body=body)
    assert await heard(stream) == {
        "errors": [
            {
                "title": "operational-disconnect",
                "disconnect_type": "ForceDisconnect",
                "detail": "This stream has been disconnected upstream for operational reasons.",
                "type": "https://api.x.com/2/problems/operational-disconnect",
            }
        ]
    }
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    await connected(peer)


async def test_faults_of_streams_meet_the_filtered_one_too(peer, add):
    await add(("cats", ""))
    stream = await connected(peer, "?tweet.fields=id")
    faults = peer.server.faults
    faults.drop_events(1)
    faults.reorder_events(2)
    faults.duplicate_events(1)
    posts = [peer.world.add_post(peer.ada.id, f"cats {number}") for number in range(3)]
    ids = [(await heard(stream))["data"]["id"] for _ in range(4)]
    assert ids == [posts[2].id, posts[2].id, posts[1].id, posts[1].id]
    faults.cut_streams()
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_connections_are_listed_with_those_that_ended(peer, ask, add):
    await add(("cats", ""))
    first = await connected(peer)
    await first.aclose()
    await connected(peer)
    active = await ask("GET", "/2/connections")
    past = await ask("GET", "/2/connections?status=inactive")
    every = await ask("GET", "/2/connections?status=all&endpoints=filtered_stream")
    none = await ask("GET", "/2/connections?endpoints=sample_stream")
    assert [one["endpoint_name"] for one in active["data"]] == ["filtered_stream"]
    assert past["data"][0]["disconnect_reason"] == "client_disconnect"
    assert every["data"] == past["data"] + active["data"]
    assert none == {"meta": {"result_count": 0}}


@pytest.mark.parametrize("path", ["/2/connections/all", "/2/connections/filtered_stream"])
async def test_a_place_that_lingers_is_freed_by_closing_the_connections(peer, ask, add, path):
    peer.server.faults.keep_places()
    await add(("cats", ""))
    await (await connected(peer)).aclose()
    assert await ask("GET", STREAM, status=429) == TOO_MANY
    peer.server.faults.keep_places(on=False)
    closed = (await ask("DELETE", path))["data"]
    assert (closed["successful_kills"], closed["failed_kills"]) == (1, 0)
    stream = await connected(peer)
    assert (await ask("DELETE", "/2/connections/sample_stream"))["data"]["results"] == []
    await ask("DELETE", path)
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_connections_are_closed_by_their_ids(peer, ask, add):
    await add(("cats", ""))
    stream = await connected(peer)
    uuid = (await ask("GET", "/2/connections"))["data"][0]["id"]
    closed = (await ask("DELETE", "/2/connections", {"uuids": [uuid, "x"]}))["data"]
    assert (closed["successful_kills"], closed["failed_kills"]) == (1, 1)
    assert [one["success"] for one in closed["results"]] == [True, False]
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    await ask("DELETE", "/2/connections", {"uuids": []}, status=400)
