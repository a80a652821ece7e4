"""Connections of attackers, byte by byte: each has a deadline, a limit, and a place to lose."""

from __future__ import annotations

import asyncio
import socket
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from botkit.web.bot_site import BOT_SITE
from botkit.web.connections import Connections
from botkit.web.health import Health
from botkit.web.requests import BodyLimit, WebRequest
from botkit.web.responses import WebResponse
from botkit.web.server import WebRoute, WebServer
from tests.unit.web.browsing import Answered, send

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]

HEAD_BYTES = BOT_SITE.limits.head_bytes
POST = b"POST /form HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
HEALTH = Health(logins=list, parts=dict, sources=list, phase="running")


class Place:
    """A server with the routes of an attacker's dreams."""

    def __init__(self) -> None:
        self.reading = asyncio.Semaphore(0)
        """Released by each request that waits in its route."""
        self.gate = asyncio.Event()
        posts = ("POST",)
        self.server = WebServer(
            "127.0.0.1",
            0,
            HEALTH.routes
            | {
                "/form": WebRoute(methods=posts, answer=self.form),
                "/brief": WebRoute(
                    methods=posts, answer=self.form, body=BodyLimit(timeout_s=0.05)
                ),
                "/gate": WebRoute(methods=("GET",), answer=self.wait),
                "/large": WebRoute(methods=("GET",), answer=self.large),
            },
            site=BOT_SITE,
        )

    async def form(self, request: WebRequest) -> WebResponse:
        self.reading.release()
        return WebResponse(status=200, body=repr(await request.form()).encode(), headers={})

    async def wait(self, request: WebRequest) -> WebResponse:
        self.reading.release()
        await self.gate.wait()
        return WebResponse(status=200, body=b"at last", headers={})

    async def large(self, request: WebRequest) -> WebResponse:
        self.reading.release()
        return WebResponse(status=200, body=bytes(64 * 1024 * 1024), headers={})

    @property
    def connections(self) -> Connections:
        return self.server._connections

    def limit(self, monkeypatch: pytest.MonkeyPatch, **limits: float) -> None:
        monkeypatch.setattr(self.connections, "limits", replace(self.connections.limits, **limits))

    async def health(self) -> int:
        lines = ("GET /healthz HTTP/1.1", "Host: x")
        return (await asyncio.wait_for(send(self.server.port, *lines), 5)).status

    @asynccontextmanager
    async def open(self, sent: bytes, times: int = 1) -> AsyncIterator[list[Stream]]:
        """Connect and send these bytes, so many times; hang up after the block."""
        async with AsyncExitStack() as stack:
            streams = []
            for _ in range(times):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
                stack.callback(writer.transport.abort)
                writer.write(sent)
                streams.append((reader, writer))
            yield streams


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    place = Place()
    async with place.server:
        yield place
        place.gate.set()


async def end_of(stream: Stream) -> bytes:
    return await asyncio.wait_for(stream[0].read(), 5)


STARTS = [
    b"",
    b"\r\n\r\n",
    b"\r\n" * 500,
    b"GET /healthz HTTP/1.1\r\nHost: ",
    b"GET /healthz HTTP/1.1\r\n\r",
]


@pytest.mark.parametrize("sent", STARTS, ids=range(5))
async def test_a_head_that_does_not_come_is_cut_off(
    place: Place, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    place.limit(monkeypatch, head_timeout_s=0.05)
    async with place.open(sent) as (stream,):
        assert await end_of(stream) == b""


@pytest.mark.parametrize("sent", STARTS, ids=range(5))
async def test_health_is_told_beside_512_connections_that_say_nothing(
    place: Place, sent: bytes
) -> None:
    async with place.open(sent, 512) as streams:
        assert await place.health() == 200
        assert await end_of(streams[0]) == b""


async def test_health_is_told_beside_512_bodies_that_do_not_come(place: Place) -> None:
    async with place.open(POST + b"Content-Length: 10\r\n\r\na=", 512) as streams:
        for _ in streams:
            await asyncio.wait_for(place.reading.acquire(), 5)
        assert await place.health() == 200
        assert await end_of(streams[0]) == b""


async def test_health_is_told_beside_answers_that_are_not_taken(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.limit(monkeypatch, connections=2)
    async with place.open(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n", 2):
        assert await place.health() == 200


async def test_what_is_being_answered_keeps_its_place(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.limit(monkeypatch, connections=2)
    async with place.open(b"GET /gate HTTP/1.1\r\nHost: x\r\n\r\n", 2) as streams:
        for _ in streams:
            await asyncio.wait_for(place.reading.acquire(), 5)
        async with place.open(b"") as (late,):
            assert await end_of(late) == b""
        place.gate.set()
        for stream in streams:
            assert (await end_of(stream)).endswith(b"at last")


async def test_after_its_body_a_request_keeps_its_place(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.limit(monkeypatch, connections=1)

    async def slow(request: WebRequest) -> WebResponse:
        await request.form()
        return await place.wait(request)

    form = WebRoute(methods=("POST",), answer=slow)
    monkeypatch.setitem(place.server._routes, "/form", form)  # type: ignore[arg-type]  # a dict
    async with place.open(POST + b"Content-Length: 3\r\n\r\na=b") as (stream,):
        await asyncio.wait_for(place.reading.acquire(), 5)
        async with place.open(b"") as (late,):
            assert await end_of(late) == b""
        place.gate.set()
        assert (await end_of(stream)).endswith(b"at last")


async def test_an_answer_that_takes_too_long_is_cut_off(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.limit(monkeypatch, answer_timeout_s=0.05)
    async with place.open(b"GET /gate HTTP/1.1\r\nHost: x\r\n\r\n") as (stream,):
        assert await end_of(stream) == b""


async def test_an_answer_that_is_not_taken_is_cut_off(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.limit(monkeypatch, send_timeout_s=0.05)
    async with place.open(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n"):
        await asyncio.wait_for(place.reading.acquire(), 5)
        async with asyncio.timeout(5):
            while place.connections:
                await place.health()


async def test_the_deadline_of_the_head_ends_with_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.limit(monkeypatch, head_timeout_s=0.05)
    async with place.open(b"GET /gate HTTP/1.1\r\nHost: x\r\n\r\n") as (stream,):
        await asyncio.wait_for(place.reading.acquire(), 5)
        async with place.open(b"") as (later,):
            assert await end_of(later) == b""
        place.gate.set()
        assert (await end_of(stream)).endswith(b"at last")


def head_of(size: int) -> bytes:
    """A proper head of that many bytes, of many headers."""
    head = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
    while size - len(head) > 1100:
        head += b"X: " + b"a" * 995 + b"\r\n"
    return head + b"X: " + b"a" * (size - len(head) - 7) + b"\r\n\r\n"


@pytest.mark.parametrize(("more", "status"), [(0, 200), (1, 400), (1000, 400)])
@pytest.mark.parametrize("before", [b"", b"\r\n", b"\r\n\r\n\n"])
@pytest.mark.parametrize("piece", [1_000_000, 4000])
async def test_the_bytes_of_a_head_are_counted_together(
    place: Place, more: int, status: int, before: bytes, piece: int
) -> None:
    sent = before + head_of(HEAD_BYTES + more)
    async with place.open(b"") as ((reader, writer),):
        for start in range(0, len(sent), piece):
            writer.write(sent[start : start + piece])
            await place.health()
        answer = Answered(await end_of((reader, writer)))
    assert answer.status == status
    assert "server" not in answer.headers


async def test_a_hundred_large_heads_cost_little_memory(place: Place) -> None:
    sent = b"GET /healthz HTTP/1.1\r\n" + (b"X: " + b"a" * 16_000 + b"\r\n") * 60
    address = ("127.0.0.1", place.server.port)
    with ExitStack() as stack:
        peers = [stack.enter_context(socket.create_connection(address)) for _ in range(100)]
        stack.callback(tracemalloc.stop)
        tracemalloc.start()
        for peer in peers:
            peer.settimeout(0)
            assert peer.send(sent) > 2 * HEAD_BYTES
        await place.health()
        while place.connections:
            await place.health()
        _, peak = tracemalloc.get_traced_memory()
    assert peak < len(peers) * 6 * HEAD_BYTES


async def test_a_head_without_end_is_refused_before_its_deadline(place: Place) -> None:
    async with place.open(b"GET /healthz HTTP/1.1\r\n" + b"X: a\r\n" * 4000) as (stream,):
        try:
            answer = await end_of(stream)
        except ConnectionResetError:  # what was sent and not read takes the page with it
            return
        assert Answered(answer).status == 400


@pytest.mark.parametrize(
    "chunks",
    [b"1;" + b"a" * 50_000 + b"\r\nx\r\n0\r\n\r\n", b"1\r\nx\r\n" * 4000 + b"0\r\n\r\n"],
    ids=["extension", "tiny"],
)
async def test_the_bytes_of_a_body_are_counted_as_they_come(place: Place, chunks: bytes) -> None:
    post = POST.replace(b"/form", b"/brief") + b"Transfer-Encoding: chunked\r\n\r\n"
    async with place.open(post + chunks) as (stream,):
        assert Answered(await end_of(stream)).text == "None"


async def test_a_body_may_come_in_pieces(place: Place) -> None:
    async with place.open(POST + b"Content-Length: 3\r\n\r\na") as ((reader, writer),):
        await asyncio.wait_for(place.reading.acquire(), 5)
        for piece in (b"=", b"b"):
            writer.write(piece)
            await writer.drain()
        assert Answered(await end_of((reader, writer))).text == "'a=b'"


async def test_a_body_as_large_as_allowed_may_come_in_small_chunks(place: Place) -> None:
    form = b"a" * BodyLimit().size_bytes
    chunks = b"".join(b"10\r\n" + form[at : at + 16] + b"\r\n" for at in range(0, len(form), 16))
    post = POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    async with place.open(post) as (stream,):
        assert Answered(await end_of(stream)).text == repr(form.decode())


@pytest.mark.parametrize("left", [1, 2, 3, 4])
async def test_the_end_of_a_head_may_come_in_pieces(place: Place, left: int) -> None:
    post = POST + b"Content-Length: 3\r\n\r\n"
    async with place.open(post[:-left]) as ((reader, writer),):
        await place.health()
        writer.write(post[-left:] + b"a=b")
        assert Answered(await end_of((reader, writer))).text == "'a=b'"


async def test_what_follows_a_head_that_came_in_pieces_does_not_count_as_its_bytes(
    place: Place,
) -> None:
    form = b"a=" + b"b" * 2000
    post = POST + b"Content-Length: %d\r\nX: " % len(form)
    post = post.ljust(HEAD_BYTES - len(b"\r\n\r\n"), b"x") + b"\r\n\r\n"
    async with place.open(post[:-1]) as ((reader, writer),):
        await place.health()
        for piece in (post[-1:], form):
            writer.write(piece)
            await place.health()
        assert Answered(await end_of((reader, writer))).text == repr(form.decode())


async def test_a_request_that_is_none_is_logged_with_its_status(place: Place) -> None:
    with capture_logs() as lines:
        async with place.open(b"no request\r\n\r\n") as (stream,):
            assert Answered(await end_of(stream)).status == 400
    refused = [
        (line["status"], line["kind"]) for line in lines if line["event"] == "request.refused"
    ]
    assert refused == [(400, "BadHttpMethod")]


async def test_requests_behind_the_first_are_not_answered(place: Place) -> None:
    async with place.open(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 3) as (stream,):
        assert (await end_of(stream)).count(b"HTTP/1.1") == 1
