"""The front door on a socket."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from botkit.sandbox.x.listener import open_server, serve


@pytest.fixture
async def opened():
    async with open_server() as served:
        yield served


@pytest.fixture
async def http(opened):
    async with aiohttp.ClientSession(opened.url) as session:
        yield session


async def _ready(http):
    for username in ("greeter", "ada"):
        await http.post("/sandbox/users", json={"username": username})
    app = await (await http.post("/sandbox/apps", json={})).json()
    grant = {
        "as": "greeter",
        "client_id": app["client_id"],
        "scopes": "tweet.read tweet.write users.read",
    }
    tokens = await (await http.post("/sandbox/grants", json=grant)).json()
    return app, {"Authorization": f"Bearer {tokens['access_token']}"}


async def test_it_listens_on_a_free_port_and_speaks_json(opened, http):
    _, headers = await _ready(http)

    async with http.get("/2/users/me", headers=headers) as answer:
        assert answer.status == 200
        assert (await answer.json())["data"]["username"] == "greeter"
        assert answer.headers["x-access-level"] == "read-write"
    assert opened.url.startswith("http://127.0.0.1:")
    assert opened.world.user("ada").username == "ada"


async def test_a_query_and_a_path_are_decoded_once(http):
    _, headers = await _ready(http)

    async with http.get("/2/users/by/username/a%64a", headers=headers) as answer:
        assert (await answer.json())["data"]["username"] == "ada"
    async with http.get("/2/users/by?usernames=ada%2Cgreeter", headers=headers) as answer:
        assert len((await answer.json())["data"]) == 2


async def test_the_stream_is_chunked_lines_that_end_in_crlf(opened, http):
    app, _ = await _ready(http)
    bearer = {"Authorization": f"Bearer {app['bearer_token']}"}
    ada = opened.world.user("ada")
    body = {"event_type": "post.create", "filter": {"user_id": ada.id}}
    await http.post("/2/activity/subscriptions", json=body, headers=bearer)

    async with http.get("/2/activity/stream", headers=bearer) as answer:
        await http.post("/sandbox/posts", json={"as": "ada", "text": "hi"})
        line = await answer.content.readline()
        opened.server.faults.cut_streams()
        assert await answer.content.read() == b""

    assert line.endswith(b"\r\n")
    assert json.loads(line)["data"]["payload"]["text"] == "hi"


async def test_a_client_that_goes_away_gives_its_place_back(opened, http):
    app, _ = await _ready(http)
    bearer = {"Authorization": f"Bearer {app['bearer_token']}"}

    async with http.get("/2/activity/stream", headers=bearer) as answer:
        assert opened.server.activity.open_streams(app["id"]) == 1
        answer.close()
    async with asyncio.timeout(5):
        while opened.server.activity.open_streams(app["id"]):
            await http.get("/sandbox/state")


@pytest.mark.parametrize(
    ("verb", "error", "posts"),
    [
        ("lose_answer", aiohttp.ClientConnectionError, 1),
        ("reset", aiohttp.ClientConnectionError, 0),
        ("cut_answer", aiohttp.ClientPayloadError, 1),
    ],
)
async def test_broken_answers_break_the_connection(opened, http, verb, error, posts):
    _, headers = await _ready(http)
    getattr(opened.server.faults, verb)("POST /2/tweets")

    with pytest.raises(error):
        async with http.post("/2/tweets", json={"text": "hi"}, headers=headers) as answer:
            await answer.read()

    assert len(opened.world.posts) == posts


async def test_a_stalled_answer_never_comes(opened, http):
    _, headers = await _ready(http)
    opened.server.faults.stall("POST /2/tweets")

    with pytest.raises(TimeoutError):
        await http.post(
            "/2/tweets",
            json={"text": "hi"},
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=0.05),
        )

    assert len(opened.world.posts) == 1


async def test_a_lost_stream_breaks_too(opened, http):
    app, _ = await _ready(http)
    # aiohttp sends a GET again by itself when a connection was used before.
    opened.server.faults.lose_answer("GET /2/activity/stream", times=2)

    with pytest.raises(aiohttp.ClientConnectionError):
        await http.get(
            "/2/activity/stream", headers={"Authorization": f"Bearer {app['bearer_token']}"}
        )

    assert opened.server.activity.open_streams(app["id"]) == 0


def _own(opened):
    return opened.url.removeprefix("http://")


@pytest.mark.parametrize("path", ["/sandbox/posts", "/sandbox/login", "/2/tweets", "/nothing"])
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "notx.com",
        "x.com.evil.example",
        "evil",
        "[evil",
        "",
    ],
)
async def test_a_host_that_is_not_its_own_is_refused(opened, http, host, path):
    await _ready(http)
    body = {"as": "ada", "text": "hi"}

    async with http.post(path, json=body, headers={"Host": host}) as answer:
        assert answer.status == 421

    assert not opened.world.posts


async def test_two_hosts_are_refused(opened):
    reader, writer = await asyncio.open_connection(*_own(opened).split(":"))
    host = f"Host: {_own(opened)}\r\n".encode()
    writer.write(b"GET /sandbox/state HTTP/1.1\r\nConnection: close\r\n" + host * 2 + b"\r\n")
    answer = await reader.read()
    writer.close()

    assert answer.split()[1] in {b"400", b"421"}


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost", "x"]
)
@pytest.mark.parametrize("path", ["/sandbox/posts", "/sandbox/login", "/i/oauth2/authorize"])
async def test_a_page_of_another_origin_is_refused(opened, http, origin, path):
    await _ready(http)
    body = {"as": "ada", "text": "hi"}

    async with http.post(path, json=body, headers={"Origin": origin}) as answer:
        assert answer.status == 403
        assert "access-control-allow-origin" not in answer.headers

    assert not opened.world.posts
    assert opened.world.logged_in == "greeter"


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:9000", "127.0.0.1:9000", "[::1]:9000", "192.0.2.7", "api.x.com"],
)
async def test_its_own_names_and_pages_are_served_through_a_tunnel_too(opened, http, host):
    await _ready(http)
    body, named = {"as": "ada", "text": "hi"}, {"Host": host, "Origin": f"http://{host}"}

    async with http.post("/sandbox/posts", json=body, headers=named) as answer:
        assert answer.status == 200


async def test_a_name_that_was_allowed_is_served():
    async with (
        open_server(allowed_hosts=["Sandbox.Internal"]) as opened,
        aiohttp.ClientSession(opened.url) as http,
        http.get("/sandbox/state", headers={"Host": "sandbox.internal:80"}) as answer,
    ):
        assert answer.status == 200


async def test_a_port_that_is_taken_is_an_error(opened):
    port = int(opened.url.rpartition(":")[2])

    with pytest.raises(OSError, match="address already in use"):
        async with open_server(port=port):
            pass


async def test_serve_says_when_it_listens_and_runs_until_it_is_cancelled():
    listening = asyncio.get_running_loop().create_future()
    task = asyncio.get_running_loop().create_task(serve(ready=listening.set_result))

    opened = await listening
    async with aiohttp.ClientSession(opened.url) as session:
        assert (await session.get("/sandbox/state")).status == 200
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /2/users/me HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 401),
        (b"GET /2/nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 404),
        (b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", 421),
        (b"\0\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"POST /2/tweets HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2000000\r\n\r\n", 413),
    ],
)
async def test_no_answer_tells_what_the_server_is_made_of(opened, request_, status):
    host, port = opened.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request_)
    if status == 413:
        writer.write(b"x" * 2_000_000)
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    assert int(head.split()[1]) == status
    assert b"aiohttp" not in head
    assert b"\r\nserver:" not in head.lower()


async def test_the_stream_does_not_tell_it_either(opened, http):
    app, _ = await _ready(http)
    bearer = {"Authorization": f"Bearer {app['bearer_token']}"}
    async with http.get("/2/activity/stream", headers=bearer) as answer:
        assert "Server" not in answer.headers
