"""Who calls, what a credential may, and users looked up."""

from __future__ import annotations

import pytest


async def test_me_is_the_user_of_the_token(peer, read):
    answer = await peer.call("GET", "/2/users/me", token=peer.token())

    assert read(answer) == {
        "data": {"id": peer.greeter.id, "name": "Greeter", "username": "greeter"}
    }


async def test_every_answer_of_the_api_carries_the_access_level(peer):
    by_user = await peer.call("GET", "/2/users/me", token=peer.token("users.read tweet.read"))
    by_app = await peer.call("GET", f"/2/users/{peer.ada.id}", token=peer.app.bearer)
    refused = await peer.call("POST", "/2/tweets", token=peer.app.bearer, body={"text": "x"})

    assert by_user.headers["x-access-level"] == "read-write"
    assert by_app.headers["x-access-level"] == "read"
    assert refused.headers["x-access-level"] == "read"


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer nonsense", "Basic eDp5", "OAuth x=y"])
async def test_a_call_without_a_living_token_is_unauthorized(peer, read, header):
    headers = {"Authorization": header} if header else {}

    answer = await peer.call("GET", "/2/users/me", headers=headers)

    assert answer.status == 401
    assert read(answer)["title"] == "Unauthorized"


async def test_the_wrong_kind_of_token_is_told_which_kinds_are_right(peer, read):
    answer = await peer.call("POST", "/2/tweets", token=peer.app.bearer, body={"text": "x"})

    assert answer.status == 403
    assert read(answer) == {
        "title": "Unsupported Authentication",
        "detail": "Authenticating with OAuth 2.0 Application-Only is forbidden for this endpoint."
        "  Supported authentication types are"
        " [OAuth 1.0a User Context, OAuth 2.0 User Context].",
        "type": "https://api.twitter.com/2/problems/unsupported-authentication",
        "status": 403,
    }


async def test_a_user_token_opens_no_stream(peer, read):
    answer = await peer.call("GET", "/2/activity/stream", token=peer.token())

    assert (
        "Supported authentication types are [OAuth 2.0 Application-Only]."
        in read(answer)["detail"]
    )


@pytest.mark.parametrize(
    ("scopes", "status"),
    [("tweet.read users.read", 403), ("tweet.read tweet.write users.read", 201)],
)
async def test_each_operation_needs_all_its_scopes(peer, read, scopes, status):
    answer = await peer.call("POST", "/2/tweets", token=peer.token(scopes), body={"text": "hi"})

    assert answer.status == status
    if status == 403:
        assert read(answer) == {
            "detail": "Forbidden",
            "type": "about:blank",
            "title": "Forbidden",
            "status": 403,
        }


async def test_an_app_without_a_package_is_not_enrolled(peer, read):
    peer.app.enrolled = False

    answer = await peer.call("GET", "/2/users/me", token=peer.token())

    assert answer.status == 403
    assert read(answer)["reason"] == "client-not-enrolled"
    assert read(answer)["client_id"] == peer.app.client_id


async def test_a_suspended_user_can_do_nothing(peer, read):
    token = peer.token()
    peer.server.faults.suspend("greeter")

    answer = await peer.call("GET", "/2/users/me", token=token)

    assert answer.status == 403
    assert read(answer)["errors"][0]["code"] == 64


async def test_users_that_are_there_are_given_and_the_others_named(peer, read):
    answer = await peer.call("GET", f"/2/users?ids={peer.ada.id},1", token=peer.token())

    body = read(answer)
    assert [user["username"] for user in body["data"]] == ["ada"]
    assert body["errors"][0]["value"] == "1"
    assert body["errors"][0]["type"].endswith("/resource-not-found")


async def test_usernames_are_found_in_any_case(peer, read):
    answer = await peer.call("GET", "/2/users/by?usernames=ADA,GrEeter", token=peer.app.bearer)

    assert [user["username"] for user in read(answer)["data"]] == ["ada", "greeter"]


@pytest.mark.parametrize("path", ["/2/users/{id}", "/2/users/by/username/ada"])
async def test_one_user_is_given_alone(peer, read, path):
    answer = await peer.call("GET", path.format(id=peer.ada.id), token=peer.app.bearer)

    assert read(answer)["data"]["username"] == "ada"


@pytest.mark.parametrize("path", ["/2/users/99", "/2/users/by/username/nobody"])
async def test_a_user_that_is_not_there_is_an_error_with_status_200(peer, read, path):
    answer = await peer.call("GET", path, token=peer.app.bearer)

    assert answer.status == 200
    assert "data" not in read(answer)
    assert read(answer)["errors"][0]["title"] == "Not Found Error"


@pytest.mark.parametrize("ids", ["", ",".join(map(str, range(101)))])
async def test_a_list_holds_one_to_a_hundred(peer, read, ids):
    answer = await peer.call("GET", f"/2/users?ids={ids}", token=peer.app.bearer)

    assert answer.status == 400
    assert read(answer)["type"].endswith("/invalid-request")


async def test_the_label_is_an_affiliation(peer, read):
    bot = peer.world.add_user("robot", automated=True)

    by_field = await peer.call(
        "GET", f"/2/users/{bot.id}?user.fields=affiliation,created_at", token=peer.app.bearer
    )
    by_expansion = await peer.call(
        "GET", f"/2/users/{bot.id}?expansions=affiliation", token=peer.app.bearer
    )

    assert read(by_field)["data"]["affiliation"]["description"] == "Automated"
    assert read(by_field)["data"]["created_at"] == "2025-12-11T12:00:00.000Z"
    assert read(by_expansion)["data"]["affiliation"]["description"] == "Automated"


async def test_ids_look_like_xs_and_begin_as_the_clock_says(peer):
    assert peer.ada.id.startswith("1999")
    assert len(peer.ada.id) == 19
    assert int(peer.ada.id) > int(peer.greeter.id)


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nope", 404), ("PUT", "/2/users/me", 405)]
)
async def test_what_is_not_there_is_said(peer, read, method, path, status):
    answer = await peer.call(method, path, token=peer.token())

    assert answer.status == read(answer)["status"] == status
