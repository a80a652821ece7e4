"""How a request ends: what an error says and leads to, and what is left of the request."""

from __future__ import annotations

import asyncio
import errno
import ssl
from typing import TYPE_CHECKING

import aiohttp
import pytest
import trustme
from aioresponses import aioresponses

from botkit.client.http.connections import departing
from botkit.client.http.transport import ANSWER_LIMIT_BYTES, AiohttpTransport
from botkit.errors import OutcomeUnknown, TransportError
from botkit.ports.io import HttpRequest
from tests.unit.client.raw_server import Heard, answer, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

API = "https://api.x.com/2/tweets"


def get(url: str, **more: object) -> HttpRequest:
    return HttpRequest(method="GET", url=url, name="GET /2/users/me", **more)  # type: ignore[arg-type]


def post(url: str, **more: object) -> HttpRequest:
    return HttpRequest(
        method="POST",
        url=url,
        name="POST /2/tweets",
        body=b"{}",
        writes=True,
        **more,  # type: ignore[arg-type]
    )


@pytest.fixture
async def transport() -> AsyncIterator[AiohttpTransport]:
    async with AiohttpTransport() as opened:
        yield opened


async def plain(heard: Heard, reader: object, writer: asyncio.StreamWriter) -> None:
    writer.write(answer())


async def test_no_request_leaves_its_stop_behind_for_what_the_task_does_next(
    transport: AiohttpTransport, unused_tcp_port: int
) -> None:
    nobody = f"http://127.0.0.1:{unused_tcp_port}/"
    async with serving(plain) as server:
        await transport.send(get(server.url + "/"))
        assert departing.get() is None
        async with transport.stream(get(server.url + "/")):
            assert departing.get() is None
    with pytest.raises(TransportError):
        await transport.send(get(nobody))
    with pytest.raises(TransportError):
        async with transport.stream(get(nobody)):
            pass
    assert departing.get() is None


@pytest.mark.parametrize("how", ["given up", "cancelled"])
async def test_a_request_that_is_read_late_closes_its_connection_when_nobody_waits_any_more(
    transport: AiohttpTransport, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    ended = asyncio.Event()

    async def silent(heard: Heard, reader: asyncio.StreamReader, writer: object) -> None:
        assert await reader.read(1) == b""
        ended.set()

    monkeypatch.setattr("botkit.client.http.transport._CATCH_UP_S", 0.01)
    async with serving(silent) as server, asyncio.timeout(5):
        span_s = 0.1 if how == "given up" else 60
        request = post(server.url + "/", timeout_s=span_s, reads_late=True)
        sending = asyncio.get_running_loop().create_task(transport.send(request))
        await server.accepted.wait()
        if how == "given up":
            with pytest.raises(OutcomeUnknown):
                await sending
        else:
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
        await ended.wait()


@pytest.mark.parametrize("location", ["http://[::1/", "http://127.0.0.1:port/"])
async def test_a_redirect_to_what_is_no_address_is_refused(
    transport: AiohttpTransport, location: str
) -> None:
    async def script(heard: Heard, reader: object, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(302, b"", (("Location", location),)))

    async with serving(script) as server:
        with pytest.raises(TransportError, match="answered 302, a redirect") as caught:
            await transport.send(get(server.url + "/", follow_same_origin=True))
        assert len(server.heard) == 1
    assert caught.value.kind == "redirect"


async def test_a_server_that_speaks_no_tls_is_said_to_be_one(transport: AiohttpTransport) -> None:
    async def plainly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(400))
        await reader.read()
        writer.close()

    async with await asyncio.start_server(plainly, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(TransportError, match="TLS could not be agreed on") as caught:
            await transport.send(post(f"https://127.0.0.1:{port}/"))
    assert (type(caught.value), caught.value.kind) == (TransportError, "tls")
    cause = caught.value.__cause__
    assert isinstance(cause, OSError), "the reason of the TLS library"
    assert not isinstance(cause, aiohttp.ClientError)


async def test_a_refused_certificate_leads_to_pythons_own_error() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with serving(plain, tls=context) as server, AiohttpTransport() as transport:
        with pytest.raises(TransportError) as caught:
            await transport.send(post(server.url + "/"))
    assert type(caught.value.__cause__) is ssl.SSLCertVerificationError


async def test_a_refused_connect_names_the_host_and_the_systems_reason(
    transport: AiohttpTransport, unused_tcp_port: int
) -> None:
    where = f"127.0.0.1:{unused_tcp_port}"
    with pytest.raises(TransportError, match=f"^POST /2/tweets at {where}: ") as caught:
        await transport.send(post(f"http://{where}/"))
    cause = caught.value.__cause__
    assert (type(cause), cause.errno) == (ConnectionRefusedError, errno.ECONNREFUSED)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("raised", "kind", "words"),
    [
        (OSError("without a number"), "connect", "the connection broke"),
        (aiohttp.ServerTimeoutError(), "timeout", "no connection in time"),
        (aiohttp.ServerDisconnectedError(), "closed", "closed before an answer came"),
        (aiohttp.ClientPayloadError(), "reset", "cut off or cannot be unpacked"),
    ],
)
async def test_what_broke_is_said_and_no_empty_cause_goes_along(
    transport: AiohttpTransport, canned: aioresponses, raised: Exception, kind: str, words: str
) -> None:
    canned.post(API, exception=raised)
    with pytest.raises(TransportError, match=words) as caught:
        await transport.send(post(API))
    assert caught.value.kind == kind
    assert caught.value.__cause__ is None


async def test_a_proxy_that_refuses_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(heard: Heard, reader: object, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(407, b""))

    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    async with serving(refuse) as proxy, AiohttpTransport(use_proxy=True) as transport:
        monkeypatch.setenv("https_proxy", proxy.url)
        with pytest.raises(TransportError, match="the proxy answered 407") as caught:
            await transport.send(post("https://api.x.invalid/"))
    assert (type(caught.value), caught.value.kind) == (TransportError, "connect")


@pytest.mark.parametrize("over", [0, 1])
async def test_the_longest_answer_is_read_and_a_byte_more_is_too_much(
    transport: AiohttpTransport, over: int
) -> None:
    async def script(heard: Heard, reader: object, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200, bytes(ANSWER_LIMIT_BYTES + over)))

    async with serving(script) as server:
        if over:
            with pytest.raises(TransportError, match=f"longer than {ANSWER_LIMIT_BYTES} bytes"):
                await transport.send(get(server.url + "/"))
        else:
            assert len((await transport.send(get(server.url + "/"))).body) == ANSWER_LIMIT_BYTES


async def test_a_closed_transport_has_closed_its_connections_and_sends_nothing() -> None:
    ended = asyncio.Event()

    async def script(
        heard: Heard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(answer())
        assert await reader.read(1) == b""
        ended.set()

    async with serving(script) as server, asyncio.timeout(5):
        async with AiohttpTransport() as transport:
            await transport.send(get(server.url + "/"))
        await ended.wait()
        with pytest.raises(RuntimeError, match="not open"):
            await transport.send(get(server.url + "/"))
        with pytest.raises(RuntimeError, match="not open"):
            async with transport.stream(get(server.url + "/")):
                pass
        assert server.connections == 1


async def test_what_is_remembered_of_addresses_and_time_limits_stays_small(
    transport: AiohttpTransport, canned: aioresponses
) -> None:
    for number in range(600):
        canned.get(f"{API}/{number}")
        await transport.send(get(f"{API}/{number}", timeout_s=float(number + 1)))
    assert len(transport._addresses) <= 512
    assert len(transport._timeouts) <= 512
