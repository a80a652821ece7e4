"""The mentions timeline and the posts of a user: order, ranges and pages."""

from __future__ import annotations

import pytest


async def _get(peer, read, query="", *, path="mentions", status=200):
    answer = await peer.call(
        "GET", f"/2/users/{peer.greeter.id}/{path}?{query}", token=peer.app.bearer
    )
    assert answer.status == status
    return read(answer)


async def _mentions(peer, count):
    posts = []
    for number in range(count):
        posts.append(peer.world.add_post(peer.ada.id, f"@greeter {number}"))
        await peer.clock.advance(1)
    return [post.id for post in posts]


async def test_mentions_come_newest_first_with_the_range_in_meta(peer, read):
    ids = await _mentions(peer, 3)

    body = await _get(peer, read)

    assert [post["id"] for post in body["data"]] == ids[::-1]
    assert body["meta"] == {"result_count": 3, "newest_id": ids[2], "oldest_id": ids[0]}


async def test_no_mention_is_no_data_and_no_newest_id(peer, read):
    assert await _get(peer, read) == {"meta": {"result_count": 0}}


async def test_replies_to_the_account_are_mentions_too(peer, read):
    mine = peer.world.add_post(peer.greeter.id, "news")
    answered = peer.world.add_post(peer.ada.id, "why?", reply_to=mine.id)

    body = await _get(peer, read)

    assert [post["id"] for post in body["data"]] == [answered.id]


async def test_what_the_account_wrote_itself_or_was_deleted_is_not_there(peer, read):
    peer.world.add_post(peer.greeter.id, "I am @greeter")
    gone = peer.world.add_post(peer.ada.id, "@greeter hi")
    peer.world.delete_post(gone.id)

    assert (await _get(peer, read))["meta"]["result_count"] == 0


async def test_since_and_until_are_exclusive(peer, read):
    ids = await _mentions(peer, 4)

    body = await _get(peer, read, f"since_id={ids[0]}&until_id={ids[3]}")

    assert [post["id"] for post in body["data"]] == [ids[2], ids[1]]


async def test_times_bound_the_page(peer, read):
    ids = await _mentions(peer, 4)

    body = await _get(peer, read, "start_time=2025-12-11T12:00:01Z&end_time=2025-12-11T12:00:03Z")

    assert [post["id"] for post in body["data"]] == [ids[2], ids[1]]


async def test_pages_cover_everything_once(peer, read):
    ids = await _mentions(peer, 12)
    seen, query, pages = [], "max_results=5", 0

    while True:
        body = await _get(peer, read, query)
        seen += [post["id"] for post in body["data"]]
        pages += 1
        if "next_token" not in body["meta"]:
            break
        query = f"max_results=5&pagination_token={body['meta']['next_token']}"

    assert seen == ids[::-1]
    assert pages == 3


async def test_a_page_token_stays_right_when_new_posts_arrive(peer, read):
    ids = await _mentions(peer, 7)
    first = await _get(peer, read, "max_results=5")
    await _mentions(peer, 3)

    second = await _get(
        peer, read, f"max_results=5&pagination_token={first['meta']['next_token']}"
    )

    assert [post["id"] for post in second["data"]] == [ids[1], ids[0]]


async def test_the_timeline_reaches_back_eight_hundred(peer, read):
    for number in range(805):
        peer.world.add_post(peer.ada.id, f"@greeter {number}")

    oldest = peer.world.posts_naming(peer.greeter.id)[5]
    body = await _get(peer, read, f"until_id={int(oldest.id) + 1}")

    assert [post["id"] for post in body["data"]] == [oldest.id]


@pytest.mark.parametrize(
    "query",
    [
        "max_results=4",
        "max_results=101",
        "max_results=x",
        "since_id=x",
        "until_id=12345678901234567890",
        "start_time=yesterday",
        "pagination_token=!!",
        "pagination_token=abcd",
    ],
)
async def test_a_parameter_out_of_its_range_is_an_invalid_request(peer, read, query):
    body = await _get(peer, read, query, status=400)

    assert list(body["errors"][0]["parameters"]) == [query.partition("=")[0]]


async def test_a_user_that_is_not_there_has_no_timeline(peer, read):
    answer = await peer.call("GET", "/2/users/99/mentions", token=peer.app.bearer)

    assert read(answer)["errors"][0]["resource_type"] == "user"


async def test_a_users_posts_can_leave_the_replies_out(peer, read):
    head = peer.world.add_post(peer.greeter.id, "one")
    reply = peer.world.add_post(peer.greeter.id, "two", reply_to=head.id)

    every = await _get(peer, read, path="tweets")
    heads = await _get(peer, read, "exclude=replies", path="tweets")

    assert [post["id"] for post in every["data"]] == [reply.id, head.id]
    assert [post["id"] for post in heads["data"]] == [head.id]


async def test_a_later_page_leads_back_to_the_one_before(peer, read):
    ids = (await _mentions(peer, 12))[::-1]
    first = await _get(peer, read, "max_results=5")
    second = await _get(
        peer, read, f"max_results=5&pagination_token={first['meta']['next_token']}"
    )
    third = await _get(
        peer, read, f"max_results=5&pagination_token={second['meta']['next_token']}"
    )

    async def before(page):
        token = page["meta"]["previous_token"]
        return await _get(peer, read, f"max_results=5&pagination_token={token}")

    assert "previous_token" not in first["meta"]
    assert "next_token" not in third["meta"]
    assert [post["id"] for post in third["data"]] == ids[10:]
    assert [post["id"] for post in (await before(third))["data"]] == ids[5:10]
    back = await before(second)
    assert [post["id"] for post in back["data"]] == ids[:5]
    assert "previous_token" not in back["meta"]
    assert back["meta"]["next_token"] == first["meta"]["next_token"]


async def test_the_home_timeline_is_of_those_whom_the_user_follows(peer, read):
    peer.world.follow(peer.greeter.id, peer.ada.id)
    bob = peer.world.add_user("bob")
    peer.world.add_post(bob.id, "unseen")
    post = peer.world.add_post(peer.ada.id, "news")
    reply = peer.world.add_post(peer.ada.id, "more", reply_to=post.id)
    own = peer.world.add_post(peer.greeter.id, "mine")
    repost = peer.world.repost(peer.ada.id, own.id)
    token = peer.token()
    path = f"/2/users/{peer.greeter.id}/timelines/reverse_chronological"

    async def ids(more=""):
        body = read(await peer.call("GET", f"{path}?{more}", token=token))
        return [one["id"] for one in body["data"]]

    assert await ids() == [repost.id, own.id, reply.id, post.id]
    assert await ids("exclude=replies,retweets") == [own.id, post.id]
    assert await ids(f"since_id={reply.id}&max_results=1") == [repost.id]
    other = await peer.call("GET", path.replace(peer.greeter.id, peer.ada.id), token=token)
    assert other.status == 400
    assert (await peer.call("GET", path, token=peer.app.bearer)).status == 403


async def test_reposts_are_on_the_own_timeline_unless_they_are_left_out(peer, read):
    post = peer.world.add_post(peer.ada.id, "news")
    own = peer.world.add_post(peer.greeter.id, "mine")
    repost = peer.world.repost(peer.greeter.id, post.id)

    both = await _get(peer, read, path="tweets")
    some = await _get(peer, read, "exclude=retweets", path="tweets")

    assert [one["id"] for one in both["data"]] == [repost.id, own.id]
    assert [one["id"] for one in some["data"]] == [own.id]


async def test_quotes_and_reposts_of_a_post_are_listed(peer, read):
    head = peer.world.add_post(peer.greeter.id, "news")
    quotes = [peer.world.add_post(peer.ada.id, f"see {n}", quoting=head.id) for n in range(12)]
    repost = peer.world.repost(peer.ada.id, head.id)
    token = peer.token("tweet.read users.read timeline.read")

    first = read(await peer.call("GET", f"/2/tweets/{head.id}/quote_tweets", token=token))
    more = f"pagination_token={first['meta']['next_token']}"
    rest = read(await peer.call("GET", f"/2/tweets/{head.id}/quote_tweets?{more}", token=token))
    reposts = read(await peer.call("GET", f"/2/tweets/{head.id}/retweets", token=token))
    mine = read(await peer.call("GET", "/2/users/reposts_of_me", token=token))
    gone = read(await peer.call("GET", "/2/tweets/7/retweets", token=token))

    listed = [one["id"] for one in first["data"] + rest["data"]]
    assert listed == [one.id for one in reversed(quotes)]
    assert [one["id"] for one in reposts["data"]] == [repost.id]
    assert [one["id"] for one in mine["data"]] == [head.id]
    assert gone["errors"][0]["resource_type"] == "tweet"
