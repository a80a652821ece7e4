"""Recent search: by names, seven days back, as new as a timeline."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

QUERY = quote("@greeter -is:retweet -from:greeter")


async def _search(peer, read, query=QUERY, more="", *, status=200):
    path = f"/2/tweets/search/recent?query={query}{more}"
    answer = await peer.call("GET", path, token=peer.app.bearer)
    assert answer.status == status
    return read(answer)


async def test_posts_that_name_the_account_are_found_newest_first(peer, read):
    peer.world.add_post(peer.ada.id, "no name")
    peer.world.add_post(peer.greeter.id, "I am @greeter")
    mine = peer.world.add_post(peer.greeter.id, "news")
    first = peer.world.add_post(peer.ada.id, "hi @greeter")
    reply = peer.world.add_post(peer.ada.id, "why?", reply_to=mine.id)

    body = await _search(peer, read)

    assert [post["id"] for post in body["data"]] == [reply.id, first.id]
    assert body["meta"]["newest_id"] == reply.id


async def test_pages_lead_on_and_ids_bound_them(peer, read):
    ids = [peer.world.add_post(peer.ada.id, f"@greeter {n}").id for n in range(13)]

    first = await _search(peer, read, more=f"&until_id={ids[-1]}&since_id={ids[0]}")
    token = first["meta"]["next_token"]
    rest = await _search(peer, read, more=f"&next_token={token}&since_id={ids[0]}")

    assert [post["id"] for post in first["data"] + rest["data"]] == ids[-2:0:-1]
    assert "next_token" not in rest["meta"]


async def test_it_reaches_back_seven_days_and_refuses_an_older_id(peer, read):
    old = peer.world.add_post(peer.ada.id, "@greeter old")
    await peer.clock.advance(timedelta(days=7, seconds=1))
    new = peer.world.add_post(peer.ada.id, "@greeter new")

    body = await _search(peer, read)
    refused = await _search(peer, read, more=f"&since_id={old.id}", status=400)

    assert [post["id"] for post in body["data"]] == [new.id]
    assert "since_id" in refused["errors"][0]["parameters"]


async def test_a_query_that_it_cannot_play_is_said(peer, read):
    await _search(peer, read, quote("has:media @greeter"), status=501)
    await _search(peer, read, quote("@greeter " * 60), status=400)
    body = await _search(peer, read, quote("from:nobody"))
    assert body["meta"] == {"result_count": 0}


async def test_what_x_shows_late_is_neither_found_nor_on_a_timeline_before(peer, read):
    peer.server.faults.late_ids(60)
    late = peer.world.add_post(peer.ada.id, "@greeter late")
    path = f"/2/users/{peer.greeter.id}/mentions"

    async def found():
        timeline = read(await peer.call("GET", path, token=peer.app.bearer))
        return (timeline["meta"], (await _search(peer, read))["meta"])

    assert await found() == ({"result_count": 0}, {"result_count": 0})
    await peer.clock.advance(60)
    assert [meta["newest_id"] for meta in await found()] == [late.id] * 2
