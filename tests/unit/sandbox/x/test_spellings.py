"""Answers in X's two spellings, with what real answers have. `CheckedServer` holds the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from botkit.sandbox.x.parameters import values_of

if TYPE_CHECKING:
    from tests.unit.sandbox.conftest import Peer

RECORDED = Path(__file__).parents[3] / "wire" / "recorded"
DIRECT = "tweet.read users.read dm.read dm.write"


def everything(operation: str, spelling: str) -> str:
    """Every field and expansion that X takes for an operation, as a query."""
    skipped = "post.fields" if spelling == "tweet.fields" else "tweet.fields"
    return "&".join(
        f"{name}={','.join(values)}"
        for name, values in values_of(operation).items()
        if (name.endswith(".fields") or name == "expansions") and name != skipped
    )


async def thread(peer: Peer) -> list[str]:
    """A post with all that stands in posts, and a reply, a quote and a repost of it."""
    head = peer.world.add_post(
        peer.ada.id, "@greeter see example.com <3 $TSLA #tag", media=("photo", "video")
    )
    reply = peer.world.add_post(peer.greeter.id, "I see", reply_to=head.id)
    quote = peer.world.add_post(peer.greeter.id, "Look", quoting=head.id)
    repost = peer.world.repost(peer.greeter.id, head.id)
    peer.world.follow(peer.ada.id, peer.greeter.id)
    peer.world.like(peer.ada.id, head.id)
    return [head.id, reply.id, quote.id, repost.id]


@pytest.mark.parametrize("spelling", ["tweet.fields", "post.fields"])
async def test_posts_and_users_with_everything_are_as_the_document_says(
    peer: Peer, read: Any, spelling: str
) -> None:
    ids = await thread(peer)
    token = peer.token("tweet.read users.read like.read follows.read")
    for operation, path in (
        ("getPostsByIds", f"/2/tweets?ids={','.join(ids)}&"),
        ("getPostsById", f"/2/tweets/{ids[1]}?"),
        ("getUsersMentions", f"/2/users/{peer.greeter.id}/mentions?"),
        ("getUsersPosts", f"/2/users/{peer.greeter.id}/tweets?"),
        ("getUsersLikedPosts", f"/2/users/{peer.ada.id}/liked_tweets?"),
        ("getUsersFollowers", f"/2/users/{peer.greeter.id}/followers?"),
        ("getPostsLikingUsers", f"/2/tweets/{ids[0]}/liking_users?"),
        ("getPostsRepostedBy", f"/2/tweets/{ids[0]}/retweeted_by?"),
        ("getPostsReposts", f"/2/tweets/{ids[0]}/retweets?"),
        ("getPostsQuotedPosts", f"/2/tweets/{ids[0]}/quote_tweets?"),
        ("searchPostsRecent", "/2/tweets/search/recent?query=%40greeter&"),
        ("getUsersMe", "/2/users/me?"),
        ("getUsersByIds", f"/2/users?ids={peer.ada.id}&"),
        ("getUsersByUsernames", "/2/users/by?usernames=ada,nobody&"),
        ("getUsersByUsername", "/2/users/by/username/ada?"),
        ("getUsersById", f"/2/users/{peer.ada.id}?"),
    ):
        answer = await peer.call("GET", path + everything(operation, spelling), token=token)
        assert answer.status == 200, answer.body
        assert "data" in read(answer), path


@pytest.mark.parametrize("spelling", ["tweet.fields", "post.fields"])
async def test_direct_messages_with_everything_are_as_the_document_says(
    peer: Peer, read: Any, spelling: str
) -> None:
    token = peer.token(DIRECT)
    path = f"/2/dm_conversations/with/{peer.ada.id}"
    sent = await peer.call("POST", f"{path}/messages", token=token, body={"text": "<3"})
    event, pair = read(sent)["data"]["dm_event_id"], read(sent)["data"]["dm_conversation_id"]
    for operation, read_path in (
        ("getDirectMessagesEvents", "/2/dm_events"),
        ("getDirectMessagesEventsById", f"/2/dm_events/{event}"),
        ("getDirectMessagesEventsByParticipantId", f"{path}/dm_events"),
        ("getDirectMessagesEventsByConversationId", f"/2/dm_conversations/{pair}/dm_events"),
    ):
        query = everything(operation, spelling)
        answer = await peer.call("GET", f"{read_path}?{query}", token=token)
        assert "data" in read(answer), answer.body


async def test_the_spelling_of_the_request_is_that_of_the_answer(peer: Peer, read: Any) -> None:
    # Source: a program that asked X on 2026-08-23 (botkit/sandbox/x/objects.py names it).
    head, reply, *_ = await thread(peer)
    token, path = peer.token(), f"/2/tweets/{reply}"
    older = read(await peer.call("GET", f"{path}?expansions=referenced_posts", token=token))
    assert older["data"]["edit_history_tweet_ids"] == [reply]
    assert older["data"]["referenced_tweets"] == [{"type": "replied_to", "id": head}]
    assert [post["id"] for post in older["includes"]["tweets"]] == [head]
    asked = "post.fields=public_metrics&expansions=referenced_posts"
    newer = read(await peer.call("GET", f"{path}?{asked}", token=token))
    assert newer["data"]["edit_history_post_ids"] == [reply]
    assert newer["data"]["referenced_posts"] == older["data"]["referenced_tweets"]
    assert newer["data"]["public_metrics"]["repost_count"] == 0
    assert [post["id"] for post in newer["includes"]["posts"]] == [head]


async def test_counts_move(peer: Peer, read: Any) -> None:
    head, reply, quote, _ = await thread(peer)
    token = peer.token()

    async def metrics(path: str) -> Any:
        answer = read(await peer.call("GET", path, token=token))
        return answer["data"]["public_metrics"]

    post = f"/2/tweets/{head}?tweet.fields=public_metrics"
    user = f"/2/users/{peer.greeter.id}?user.fields=public_metrics"
    counted = await metrics(post)
    assert (counted["reply_count"], counted["quote_count"]) == (1, 1)
    assert (counted["retweet_count"], counted["like_count"]) == (1, 1)
    counted = await metrics(user)
    assert (counted["tweet_count"], counted["followers_count"]) == (3, 1)
    peer.world.delete_post(reply)
    peer.world.delete_post(quote)
    peer.world.follow(peer.ada.id, peer.greeter.id, on=False)
    counted = await metrics(post)
    assert (counted["reply_count"], counted["quote_count"]) == (0, 0)
    counted = await metrics(user)
    assert (counted["tweet_count"], counted["followers_count"]) == (1, 0)


def always(name: str, part: str) -> set[str]:
    """The names that every recorded answer of a file has in that part."""
    found: list[set[str]] = []
    for exchange in json.loads((RECORDED / f"{name}.json").read_text()):
        body = exchange["response"]["body"]
        value = body.get(part) if isinstance(body, dict) else None
        found += [set(one) for one in (value if isinstance(value, list) else [value]) if one]
    assert found
    return set.intersection(*found)


@pytest.mark.parametrize(
    ("recorded", "part", "path"),
    [
        ("get_users_mentions", "data", "/2/users/{greeter}/mentions"),
        ("get_users_mentions", "meta", "/2/users/{greeter}/mentions?max_results=5"),
        ("get_users_tweets", "data", "/2/users/{greeter}/tweets"),
        ("get_users_tweets", "meta", "/2/users/{ada}/tweets?max_results=5"),
        ("get_tweet", "data", "/2/tweets/{post}"),
        ("get_me", "data", "/2/users/me"),
        ("get_user", "data", "/2/users/by/username/ada"),
    ],
)
async def test_what_every_recorded_answer_has_is_in_the_sandboxes(
    peer: Peer, read: Any, recorded: str, part: str, path: str
) -> None:
    posts = await thread(peer)
    for number in range(6):
        peer.world.add_post(peer.ada.id, f"@greeter {number}")
    whole = path.format(greeter=peer.greeter.id, ada=peer.ada.id, post=posts[0])
    shown = read(await peer.call("GET", whole, token=peer.token()))[part]
    for one in shown if isinstance(shown, list) else [shown]:
        assert always(recorded, part) <= set(one)
