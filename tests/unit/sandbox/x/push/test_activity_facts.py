"""Likes, reposts, follows and deletions on the activity stream, as in X's samples.

Source: X API docs, "Event payloads" (tests/wire/activity).
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parents[4] / "wire" / "activity"
SCOPES = "tweet.read users.read like.read"


def sample(kind):
    return json.loads((SAMPLES / f"{kind}.json").read_text())["data"]


def shape(value):
    """The names and kinds of a value; a list is that of its first entry."""
    if isinstance(value, dict):
        return {name: shape(part) for name, part in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


@pytest.fixture
def subscribe(peer):
    token = peer.token(SCOPES)

    async def subscribed(*kinds, **more):
        for kind in kinds:
            body = {"event_type": kind, "filter": {"user_id": peer.greeter.id, **more}}
            path = "/2/activity/subscriptions"
            answer = await peer.call("POST", path, token=token, body=body)
            assert answer.status == 200, answer.body
        answer = await peer.call("GET", "/2/activity/stream", token=peer.app.bearer)

        async def event():
            return json.loads(await anext(answer.stream))["data"]

        return event

    return subscribed


async def test_a_like_is_told_as_x_tells_it(peer, subscribe):
    event = await subscribe("like.create")
    mine = peer.world.add_post(peer.greeter.id, "news")
    theirs = peer.world.add_post(peer.ada.id, "news")
    peer.world.like(peer.ada.id, mine.id)
    peer.world.like(peer.ada.id, theirs.id)
    peer.world.like(peer.greeter.id, theirs.id)
    inbound, outbound = await event(), await event()
    assert inbound["payload"]["liked_tweet_id"] == mine.id
    assert outbound["payload"]["liked_tweet_id"] == theirs.id
    assert outbound["payload"]["liked_tweet_author_id"] == peer.ada.id
    assert shape(outbound["payload"]) == shape(sample("like.create")["payload"])
    assert len(outbound["payload"]["id"]) == len(sample("like.create")["payload"]["id"])
    assert [user["id"] for user in outbound["includes"]["users"]] == [peer.ada.id]
    assert [post["id"] for post in outbound["includes"]["tweets"]] == [theirs.id]
    # X's price list does not name this event.
    assert peer.app.spent_usd == 0


@pytest.mark.parametrize(("direction", "expected"), [("inbound", 0), ("outbound", 1)])
async def test_likes_can_be_heard_in_one_direction(peer, subscribe, direction, expected):
    event = await subscribe("like.create", direction=direction)
    posts = [peer.world.add_post(user.id, "news") for user in (peer.greeter, peer.ada)]
    peer.world.like(peer.ada.id, posts[0].id)
    peer.world.like(peer.greeter.id, posts[1].id)
    heard = await event()
    assert heard["payload"]["liked_tweet_id"] == posts[expected].id
    assert heard["filter"] == {"user_id": peer.greeter.id, "direction": direction}


async def test_a_repost_is_told_to_the_author_and_is_no_mention(peer, subscribe):
    event = await subscribe("post.repost.create", "post.mention.create", "post.create")
    post = peer.world.add_post(peer.greeter.id, "news")
    repost = peer.world.repost(peer.ada.id, post.id)
    created, reposted = await event(), await event()
    assert created["event_type"] == "post.create"
    assert reposted["event_type"] == "post.repost.create"
    payload, told = reposted["payload"], sample("post.repost.create")["payload"]
    assert (payload["id"], payload["author_id"]) == (repost.id, peer.ada.id)
    assert payload["text"] == f"RT @greeter: {post.text}"
    assert payload["referenced_tweets"] == [{"type": "retweeted", "id": post.id}]
    assert shape(payload) | shape(told) == shape(payload)
    assert reposted["includes"] == {}
    assert peer.app.spent_usd == Decimal("0.010")
    own = peer.world.repost(peer.greeter.id, repost.id)
    assert (await event())["payload"]["id"] == own.id


async def test_a_deletion_of_a_repost_and_of_a_post_is_told_alike(peer, subscribe):
    event = await subscribe("post.delete")
    other = peer.world.add_post(peer.ada.id, "news")
    mine = peer.world.add_post(peer.greeter.id, "news")
    repost = peer.world.repost(peer.greeter.id, other.id)
    for post in (repost, mine):
        peer.world.delete_post(post.id)
        heard = await event()
        assert heard["payload"] == {"id": post.id, "author_id": peer.greeter.id}
        assert shape(heard["payload"]) == shape(sample("post.delete")["payload"])


async def test_follows_are_told_with_both_users_and_billed(peer, subscribe):
    event = await subscribe("follow.follow", "follow.unfollow")
    peer.world.follow(peer.ada.id, peer.greeter.id)
    peer.world.follow(peer.ada.id, peer.greeter.id, on=False)
    followed, left = await event(), await event()
    assert (followed["event_type"], left["event_type"]) == ("follow.follow", "follow.unfollow")
    for heard in (followed, left):
        assert heard["payload"]["source"]["data"]["id"] == peer.ada.id
        assert heard["payload"]["target"]["data"]["id"] == peer.greeter.id
    assert set(followed["payload"]) == set(sample("follow.follow")["payload"])
    assert peer.app.spent_usd == Decimal("0.020")


async def test_the_posts_of_a_protected_user_are_told_to_nobody(peer, subscribe):
    event = await subscribe("post.create", "post.delete")
    peer.greeter.protected = True
    post = peer.world.add_post(peer.greeter.id, "secret")
    peer.world.delete_post(post.id)
    assert (await event())["event_type"] == "post.delete"
