"""The bot's HTTP server on real sockets: exact paths, bounded input, headers on every answer."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator

import pytest

from botkit.errors import ConfigError, StoreUnavailable
from botkit.web.bot_site import BOT_SITE
from botkit.web.pages import SECURITY_HEADERS, Page
from botkit.web.requests import BodyLimit, WebRequest
from botkit.web.responses import WebResponse, page_response
from botkit.web.server import WebRoute, WebServer
from tests.unit.web.browsing import Answered, send

PAGE = Page(status=200, title="Here", text="It is.", next_step="Go on.")
NAMES = {name.lower() for name in SECURITY_HEADERS}


async def here(request: WebRequest) -> WebResponse:
    return page_response(PAGE, cookie="a=b; Path=/")


async def form(request: WebRequest) -> WebResponse:
    read = await request.form()
    return WebResponse(status=200, body=repr(read).encode(), headers={})


async def raw(request: WebRequest) -> WebResponse:
    return WebResponse(status=200, body=repr(await request.body()).encode(), headers={})


async def broken(request: WebRequest) -> WebResponse:
    raise StoreUnavailable("disk full: /secret/path")


async def wrong(request: WebRequest) -> WebResponse:
    raise ValueError("secret")


ROUTES = {
    "/here": WebRoute(methods=("GET", "HEAD"), answer=here),
    "/form": WebRoute(methods=("POST",), answer=form),
    "/slow": WebRoute(methods=("POST",), answer=form, body=BodyLimit(timeout_s=0.05)),
    "/raw": WebRoute(methods=("POST",), answer=raw, body=BodyLimit(size_bytes=6)),
    "/broken": WebRoute(methods=("GET",), answer=broken),
    "/wrong": WebRoute(methods=("GET",), answer=wrong),
}


@pytest.fixture
async def server() -> AsyncIterator[WebServer]:
    async with WebServer("127.0.0.1", 0, ROUTES, site=BOT_SITE) as opened:
        yield opened


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how many may wait")
async def test_as_many_connections_wait_in_the_kernel_as_the_site_allows(
    server: WebServer,
) -> None:
    assert server._listener is not None
    told = server._listener.sockets[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32)
    # Of a socket that listens, `tcpi_sacked` is its backlog. Source: Linux, `tcp_get_info`.
    assert int.from_bytes(told[28:32], sys.byteorder) == BOT_SITE.limits.backlog


async def get(server: WebServer, target: str, *more: str, method: str = "GET") -> Answered:
    return await send(server.port, f"{method} {target} HTTP/1.1", "Host: x", *more)


async def test_a_route_answers_at_its_path_with_every_header(server: WebServer) -> None:
    answer = await get(server, "/here?a=b")
    assert (answer.status, answer.headers["set-cookie"]) == (200, "a=b; Path=/")
    assert answer.headers.keys() >= NAMES
    head = await get(server, "/here", method="HEAD")
    assert (head.status, head.body) == (200, b"")


@pytest.mark.parametrize(
    ("target", "method", "status"),
    [
        ("/", "GET", 404),
        ("/here/", "GET", 404),
        ("/HERE", "GET", 404),
        ("/%68ere", "GET", 404),
        ("//here", "GET", 404),
        ("/favicon.ico", "GET", 404),
        ("http://evil.example/here", "GET", 400),
        ("*", "OPTIONS", 400),
        ("/here", "POST", 405),
        ("/here", "DELETE", 405),
        ("/form", "GET", 405),
        ("/broken", "GET", 503),
        ("/wrong", "GET", 400),
        ("/\x01", "GET", 400),
    ],
)
async def test_everything_else_is_refused_with_every_header_and_no_echo(
    server: WebServer, target: str, method: str, status: int
) -> None:
    answer = await get(server, target, method=method)
    assert answer.status == status
    assert answer.headers.keys() >= NAMES
    assert "server" not in answer.headers
    assert "secret" not in answer.text
    assert target == "/" or target not in answer.text
    if status == 405:
        assert answer.headers["allow"] in {"GET, HEAD", "POST"}


async def test_a_fault_of_ours_shows_nothing(
    server: WebServer, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = await get(server, "/wrong")
    assert answer.status >= 400
    assert answer.headers.keys() >= NAMES
    assert "secret" not in answer.text + caplog.text + "".join(capsys.readouterr())


@pytest.mark.parametrize("more", ["Content-Length: 3", "Transfer-Encoding: chunked"])
async def test_a_get_with_a_body_is_refused(server: WebServer, more: str) -> None:
    assert (await get(server, "/here", more)).status == 400


FORM = "Content-Type: application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("headers", "body", "read"),
    [
        ((FORM, "Content-Length: 3"), b"a=b", "'a=b'"),
        ((FORM, "Content-Length: 0"), b"", "''"),
        (("Content-Type: text/plain", "Content-Length: 3"), b"a=b", "None"),
        (("Content-Type: application/json", "Content-Length: 2"), b"{}", "None"),
        ((FORM, "Content-Length: 5000"), b"a" * 5000, "None"),
        (
            (FORM, "Transfer-Encoding: chunked"),
            b"1388\r\n" + b"a" * 5000 + b"\r\n0\r\n\r\n",
            "None",
        ),
        ((FORM, "Content-Length: 2"), "\u00e9".encode(), "None"),
    ],
    ids=range(7),
)
async def test_a_form_is_small_plain_text(
    server: WebServer, headers: tuple[str, ...], body: bytes, read: str
) -> None:
    lines = ("POST /form HTTP/1.1", "Host: x", *headers)
    assert (await send(server.port, *lines, body=body)).text == read


@pytest.mark.parametrize(
    ("body", "read"), [(b"\x00\xff\r\n=&", r"b'\x00\xff\r\n=&'"), (b"1234567", "None")]
)
async def test_a_route_reads_the_bytes_of_a_body_up_to_its_own_limit(
    server: WebServer, body: bytes, read: str
) -> None:
    lines = ("POST /raw HTTP/1.1", "Host: x", f"Content-Length: {len(body)}")
    assert (await send(server.port, *lines, body=body)).text == read


async def test_a_peer_that_goes_on_sending_a_refused_body_reads_the_whole_answer(
    server: WebServer,
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST /raw HTTP/1.1\r\nHost: x\r\nContent-Length: 99000000\r\n\r\n")
    for _ in range(64):
        writer.write(b"x" * 64 * 1024)
        await writer.drain()
    answer = await reader.readuntil(b"None")
    assert answer.startswith(b"HTTP/1.1 200 ")
    writer.close()


async def test_a_peer_that_goes_on_sending_a_head_that_is_too_large_reads_the_whole_page(
    server: WebServer,
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /raw HTTP/1.1\r\nHost: x\r\n")
    for _ in range(64):
        writer.write(b"X: " + b"x" * 8 * 1024 + b"\r\n")
        await writer.drain()
    answer = await reader.readuntil(b"</html>")
    assert answer.split()[1] == b"400"
    writer.close()


async def test_a_peer_that_never_stops_sending_is_cut_off(server: WebServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST /raw HTTP/1.1\r\nHost: x\r\nContent-Length: 99000000\r\n\r\n1234567")
    assert (await reader.read()).endswith(b"None")  # to the end: the server closes by itself
    writer.close()


async def test_a_body_with_a_content_coding_is_not_read(server: WebServer) -> None:
    lines = ("POST /raw HTTP/1.1", "Host: x", "Content-Encoding: gzip", "Content-Length: 2")
    assert (await send(server.port, *lines, body=b"\x1f\x8b")).text == "None"


async def test_a_form_that_takes_too_long_is_none(server: WebServer) -> None:
    lines = ("POST /slow HTTP/1.1", "Host: x", FORM, "Content-Length: 10")
    assert (await send(server.port, *lines, body=b"a=")).text == "None"


async def test_what_is_being_answered_may_end_and_nothing_new_begins() -> None:
    gate, reached = asyncio.Event(), asyncio.Event()

    async def slow(request: WebRequest) -> WebResponse:
        reached.set()
        await gate.wait()
        return page_response(PAGE)

    routes = {"/slow": WebRoute(methods=("GET",), answer=slow)}
    async with WebServer("127.0.0.1", 0, routes, site=BOT_SITE) as server:
        loop = asyncio.get_running_loop()
        waiting = loop.create_task(get(server, "/slow"))
        await reached.wait()
        stopping = loop.create_task(server.stop(5.0))
        gate.set()
        assert (await waiting).status == 200
        await stopping
        with pytest.raises(ConnectionRefusedError):
            await get(server, "/slow")


async def test_a_port_that_is_taken_and_a_strange_address_are_named(server: WebServer) -> None:
    with pytest.raises(ConfigError, match=f"Port {server.port} on 127.0.0.1 is taken"):
        async with WebServer("127.0.0.1", server.port, ROUTES, site=BOT_SITE):
            pass
    with pytest.raises(ConfigError, match=r"Cannot listen on 192\.0\.2\.1"):
        async with WebServer("192.0.2.1", 0, ROUTES, site=BOT_SITE):
            pass
