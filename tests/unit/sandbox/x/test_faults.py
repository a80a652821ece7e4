"""Planned faults of single calls."""

from __future__ import annotations

import pytest

from botkit.sandbox.wire.exchange import Delivery


async def _post(peer, token, text="hi"):
    return await peer.call("POST", "/2/tweets", token=token, body={"text": text})


@pytest.mark.parametrize(
    ("verb", "delivery", "posts"),
    [
        ("lose_answer", Delivery.LOST, 1),
        ("cut_answer", Delivery.CUT, 1),
        ("stall", Delivery.STALLED, 1),
        ("reset", Delivery.LOST, 0),
    ],
)
async def test_the_answer_does_not_come_whole_whether_or_not_x_did_it(peer, verb, delivery, posts):
    getattr(peer.server.faults, verb)("POST /2/tweets")

    answer = await _post(peer, peer.token())

    assert answer.delivery is delivery
    assert len(peer.world.posts) == posts


async def test_a_fault_strikes_as_often_as_planned_and_not_other_calls(peer):
    token = peer.token()
    fault = peer.server.faults.lose_answer("POST /2/tweets", times=2)

    other = await peer.call("GET", "/2/tweets?ids=1", token=token)
    struck = [(await _post(peer, token, str(n))).delivery for n in range(3)]

    assert other.delivery is Delivery.WHOLE
    assert struck == [Delivery.LOST, Delivery.LOST, Delivery.WHOLE]
    assert fault.hits == 2


@pytest.mark.parametrize(
    ("plan", "path", "struck"),
    [
        ("GET /2/users/*/mentions", "/2/users/5/mentions", True),
        ("GET /2/users/{id}/mentions", "/2/users/5/mentions", True),
        ("GET /2/users/*", "/2/users/5/mentions", False),
        ("GET /2/**", "/2/users/5/mentions", True),
        ("* /2/users/me", "/2/users/me", True),
        ("GET /2/users/me", "/2/users/meme", False),
    ],
)
async def test_calls_are_named_by_method_and_path(peer, plan, path, struck):
    peer.server.faults.unavailable(plan, status=502)

    answer = await peer.call("GET", path, token=peer.app.bearer)

    assert (answer.status == 502) is struck


async def test_a_call_without_a_path_is_not_a_call(peer):
    with pytest.raises(ValueError, match="METHOD /path"):
        peer.server.faults.lose_answer("POST tweets")


async def test_a_call_can_be_carried_out_twice(peer):
    peer.server.faults.repeat("POST /2/dm_conversations/with/*/messages")
    dm = peer.token("dm.read dm.write tweet.read users.read")

    await peer.call(
        "POST",
        f"/2/dm_conversations/with/{peer.ada.id}/messages",
        token=dm,
        body={"text": "once"},
    )

    assert [message.text for message in peer.world.messages.values()] == ["once", "once"]


async def test_a_rate_limit_comes_with_its_reset_or_without(peer):
    peer.server.faults.rate_limit("POST /2/tweets", reset_in_s=30)
    peer.server.faults.rate_limit("POST /2/tweets", reset_in_s=None)
    token = peer.token()

    first, second = await _post(peer, token), await _post(peer, token)

    assert first.status == second.status == 429
    assert int(first.headers["x-rate-limit-reset"]) == peer.clock.now().timestamp() + 30
    assert "x-rate-limit-reset" not in second.headers
    assert not peer.world.posts


async def test_x_can_be_down_for_a_while(peer):
    peer.server.faults.unavailable("POST /2/tweets", retry_after_s=7, times=None)
    token = peer.token()

    answers = [await _post(peer, token, str(n)) for n in range(3)]
    peer.server.faults.clear()

    assert {answer.status for answer in answers} == {503}
    assert answers[0].headers["retry-after"] == "7"
    assert (await _post(peer, token)).status == 201


@pytest.mark.parametrize(
    ("body", "raw"),
    [(b"<html>login</html>", b"<html>login</html>"), (None, b""), ({"a": 1}, b'{"a":1}')],
)
async def test_any_answer_can_be_canned(peer, body, raw):
    peer.server.faults.answer(
        "POST /2/oauth2/token", status=200, body=body, headers={"content-type": "text/html"}
    )

    answer = await peer.refresh("x")

    assert (answer.status, answer.body) == (200, raw)
    assert answer.headers["content-type"] == "text/html"


async def test_the_sandboxs_own_api_has_no_faults(peer):
    peer.server.faults.unavailable("* /**", times=None)

    assert (await peer.call("GET", "/sandbox/state")).status == 200


async def test_faults_are_planned_by_name_too(peer):
    peer.server.faults.plan("unavailable", {"call": "GET /2/users/me", "status": 500})

    assert (await peer.call("GET", "/2/users/me")).status == 500
    with pytest.raises(ValueError, match="no such fault: 'burn'"):
        peer.server.faults.plan("burn", {})
    with pytest.raises(TypeError, match="user is a username, not 5"):
        peer.server.faults.plan("revoke", {"user": 5})
    with pytest.raises(ValueError, match="99999 is no status of an answer"):
        peer.server.faults.plan("answer", {"call": "GET /2/users/me", "status": 99999})


async def test_a_user_can_be_made_to_revoke(peer):
    token = peer.token()

    peer.server.faults.revoke("greeter")

    assert (await peer.call("GET", "/2/users/me", token=token)).status == 401
