"""Likes, reposts and follows by the API. Source of the answers: tests/wire/recorded."""

from __future__ import annotations

from decimal import Decimal

import pytest

SCOPES = (
    "tweet.read tweet.write users.read like.read like.write follows.read follows.write"
    " timeline.read"
)


@pytest.fixture
def ask(peer, read):
    token = peer.token(SCOPES)

    async def asked(method, path, body=None, *, status=200):
        answer = await peer.call(method, path, token=token, body=body)
        assert answer.status == status, answer.body
        return read(answer)

    return asked


async def test_an_enterprise_app_likes_and_takes_it_back(peer, ask):
    peer.app.enterprise = True
    post = peer.world.add_post(peer.ada.id, "news")
    mine = f"/2/users/{peer.greeter.id}/likes"
    assert await ask("POST", mine, {"tweet_id": post.id}) == {"data": {"liked": True}}
    users = await ask("GET", f"/2/tweets/{post.id}/liking_users?user.fields=description")
    assert [one["username"] for one in users["data"]] == ["greeter"]
    liked = await ask("GET", f"/2/users/{peer.greeter.id}/liked_tweets")
    assert [one["id"] for one in liked["data"]] == [post.id]
    assert await ask("DELETE", f"{mine}/{post.id}") == {"data": {"liked": False}}
    assert await ask("GET", f"/2/tweets/{post.id}/liking_users") == {"meta": {"result_count": 0}}
    assert peer.app.spent_usd == Decimal("0.015") + Decimal("0.010") * 2 + Decimal("0.005")


async def test_an_enterprise_app_follows_and_stops(peer, ask):
    peer.app.enterprise = True
    me = f"/2/users/{peer.greeter.id}/following"
    done = await ask("POST", me, {"target_user_id": peer.ada.id})
    assert done == {"data": {"following": True, "pending_follow": False}}
    for path, username in ((me, "ada"), (f"/2/users/{peer.ada.id}/followers", "greeter")):
        body = await ask("GET", path)
        assert [one["username"] for one in body["data"]] == [username]
    assert await ask("DELETE", f"{me}/{peer.ada.id}") == {"data": {"following": False}}
    assert await ask("GET", me) == {"meta": {"result_count": 0}}
    await ask("POST", me, {"target_user_id": peer.greeter.id}, status=403)


async def test_a_self_serve_app_may_neither_like_nor_follow(peer, ask):
    post = peer.world.add_post(peer.ada.id, "news")
    me = f"/2/users/{peer.greeter.id}"
    await ask("POST", f"{me}/likes", {"tweet_id": post.id}, status=403)
    await ask("DELETE", f"{me}/likes/{post.id}", status=403)
    await ask("POST", f"{me}/following", {"target_user_id": peer.ada.id}, status=403)
    await ask("DELETE", f"{me}/following/{peer.ada.id}", status=403)
    assert (dict(post.likes), dict(peer.ada.followers)) == ({}, {})


async def test_a_post_is_reposted_and_the_repost_undone(peer, ask):
    post = peer.world.add_post(peer.ada.id, "news")
    mine = f"/2/users/{peer.greeter.id}/retweets"
    done = await ask("POST", mine, {"tweet_id": post.id})
    assert done == {"data": {"retweeted": True, "rest_id": post.id}}
    await ask("POST", mine, {"tweet_id": post.id})
    users = await ask("GET", f"/2/tweets/{post.id}/retweeted_by")
    assert [one["username"] for one in users["data"]] == ["greeter"]
    for _ in range(2):
        assert await ask("DELETE", f"{mine}/{post.id}") == {"data": {"retweeted": False}}
    assert peer.world.reposts_of(post.id) == {}
    await ask("POST", mine, {"tweet_id": "7"}, status=403)


async def test_a_user_acts_for_itself_only(peer, ask):
    post = peer.world.add_post(peer.greeter.id, "news")
    refused = await ask(
        "POST", f"/2/users/{peer.ada.id}/retweets", {"tweet_id": post.id}, status=400
    )
    assert "must be the same as the authenticating user" in refused["errors"][0]["message"]


async def test_users_come_in_pages_the_last_one_first(peer, ask):
    post = peer.world.add_post(peer.ada.id, "news")
    names = [f"user{number}" for number in range(5)]
    for name in names:
        peer.world.like(peer.world.add_user(name).id, post.id)
    path = f"/2/tweets/{post.id}/liking_users?max_results=2"
    seen, more = [], ""
    while True:
        page = await ask("GET", path + more)
        seen += [one["username"] for one in page["data"]]
        if "next_token" not in page["meta"]:
            break
        more = f"&pagination_token={page['meta']['next_token']}"
    assert seen == names[::-1]
    back = await ask("GET", f"{path}&pagination_token={page['meta']['previous_token']}")
    assert [one["username"] for one in back["data"]] == ["user2", "user1"]
    await ask("GET", f"{path}&pagination_token=x", status=400)


async def test_what_is_not_there_is_said(ask):
    for path in ("/2/users/7/followers", "/2/users/7/liked_tweets", "/2/tweets/7/liking_users"):
        body = await ask("GET", path)
        assert body["errors"][0]["title"] == "Not Found Error"
