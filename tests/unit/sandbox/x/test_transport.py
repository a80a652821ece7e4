"""The in-process front door, as a client of a real network would see it."""

from __future__ import annotations

import asyncio
import json

import pytest

from botkit.errors import OutcomeUnknown, TransportError
from botkit.ports.io import HttpRequest
from botkit.sandbox.x.transport import SandboxTransport


@pytest.fixture
def transport(peer):
    return SandboxTransport(peer.server, peer.clock)


def _post(peer, text="hi", *, host="api.x.com"):
    return HttpRequest(
        method="POST",
        url=f"https://{host}/2/tweets",
        name="POST /2/tweets",
        headers=(
            ("Authorization", f"Bearer {peer.token()}"),
            ("Content-Type", "application/json"),
        ),
        body=json.dumps({"text": text}).encode(),
        timeout_s=10,
        writes=True,
    )


def _read(peer, path="/2/tweets?ids=1"):
    return HttpRequest(
        method="GET",
        url=f"https://api.x.com{path}",
        name=f"GET {path}",
        headers=(("Authorization", f"Bearer {peer.app.bearer}"),),
        timeout_s=10,
    )


async def test_a_request_is_answered_with_header_names_in_lower_case(peer, transport):
    answer = await transport.send(_post(peer))

    assert answer.status == 201
    assert answer.headers["x-access-level"] == "read-write"
    assert all(name == name.lower() for name in answer.headers)


async def test_before_bytes_runs_before_anything_is_done_and_can_stop_it(peer, transport):
    async def stop():
        assert not peer.world.posts
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        await transport.send(_post(peer), before_bytes=stop)

    assert not peer.world.posts


@pytest.mark.parametrize(("verb", "posts"), [("lose_answer", 1), ("cut_answer", 1), ("reset", 0)])
async def test_a_write_whose_answer_is_lost_has_an_unknown_outcome(peer, transport, verb, posts):
    getattr(peer.server.faults, verb)("POST /2/tweets")

    with pytest.raises(OutcomeUnknown) as caught:
        await transport.send(_post(peer))

    assert caught.value.kind == "reset"
    assert caught.value.request == "POST /2/tweets"
    assert len(peer.world.posts) == posts


async def test_a_read_whose_answer_is_lost_may_be_sent_again(peer, transport):
    peer.server.faults.lose_answer("GET /2/tweets")

    with pytest.raises(TransportError) as caught:
        await transport.send(_read(peer))

    assert not isinstance(caught.value, OutcomeUnknown)


async def test_a_stalled_answer_is_a_timeout_in_virtual_time(peer, transport):
    peer.server.faults.stall("POST /2/tweets")
    sending = asyncio.get_running_loop().create_task(transport.send(_post(peer)))

    await peer.clock.advance(9)
    assert not sending.done()
    await peer.clock.advance(1)

    assert isinstance(sending.exception(), OutcomeUnknown)
    assert sending.exception().kind == "timeout"


async def test_only_xs_hosts_can_be_reached(peer, transport):
    with pytest.raises(TransportError) as caught:
        await transport.send(_post(peer, host="evil.example"))

    assert caught.value.kind == "dns"
    assert not isinstance(caught.value, OutcomeUnknown)


async def test_offline_nothing_is_sent(peer, transport):
    transport.offline = True

    with pytest.raises(TransportError) as caught:
        await transport.send(_post(peer))

    assert caught.value.kind == "connect"
    assert not peer.world.posts


async def test_a_stream_comes_line_by_line_and_gives_its_place_back(peer, transport):
    body = {"event_type": "post.create", "filter": {"user_id": peer.ada.id}}
    await peer.call("POST", "/2/activity/subscriptions", token=peer.app.bearer, body=body)

    async with transport.stream(_read(peer, "/2/activity/stream")) as stream:
        assert stream.status == 200
        assert stream.headers["content-type"].startswith("application/json")
        assert peer.server.activity.open_streams(peer.app.id) == 1
        peer.world.add_post(peer.ada.id, "hi")
        peer.server.faults.cut_streams()
        lines = [line async for line in stream.chunks()]

    assert len(lines) == 1
    assert json.loads(lines[0])["data"]["payload"]["text"] == "hi"
    assert peer.server.activity.open_streams(peer.app.id) == 0


async def test_a_stream_that_is_refused_can_be_read_as_an_error(peer, transport):
    request = _read(peer, "/2/activity/stream?backfill_minutes=5")

    async with transport.stream(request) as stream:
        assert stream.status == 400
        assert b"backfill" in await stream.read()
        assert [chunk async for chunk in stream.chunks()] == [await stream.read()]


async def test_a_stream_whose_answer_is_lost_takes_no_place(peer, transport):
    peer.server.faults.lose_answer("GET /2/activity/stream")

    with pytest.raises(TransportError):
        async with transport.stream(_read(peer, "/2/activity/stream")):
            pass

    assert peer.server.activity.open_streams(peer.app.id) == 0


async def test_a_stream_is_not_left_open_by_a_plain_send(peer, transport):
    await transport.send(_read(peer, "/2/activity/stream"))

    assert peer.server.activity.open_streams(peer.app.id) == 0
