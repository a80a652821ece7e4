"""Recent search: by operators, seven days back, as new as a timeline."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

import pytest

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


async def test_operators_work_together_and_a_fault_is_named(peer, read):
    cats = peer.world.add_post(peer.ada.id, "cats example.com")
    peer.world.add_post(peer.ada.id, "cats")
    peer.world.repost(peer.greeter.id, cats.id)
    body = await _search(peer, read, quote("(cats OR dogs) has:links -is:retweet"))
    assert [post["id"] for post in body["data"]] == [cats.id]

    refused = await _search(peer, read, quote("cats since:2020"), status=400)
    assert refused["title"] == "Invalid Request"
    assert refused["errors"] == [
        {
            "parameters": {"query": ["cats since:2020"]},
            "message": "There were errors processing your request: Reference to invalid operator"
            " 'since' (at position 6)., Reference to invalid field 'since' (at position 6).",
        }
    ]
    answer = await peer.call("GET", "/2/tweets/search/recent", token=peer.app.bearer)
    assert answer.status == 400


async def test_a_query_is_as_long_as_the_plan_allows(peer, read):
    await _search(peer, read, quote("@greeter " * 60), status=400)
    peer.app.enterprise = True
    await _search(peer, read, quote("@greeter " * 60))
    body = await _search(peer, read, quote("from:nobody"))
    assert body["meta"] == {"result_count": 0}


async def test_an_operator_that_it_cannot_play_is_said(peer, read):
    body = await _search(peer, read, quote("context:10.1"), status=501)
    assert "the operator `context:` of a search" in body["detail"]


async def test_posts_of_protected_accounts_are_not_found(peer, read):
    peer.world.add_post(peer.ada.id, "hi @greeter")
    peer.ada.protected = True
    assert (await _search(peer, read))["meta"] == {"result_count": 0}


@pytest.mark.parametrize(
    ("more", "parameter", "message"),
    [
        ("start_time=-8d", "start_time", "'start_time' must be on or after"),
        ("end_time=-5s", "end_time", "must be a minimum of 10 seconds prior to the request time."),
        ("start_time=-1d&end_time=-2d", "start_time", "must be before 'end_time'."),
        ("start_time=-1s", "start_time", "must be before 'end_time'."),
        ("start_time=-1d&since_id=new", "start_time", "cannot be used together"),
        ("since_id=1", "since_id", "Please use a 'since_id' that is larger than"),
        ("until_id=1", "until_id", "Please use a 'until_id' that is larger than"),
        ("max_results=9", "max_results", "is not between 10 and 100"),
        ("max_results=101", "max_results", "is not between 10 and 100"),
        ("sort_order=best", "sort_order", "is not one of [recency,relevancy]"),
        ("next_token=x", "pagination_token", "is not valid"),
        ("exclude=replies", "exclude", "The query parameter [exclude] is not one of"),
    ],
)
async def test_bounds_that_x_does_not_take_are_refused(peer, read, more, parameter, message):
    now = peer.world.time_on_x()
    for span, unit in (("8d", 8 * 86400), ("2d", 2 * 86400), ("1d", 86400), ("5s", 5), ("1s", 1)):
        at = (now - timedelta(seconds=unit)).strftime("%Y-%m-%dT%H:%M:%SZ")
        more = more.replace(f"-{span}", at)
    more = more.replace("new", peer.world.add_post(peer.ada.id, "x").id)
    refused = await _search(peer, read, more=f"&{more}", status=400)
    [error] = refused["errors"]
    assert parameter in error["parameters"]
    assert message in error["message"]


async def test_times_bound_what_is_found(peer, read):
    first = peer.world.add_post(peer.ada.id, "@greeter 1")
    await peer.clock.advance(60)
    second = peer.world.add_post(peer.ada.id, "@greeter 2")
    await peer.clock.advance(60)
    peer.world.add_post(peer.ada.id, "@greeter 3")
    start, end = (quote(f"{one.created_at:%Y-%m-%dT%H:%M:%S}Z") for one in (first, second))
    body = await _search(peer, read, more=f"&start_time={start}&end_time={end}")
    assert [post["id"] for post in body["data"]] == [first.id]


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
