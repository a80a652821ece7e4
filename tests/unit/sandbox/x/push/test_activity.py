"""Subscriptions and the stream."""

from __future__ import annotations

import asyncio
import json

import pytest

STREAM = "/2/activity/stream"
SUBSCRIPTIONS = "/2/activity/subscriptions"


class Listening:
    """An open stream, read line by line."""

    def __init__(self, answer):
        self.body = answer.stream

    async def line(self):
        return await anext(self.body)

    async def event(self):
        while (line := await self.line()) == b"\r\n":
            pass
        assert line.endswith(b"\r\n")
        return json.loads(line)["data"]

    async def close(self):
        await self.body.aclose()


@pytest.fixture
def token(peer):
    return peer.token("tweet.read users.read tweet.write dm.read offline.access")


async def _subscribe(peer, kind, *, token, user=None, **more):
    chosen = {"user_id": (user or peer.greeter).id}
    body = {"event_type": kind, "filter": chosen, "tag": kind, **more}
    return await peer.call("POST", SUBSCRIPTIONS, token=token, body=body)


async def _listen(peer):
    return Listening(await peer.call("GET", STREAM, token=peer.app.bearer))


async def _quiet(peer, stream):
    """Nothing but a keep-alive comes within its time."""
    waiting = asyncio.get_running_loop().create_task(stream.line())
    await peer.clock.advance(20)
    return await waiting == b"\r\n"


async def test_a_subscription_is_made_with_the_users_token_and_listed_with_the_bearer(
    peer, read, token
):
    made = read(await _subscribe(peer, "post.mention.create", token=token))
    listed = read(await peer.call("GET", SUBSCRIPTIONS, token=peer.app.bearer))

    subscription = made["data"]["subscription"]
    assert made["meta"]["total_subscriptions"] == 1
    assert subscription["event_type"] == "post.mention.create"
    assert subscription["filter"] == {"user_id": peer.greeter.id}
    assert subscription["tag"] == "post.mention.create"
    assert listed["data"] == [subscription]


async def test_another_apps_bearer_sees_none_of_them(peer, read, token):
    await _subscribe(peer, "post.mention.create", token=token)
    other = peer.world.grants.add_app("Other")

    listed = read(await peer.call("GET", SUBSCRIPTIONS, token=other.bearer))

    assert "data" not in listed


@pytest.mark.parametrize("kind", ["post.mention.create", "dm.received"])
async def test_a_private_event_cannot_be_had_with_the_bearer(peer, read, kind):
    answer = await _subscribe(peer, kind, token=peer.app.bearer)

    assert answer.status == 403
    assert read(answer)["type"].endswith("/unsupported-authentication")


async def test_a_private_event_of_somebody_else_is_refused(peer, token):
    answer = await _subscribe(peer, "post.mention.create", token=token, user=peer.ada)

    assert answer.status == 403


@pytest.mark.parametrize("kind", ["dm.received", "like.create"])
async def test_a_private_event_needs_its_scope(peer, kind):
    answer = await _subscribe(peer, kind, token=peer.token("tweet.read users.read"))

    assert answer.status == 403


async def test_a_public_event_is_had_with_the_bearer(peer):
    answer = await _subscribe(peer, "post.create", token=peer.app.bearer, user=peer.ada)

    assert answer.status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        {"event_type": "post.fly", "filter": {}},
        {"event_type": "post.create", "filter": {"user_id": "99"}},
        {"event_type": "post.create", "filter": {"person": "1"}},
        {"event_type": "post.create", "filter": "1"},
        {"event_type": "post.create", "filter": {}, "colour": "red"},
    ],
)
async def test_a_malformed_subscription_is_an_invalid_request(peer, body):
    answer = await peer.call("POST", SUBSCRIPTIONS, token=peer.app.bearer, body=body)

    assert answer.status == 400


async def test_the_same_subscription_twice_is_a_conflict(peer, token):
    await _subscribe(peer, "post.mention.create", token=token)

    assert (await _subscribe(peer, "post.mention.create", token=token)).status == 409


async def test_there_are_at_most_fifteen_hundred(peer, monkeypatch):
    monkeypatch.setattr("botkit.sandbox.x.routes.push.activity._MOST", 1)
    await _subscribe(peer, "post.create", token=peer.app.bearer)

    answer = await _subscribe(peer, "post.create", token=peer.app.bearer, user=peer.ada)

    assert answer.status == 403


async def test_a_subscription_can_be_retagged_and_deleted_one_by_one_or_together(peer, read):
    ids = []
    for kind in ("post.create", "post.delete", "follow.follow"):
        made = read(await _subscribe(peer, kind, token=peer.app.bearer))
        ids.append(made["data"]["subscription"]["subscription_id"])

    tagged = read(
        await peer.call(
            "PUT", f"{SUBSCRIPTIONS}/{ids[0]}", token=peer.app.bearer, body={"tag": "new"}
        )
    )
    one = read(await peer.call("DELETE", f"{SUBSCRIPTIONS}/{ids[0]}", token=peer.app.bearer))
    many = read(
        await peer.call(
            "DELETE", f"{SUBSCRIPTIONS}?ids={ids[1]},{ids[2]},7", token=peer.app.bearer
        )
    )

    assert tagged["data"]["subscription"]["tag"] == "new"
    assert one == {"data": {"deleted": True}, "meta": {"total_subscriptions": 2}}
    assert [each["subscription_id"] for each in many["data"]] == ids[1:]
    assert many["errors"][0]["subscription_id"] == "7"
    assert many["meta"] == {"total_subscriptions": 0}


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_a_subscription_that_is_not_there_is_a_404(peer, method):
    answer = await peer.call(
        method, f"{SUBSCRIPTIONS}/7", token=peer.app.bearer, body={"tag": "x"}
    )

    assert answer.status == 404


async def test_only_tag_and_webhook_can_change(peer, read):
    made = read(await _subscribe(peer, "post.create", token=peer.app.bearer))
    path = f"{SUBSCRIPTIONS}/{made['data']['subscription']['subscription_id']}"

    answer = await peer.call("PUT", path, token=peer.app.bearer, body={"event_type": "x"})

    assert answer.status == 400


async def test_an_explicit_mention_comes_with_its_author(peer, token):
    await _subscribe(peer, "post.mention.create", token=token)
    stream = await _listen(peer)

    post = peer.world.add_post(peer.ada.id, "hey @greeter")
    event = await stream.event()

    assert event["event_type"] == "post.mention.create"
    assert event["tag"] == "post.mention.create"
    assert event["filter"] == {"user_id": peer.greeter.id}
    assert int(event["event_uuid"])
    assert event["payload"]["id"] == post.id
    assert event["payload"]["entities"]["mentions"] == [
        {
            "start": 4,
            "start_str": "4",
            "end": 12,
            "end_str": "12",
            "username": "greeter",
            "id": peer.greeter.id,
        }
    ]
    assert [user["username"] for user in event["includes"]["users"]] == ["ada", "greeter"]
    assert event["includes"]["tweets"][0]["id"] == post.id


async def test_the_mention_implied_by_a_reply_is_a_reply_event_without_users(peer, token):
    for kind in ("post.mention.create", "post.reply.create"):
        await _subscribe(peer, kind, token=token)
    stream = await _listen(peer)
    mine = peer.world.add_post(peer.greeter.id, "news")

    answered = peer.world.add_post(peer.ada.id, "why?", reply_to=mine.id)
    event = await stream.event()

    assert event["event_type"] == "post.reply.create"
    assert event["payload"]["id"] == answered.id
    assert event["payload"]["in_reply_to_tweet_id"] == mine.id
    assert event["payload"]["in_reply_to_user_id"] == peer.greeter.id
    assert event["includes"] == {}
    assert await _quiet(peer, stream)


async def test_a_reply_that_also_mentions_comes_as_both(peer, token):
    for kind in ("post.mention.create", "post.reply.create"):
        await _subscribe(peer, kind, token=token)
    stream = await _listen(peer)
    mine = peer.world.add_post(peer.greeter.id, "news")

    peer.world.add_post(peer.ada.id, "why, @greeter?", reply_to=mine.id)

    kinds = {(await stream.event())["event_type"] for _ in range(2)}
    assert kinds == {"post.mention.create", "post.reply.create"}


@pytest.mark.parametrize("told", [False, True])
async def test_an_answer_to_the_bots_own_reply_makes_no_event_unless_the_world_says_so(
    peer, token, told
):
    peer.world.rules.replies_to_replies = told
    await _subscribe(peer, "post.reply.create", token=token)
    head = peer.world.add_post(peer.ada.id, "@greeter hi")
    mine = peer.world.add_post(peer.greeter.id, "hello", reply_to=head.id)
    stream = await _listen(peer)

    peer.world.add_post(peer.ada.id, "how are you?", reply_to=mine.id)

    if told:
        assert (await stream.event())["payload"]["text"] == "@greeter how are you?"
    else:
        assert await _quiet(peer, stream)


async def test_a_quote_comes_without_users(peer, token):
    await _subscribe(peer, "post.quote.create", token=token)
    stream = await _listen(peer)
    mine = peer.world.add_post(peer.greeter.id, "news")

    peer.world.add_post(peer.ada.id, "look", quoting=mine.id)
    event = await stream.event()

    assert event["payload"]["referenced_tweets"] == [{"type": "quoted", "id": mine.id}]
    assert event["includes"] == {}


async def test_posts_and_deletions_of_a_public_user_come_by_the_bearer(peer):
    await _subscribe(peer, "post.create", token=peer.app.bearer, user=peer.ada)
    await _subscribe(peer, "post.delete", token=peer.app.bearer, user=peer.ada)
    stream = await _listen(peer)

    post = peer.world.add_post(peer.ada.id, "hi")
    peer.world.add_post(peer.greeter.id, "not hers")
    peer.world.delete_post(post.id)
    created, deleted = await stream.event(), await stream.event()

    assert created["payload"]["text"] == "hi"
    assert deleted["payload"] == {"id": post.id, "author_id": peer.ada.id}
    assert deleted["includes"]["users"][0]["data"]["username"] == "ada"


async def test_messages_come_in_the_older_shape(peer, token):
    for kind in ("dm.received", "dm.sent"):
        await _subscribe(peer, kind, token=token)
    stream = await _listen(peer)

    message = peer.world.add_message(peer.ada.id, peer.greeter.id, "hello!")
    peer.world.add_message(peer.greeter.id, peer.ada.id, "hi")
    received, sent = await stream.event(), await stream.event()

    assert received["event_type"] == "dm.received"
    assert received["payload"]["direct_message_events"][0] == {
        "type": "message_create",
        "id": message.id,
        "created_timestamp": "1765454400000",
        "message_create": {
            "target": {"recipient_id": peer.greeter.id},
            "sender_id": peer.ada.id,
            "message_data": {
                "text": "hello!",
                "entities": {"hashtags": [], "symbols": [], "user_mentions": [], "urls": []},
            },
        },
    }
    assert received["payload"]["users"][peer.ada.id]["data"]["username"] == "ada"
    assert sent["event_type"] == "dm.sent"


async def test_follows_and_revocations_come_too(peer, token):
    await _subscribe(peer, "follow.follow", token=peer.app.bearer)
    await _subscribe(peer, "follow.unfollow", token=peer.app.bearer)
    body = {"event_type": "oauth.revoke", "filter": {}}
    await peer.call("POST", SUBSCRIPTIONS, token=peer.app.bearer, body=body)
    stream = await _listen(peer)

    peer.world.follow(peer.ada.id, peer.greeter.id)
    peer.world.follow(peer.ada.id, peer.greeter.id, on=False)
    peer.world.revoke(peer.greeter.id)
    events = [await stream.event() for _ in range(3)]

    assert [event["event_type"] for event in events] == [
        "follow.follow",
        "follow.unfollow",
        "oauth.revoke",
    ]
    assert events[0]["payload"]["source"]["data"]["username"] == "ada"
    assert events[2]["filter"] == {}
    assert events[2]["payload"] == {
        "date_time": "2025-12-11T12:00:00+00:00",
        "user_id": peer.greeter.id,
        "app_id": peer.app.id,
    }


async def test_what_a_protected_user_posts_is_never_delivered(peer, token):
    await _subscribe(peer, "post.mention.create", token=token)
    stream = await _listen(peer)
    peer.ada.protected = True

    peer.world.add_post(peer.ada.id, "@greeter psst")

    assert await _quiet(peer, stream)


async def test_only_what_was_subscribed_to_comes(peer, token):
    await _subscribe(peer, "post.mention.create", token=token)
    stream = await _listen(peer)

    peer.world.add_post(peer.ada.id, "nobody in here")
    peer.world.add_message(peer.ada.id, peer.greeter.id, "hi")

    assert await _quiet(peer, stream)


async def test_what_happened_before_the_stream_was_open_does_not_come(peer, token):
    await _subscribe(peer, "post.mention.create", token=token)
    peer.world.add_post(peer.ada.id, "@greeter early")
    stream = await _listen(peer)

    peer.world.add_post(peer.ada.id, "@greeter late")

    assert (await stream.event())["payload"]["text"] == "@greeter late"


async def test_an_empty_line_comes_after_twenty_silent_seconds(peer):
    stream = await _listen(peer)
    waiting = asyncio.get_running_loop().create_task(stream.line())

    await peer.clock.advance(19.9)
    assert not waiting.done()
    await peer.clock.advance(0.2)

    assert waiting.result() == b"\r\n"


async def test_a_third_connection_is_refused_until_one_is_closed(peer, read):
    first = await _listen(peer)
    await _listen(peer)

    refused = await peer.call("GET", STREAM, token=peer.app.bearer)
    await first.close()
    third = await peer.call("GET", STREAM, token=peer.app.bearer)

    assert refused.status == 429
    assert read(refused)["connection_issue"] == "TooManyConnections"
    assert read(refused)["title"] == "ConnectionException"
    assert third.status == 200


async def test_another_app_has_connections_of_its_own(peer):
    await _listen(peer)
    await _listen(peer)
    other = peer.world.grants.add_app("Other")

    assert (await peer.call("GET", STREAM, token=other.bearer)).status == 200


async def test_backfill_is_for_enterprise(peer):
    answer = await peer.call("GET", f"{STREAM}?backfill_minutes=5", token=peer.app.bearer)

    assert answer.status == 400


async def test_a_reader_that_is_too_slow_loses_its_connection(peer, token, monkeypatch):
    monkeypatch.setattr("botkit.sandbox.x.push.streams._BUFFER_LINES", 2)
    await _subscribe(peer, "post.mention.create", token=token)
    stream = await _listen(peer)

    for number in range(3):
        peer.world.add_post(peer.ada.id, f"@greeter {number}")

    with pytest.raises(StopAsyncIteration):
        await stream.line()


async def test_a_cut_stream_ends(peer, token):
    await _subscribe(peer, "post.mention.create", token=token)
    stream = await _listen(peer)
    peer.world.add_post(peer.ada.id, "@greeter before")

    peer.server.faults.cut_streams()

    assert (await stream.event())["payload"]["text"] == "@greeter before"
    with pytest.raises(StopAsyncIteration):
        await stream.line()
    assert peer.server.activity.open_streams(peer.app.id) == 0


async def test_events_can_be_doubled_dropped_and_reordered(peer, token):
    await _subscribe(peer, "post.mention.create", token=token)
    stream = await _listen(peer)
    faults = peer.server.faults

    faults.duplicate_events()
    peer.world.add_post(peer.ada.id, "@greeter 1")
    faults.drop_events()
    peer.world.add_post(peer.ada.id, "@greeter 2")
    faults.reorder_events(2)
    peer.world.add_post(peer.ada.id, "@greeter 3")
    peer.world.add_post(peer.ada.id, "@greeter 4")
    peer.world.add_post(peer.ada.id, "@greeter 5")

    texts = [(await stream.event())["payload"]["text"] for _ in range(5)]
    assert texts == ["@greeter 1", "@greeter 1", "@greeter 4", "@greeter 3", "@greeter 5"]


async def test_a_silent_stream_stays_open_and_says_nothing(peer, token):
    await _subscribe(peer, "post.mention.create", token=token)
    stream = await _listen(peer)
    peer.server.faults.silence_streams()
    waiting = asyncio.get_running_loop().create_task(stream.line())

    peer.world.add_post(peer.ada.id, "@greeter lost")
    await peer.clock.advance(60)
    assert not waiting.done()

    peer.server.faults.silence_streams(on=False)
    await peer.clock.advance(20)
    assert waiting.result() == b"\r\n"
