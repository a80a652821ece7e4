"""The sandbox's own API, by which another process plays the users."""

from __future__ import annotations

import pytest


async def _post(peer, path, **body):
    return await peer.call("POST", f"/sandbox/{path}", body=body)


async def test_users_apps_and_posts_can_be_made(peer, read):
    user = read(await _post(peer, "users", username="bob", name="Bob B", automated=True))
    app = read(
        await _post(
            peer,
            "apps",
            name="Mine",
            client_id="my-id",
            client_secret="my-secret",
            redirect_uris=["http://127.0.0.1:1/cb"],
            owner="bob",
        )
    )
    post = read(await _post(peer, "posts", **{"as": "bob", "text": "@greeter hi"}))

    assert peer.world.user("bob").name == user["name"] == "Bob B"
    assert peer.world.user("bob").automated
    assert app["client_id"] == "my-id"
    assert app["client_secret"] == "my-secret"
    assert app["redirect_uris"] == ["http://127.0.0.1:1/cb"]
    assert peer.world.grants.apps["my-id"].owner_id == user["id"]
    assert peer.world.grants.by_bearer(app["bearer_token"]).name == "Mine"
    assert peer.world.post(post["id"]).text == "@greeter hi"


async def test_posts_can_be_answered_quoted_deleted_and_listed(peer, read):
    head = read(await _post(peer, "posts", **{"as": "ada", "text": "@greeter hi"}))
    reply = peer.world.add_post(peer.greeter.id, "hello", reply_to=head["id"])
    await _post(peer, "posts", **{"as": "ada", "text": "why?", "reply_to": reply.id})
    quote = read(await _post(peer, "posts", **{"as": "ada", "text": "see", "quote": reply.id}))
    await _post(peer, "delete", id=quote["id"])

    by = read(await peer.call("GET", "/sandbox/posts?by=greeter"))["posts"]
    to = read(await peer.call("GET", "/sandbox/posts?to=greeter"))["posts"]
    last = read(await peer.call("GET", "/sandbox/posts?limit=1"))["posts"]

    assert [(post["text"], post["reply_to"], post["full_text"]) for post in by] == [
        ("hello", head["id"], "@ada hello")
    ]
    assert [post["text"] for post in to] == ["why?"]
    assert [post["text"] for post in last] == ["why?"]


async def test_posts_can_be_liked_and_reposted_and_users_followed(peer, read):
    body = {"as": "ada", "text": "hola", "lang": "es", "media": ["photo"]}
    head = read(await _post(peer, "posts", **body))
    repost = read(await _post(peer, "reposts", **{"as": "greeter", "post": head["id"]}))
    liked = read(await _post(peer, "likes", **{"as": "greeter", "post": head["id"]}))
    await _post(peer, "follows", **{"as": "greeter", "user": "ada"})
    unknown = await _post(peer, "posts", **(body | {"media": ["poster"]}))

    assert peer.world.post(head["id"]).media == ("photo",)
    assert (repost["repost"], liked) == (head["id"], {"liked": True})
    assert list(peer.ada.followers) == [peer.greeter.id]
    assert unknown.status == 400


async def test_a_list_can_be_made_with_its_members(peer, read):
    made = read(
        await _post(peer, "lists", **{"as": "ada", "name": "Cats", "members": ["greeter"]})
    )
    unknown = await _post(peer, "lists", **{"as": "ada", "name": "Cats", "members": ["nobody"]})

    assert list(peer.world.lists.get(made["id"]).members) == [peer.greeter.id]
    assert (unknown.status, len(peer.world.lists.all())) == (400, 1)


async def test_messages_can_be_sent_and_listed(peer, read):
    await _post(peer, "messages", **{"as": "ada", "to": "greeter", "text": "hi"})

    listed = read(await peer.call("GET", "/sandbox/messages?of=greeter"))["messages"]
    every = read(await peer.call("GET", "/sandbox/messages"))["messages"]

    assert listed == every
    assert (listed[0]["by"], listed[0]["to"], listed[0]["text"]) == ("ada", "greeter", "hi")


async def test_the_first_user_is_logged_in_and_another_can_be(peer, read):
    await _post(peer, "users", username="greeter")
    answer = await _post(peer, "login", **{"as": "ada"})

    assert peer.world.logged_in == "ada"
    assert answer.headers["set-cookie"].startswith("sandbox_user=ada;")
    assert "HttpOnly" in answer.headers["set-cookie"]


async def test_a_grant_can_be_had_without_a_page(peer, read):
    body = {"as": "greeter", "client_id": peer.app.client_id, "scopes": "users.read tweet.read"}

    tokens = read(await _post(peer, "grants", **body))

    me = await peer.call("GET", "/2/users/me", token=tokens["access_token"])
    assert read(me)["data"]["username"] == "greeter"
    assert tokens["refresh_token"] is None


async def test_a_grant_can_be_taken_back(peer):
    token = peer.token()

    await _post(peer, "revoke", **{"as": "greeter"})

    assert (await peer.call("GET", "/2/users/me", token=token)).status == 401


async def test_a_fault_can_be_planned(peer):
    await _post(peer, "faults", kind="unavailable", call="GET /2/users/me", status=500)

    assert (await peer.call("GET", "/2/users/me")).status == 500


async def test_the_state_says_what_was_spent_and_tried(peer, read):
    await peer.refresh("wrong")
    await peer.call("POST", "/2/tweets", token=peer.token(), body={"text": "hi"})
    body = {"event_type": "post.create", "filter": {"user_id": peer.ada.id}}
    await peer.call("POST", "/2/activity/subscriptions", token=peer.app.bearer, body=body)

    state = read(await peer.call("GET", "/sandbox/state"))

    assert state["now"] == "2025-12-11T12:00:00.000Z"
    assert state["posts"] == 1
    assert state["spent_usd"] == {peer.app.client_id: "0.015"}
    assert state["token_log"][0]["outcome"] == "refused"
    assert [user["username"] for user in state["users"]] == ["greeter", "ada"]
    assert state["subscriptions"][0]["event_type"] == "post.create"
    assert state["open_streams"] == {peer.app.client_id: 0}


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("users", {}, "missing: username"),
        ("posts", {"as": "nobody", "text": "x"}, "there is no user 'nobody'"),
        ("posts", {"as": "ada", "text": "x", "reply_to": "7"}, "there is no post '7'"),
        ("faults", {"kind": "burn"}, "no such fault"),
        ("faults", {"kind": "stall", "call": "GET /2/x", "colour": 1}, "colour"),
        ("grants", {"client_id": "nobody", "as": "ada", "scopes": ""}, "no app"),
        ("login", {"as": "nobody"}, "no such user"),
    ],
)
async def test_what_is_wrong_is_said(peer, read, path, body, says):
    answer = await peer.call("POST", f"/sandbox/{path}", body=body)

    assert answer.status == 400
    assert says in read(answer)["errors"][0]["message"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
async def test_a_page_of_somebody_else_cannot_post_unasked(peer, kind):
    answer = await peer.call(
        "POST", "/sandbox/users", body=b'{"username": "eve"}', headers={"Content-Type": kind}
    )

    assert answer.status == 400
    assert peer.world.find_user("eve") is None
