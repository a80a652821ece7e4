"""Lists by the API. Source of the answers: tests/wire/recorded (manage_and_get_pinned_lists)."""

from __future__ import annotations

import pytest

SCOPES = "tweet.read users.read list.read list.write"


@pytest.fixture
def ask(peer, read):
    tokens = {name: peer.token(SCOPES, user=name) for name in ("greeter", "ada")}

    async def asked(method, path, body=None, *, by="greeter", status=200):
        answer = await peer.call(method, path, token=tokens[by], body=body)
        assert answer.status == status, answer.body
        return read(answer)

    return asked


@pytest.fixture
async def made(ask):
    body = {"name": "Cats", "description": "all of them", "private": False}
    return (await ask("POST", "/2/lists", body, status=201))["data"]


async def test_a_list_is_made_changed_and_deleted(peer, ask, made):
    path = f"/2/lists/{made['id']}"
    everything = "list.fields=created_at,description,follower_count,member_count,owner_id,private"
    assert made["name"] == "Cats"
    shown = await ask("GET", f"{path}?{everything}&expansions=owner_id")
    assert shown["data"]["description"] == "all of them"
    assert shown["data"]["owner_id"] == peer.greeter.id
    assert [user["username"] for user in shown["includes"]["users"]] == ["greeter"]
    assert await ask("PUT", path, {"name": "Dogs"}) == {"data": {"updated": True}}
    assert (await ask("GET", path))["data"] == {"id": made["id"], "name": "Dogs"}
    assert await ask("DELETE", path) == {"data": {"deleted": True}}
    assert (await ask("GET", path))["errors"][0]["resource_type"] == "list"


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "x" * 26}, {"name": "a", "of": 1}])
async def test_a_list_that_x_does_not_take_is_refused(ask, body):
    await ask("POST", "/2/lists", body, status=400)


async def test_members_come_and_go_and_their_posts_are_listed(peer, ask, made):
    path = f"/2/lists/{made['id']}"
    old = peer.world.add_post(peer.ada.id, "old")
    assert await ask("POST", f"{path}/members", {"user_id": peer.ada.id}) == {
        "data": {"is_member": True}
    }
    peer.world.add_post(peer.greeter.id, "not a member's")
    new = peer.world.add_post(peer.ada.id, "new")
    members = await ask("GET", f"{path}/members")
    posts = await ask("GET", f"{path}/tweets?tweet.fields=author_id&expansions=author_id")
    memberships = await ask("GET", f"/2/users/{peer.ada.id}/list_memberships")
    assert [one["username"] for one in members["data"]] == ["ada"]
    assert [one["id"] for one in posts["data"]] == [new.id, old.id]
    assert [one["id"] for one in memberships["data"]] == [made["id"]]
    first = await ask("GET", f"{path}/tweets?max_results=1")
    more = f"max_results=1&pagination_token={first['meta']['next_token']}"
    assert (await ask("GET", f"{path}/tweets?{more}"))["data"][0]["id"] == old.id
    gone = await ask("DELETE", f"{path}/members/{peer.ada.id}")
    assert gone == {"data": {"is_member": False}}
    assert await ask("GET", f"{path}/tweets") == {"meta": {"result_count": 0}}
    await ask("POST", f"{path}/members", {"user_id": "7"}, status=403)


async def test_a_list_is_followed_and_pinned(peer, ask, made):
    me, body = f"/2/users/{peer.ada.id}", {"list_id": made["id"]}
    for part, said in (("followed_lists", "following"), ("pinned_lists", "pinned")):
        assert await ask("POST", f"{me}/{part}", body, by="ada") == {"data": {said: True}}
        listed = await ask("GET", f"{me}/{part}", by="ada")
        assert (listed["data"][0]["id"], listed["meta"]) == (made["id"], {"result_count": 1})
        gone = await ask("DELETE", f"{me}/{part}/{made['id']}", by="ada")
        assert gone == {"data": {said: False}}
        assert "data" not in await ask("GET", f"{me}/{part}", by="ada")
    await ask("POST", f"{me}/followed_lists", body, by="ada")
    followers = await ask("GET", f"/2/lists/{made['id']}/followers")
    assert [one["username"] for one in followers["data"]] == ["ada"]
    assert (await ask("DELETE", f"{me}/pinned_lists/7", by="ada"))["data"] == {"pinned": False}


async def test_a_list_is_changed_by_its_owner_and_a_private_one_seen_by_its_owner(peer, ask, made):
    path = f"/2/lists/{made['id']}"
    for method, more, body in (
        ("PUT", "", {"private": True}),
        ("DELETE", "", None),
        ("POST", "/members", {"user_id": peer.ada.id}),
    ):
        await ask(method, path + more, body, by="ada", status=403)
    await ask("PUT", path, {"private": True})
    assert "errors" in await ask("GET", path, by="ada")
    owned = f"/2/users/{peer.greeter.id}/owned_lists"
    assert "data" not in await ask("GET", owned, by="ada")
    assert [one["id"] for one in (await ask("GET", owned))["data"]] == [made["id"]]
