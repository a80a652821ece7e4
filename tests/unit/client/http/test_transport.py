"""The transport against a real server on loopback: what leaves, when, and what its loss means."""

from __future__ import annotations

import asyncio
import gzip
import threading
import traceback
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aioresponses import aioresponses

from botkit.client.http import transport as transports
from botkit.client.http.transport import ANSWER_LIMIT_BYTES, AiohttpTransport
from botkit.errors import OutcomeUnknown, StoreUnavailable, TransportError
from botkit.ports.io import HttpRequest
from tests.unit.client.raw_server import Heard, answer, close_hard, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CANARY = "canary-9d1f-secret"


def get(url: str, **more: object) -> HttpRequest:
    return HttpRequest(
        method="GET",
        url=url,
        name="GET /2/users/me",
        headers=(("Authorization", f"Bearer {CANARY}"),),
        **more,  # type: ignore[arg-type]
    )


def post(url: str, *, method: str = "POST", **more: object) -> HttpRequest:
    return HttpRequest(
        method=method,
        url=url,
        name=f"{method} /2/tweets",
        headers=(("Authorization", f"Bearer {CANARY}"), ("Content-Type", "application/json")),
        body=b'{"text":"hi"}',
        writes=True,
        **more,  # type: ignore[arg-type]
    )


@pytest.fixture
async def transport() -> AsyncIterator[AiohttpTransport]:
    async with AiohttpTransport() as opened:
        yield opened


async def plain(heard: Heard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(answer(201, b'{"data":{"id":"1"}}', (("X-Rate-Limit-Limit", "75"),)))


async def test_a_post_arrives_once_with_its_headers_and_its_answer_comes_back(
    transport: AiohttpTransport,
) -> None:
    async with serving(plain) as server:
        response = await transport.send(post(server.url + "/2/tweets?a=%2C"))
    assert (response.status, response.body) == (201, b'{"data":{"id":"1"}}')
    assert response.headers["x-rate-limit-limit"] == "75"
    [heard] = server.heard
    assert (heard.method, heard.target, heard.body) == (
        "POST",
        "/2/tweets?a=%2C",
        b'{"text":"hi"}',
    )
    assert heard.headers["authorization"] == f"Bearer {CANARY}"
    assert heard.headers["user-agent"].startswith("botkit/")
    assert "cookie" not in heard.headers


async def test_extra_headers_go_out_and_cookies_are_never_sent_back() -> None:
    async def script(heard: Heard, reader: object, writer: asyncio.StreamWriter) -> None:
        writer.write(
            answer(200, b"{}", (("Set-Cookie", "guest=1; Path=/"), ("X-A", "1"), ("X-A", "2")))
        )

    async with (
        AiohttpTransport(extra_headers={"X-Lab": "yes"}) as transport,
        serving(script) as server,
    ):
        first = await transport.send(get(server.url + "/"))
        await transport.send(get(server.url + "/"))
    assert first.headers["x-a"] == "1, 2"
    assert [h.headers.get("x-lab") for h in server.heard] == ["yes", "yes"]
    assert "cookie" not in server.heard[1].headers
    assert server.connections == 1


async def test_the_stop_runs_after_the_connect_and_before_any_byte(
    transport: AiohttpTransport,
) -> None:
    async with serving(plain) as server:
        seen: list[tuple[int, int]] = []

        async def stop() -> None:
            await server.accepted.wait()
            seen.append((server.connections, len(server.heard)))

        await transport.send(post(server.url + "/"), before_bytes=stop)
        await transport.send(post(server.url + "/"), before_bytes=stop)
    assert seen == [(1, 0), (1, 1)]
    assert [h.connection for h in server.heard] == [1, 1]


async def test_the_stop_of_a_request_runs_for_that_request_alone(
    transport: AiohttpTransport,
) -> None:
    stops: list[int] = []

    async def stop() -> None:
        stops.append(len(stops))

    async with serving(plain) as server:
        await transport.send(post(server.url + "/"), before_bytes=stop)
        async with transport.stream(get(server.url + "/")) as stream:
            assert stream.status == 201
    assert stops == [0]


@pytest.mark.parametrize("kept", [False, True])
async def test_a_stop_that_raises_sends_nothing_closes_the_connection_and_comes_out_as_it_is(
    transport: AiohttpTransport, *, kept: bool
) -> None:
    ended = asyncio.Event()

    async def stop() -> None:
        raise StoreUnavailable("disk full")

    async with serving(plain) as server:
        handle = server.handle

        async def watched(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await handle(reader, writer)
            ended.set()

        server.handle = watched  # type: ignore[method-assign]
        if kept:
            await transport.send(get(server.url + "/"))
        with pytest.raises(StoreUnavailable):
            await transport.send(post(server.url + "/"), before_bytes=stop)
        assert [h.method for h in server.heard] == ["GET"] * kept
        response = await transport.send(post(server.url + "/"))
    assert response.status == 201
    assert server.connections == 2 if kept else 1 <= server.connections <= 2


@pytest.mark.parametrize("raised", [TimeoutError("mine"), OSError(28, "No space left")])
async def test_a_stop_that_raises_what_looks_like_a_network_fault_is_not_mistaken_for_one(
    transport: AiohttpTransport, raised: Exception
) -> None:
    async def stop() -> None:
        raise raised

    async with serving(plain) as server:
        with pytest.raises(type(raised)) as caught:
            await transport.send(post(server.url + "/"), before_bytes=stop)
        assert caught.value is raised
        assert server.heard == []


async def test_a_refused_connect_is_a_transport_error_even_for_a_write(
    transport: AiohttpTransport, unused_tcp_port: int
) -> None:
    ran = False

    async def stop() -> None:
        nonlocal ran
        ran = True

    with pytest.raises(TransportError) as caught:
        await transport.send(post(f"http://127.0.0.1:{unused_tcp_port}/"), before_bytes=stop)
    assert type(caught.value) is TransportError
    assert caught.value.kind == "connect"
    assert not ran


async def test_a_name_that_does_not_resolve_is_named_dns(
    transport: AiohttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_such_name(*args: object, **kwargs: object) -> object:
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", no_such_name)
    with pytest.raises(TransportError) as caught:
        await transport.send(post("https://api.x.invalid/2/tweets"))
    assert (type(caught.value), caught.value.kind) == (TransportError, "dns")


@pytest.mark.parametrize("how", ["lost", "reset", "cut", "chunked cut", "no http"])
@pytest.mark.parametrize("writes", [True, False])
async def test_an_answer_that_is_lost_is_unknown_for_a_write_and_a_failure_for_a_read(
    transport: AiohttpTransport, how: str, *, writes: bool
) -> None:
    async def script(
        heard: Heard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if how == "cut":
            writer.write(answer(201, b'{"data":', (("Content-Length", "40"),)))
        elif how == "chunked cut":
            writer.write(answer(201, b"8\r\n", (("Transfer-Encoding", "chunked"),)))
        elif how == "no http":
            writer.write(b"SSH-2.0-OpenSSH_9.7\r\n\r\n")
        if how == "reset":
            close_hard(writer)
        else:
            await writer.drain()
            writer.close()

    async with serving(script) as server:
        request = post(server.url + "/") if writes else get(server.url + "/")
        with pytest.raises(TransportError) as caught:
            await transport.send(request)
    assert type(caught.value) is (OutcomeUnknown if writes else TransportError)
    may_be = {"lost": {"closed"}, "reset": {"reset", "closed"}}
    assert caught.value.kind in may_be.get(how, {"reset"})
    assert caught.value.request == request.name
    assert len(server.heard) == 1  # also a read: who asked for it knows when to ask again


@pytest.mark.parametrize("writes", [True, False])
async def test_an_answer_that_never_ends_stops_at_the_total_timeout(
    transport: AiohttpTransport, *, writes: bool
) -> None:
    async def script(
        heard: Heard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(answer(201, b"{", (("Content-Length", "40"),)))
        await reader.read(1)

    async with serving(script) as server:
        url = server.url + "/"
        request = post(url, timeout_s=0.2) if writes else get(url, timeout_s=0.2)
        with pytest.raises(TransportError) as caught:
            await transport.send(request)
    assert type(caught.value) is (OutcomeUnknown if writes else TransportError)
    assert caught.value.kind == "timeout"


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
async def test_a_kept_connection_that_closes_under_a_write_is_never_sent_again_by_itself(
    transport: AiohttpTransport, method: str
) -> None:
    async def script(
        heard: Heard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if heard.method == "GET":
            writer.write(answer())
        else:
            close_hard(writer)

    async with serving(script) as server:
        await transport.send(get(server.url + "/"))
        with pytest.raises(OutcomeUnknown):
            await transport.send(post(server.url + "/", method=method))
    assert [(h.connection, h.method) for h in server.heard] == [(1, "GET"), (1, method)]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_of_a_write_is_refused_and_the_other_origin_never_hears_of_it(
    transport: AiohttpTransport, status: int
) -> None:
    async with serving(plain) as other:

        async def script(heard: Heard, reader: object, writer: asyncio.StreamWriter) -> None:
            writer.write(answer(status, b"", (("Location", other.url + "/2/tweets"),)))

        async with serving(script) as server:
            with pytest.raises(TransportError) as caught:
                await transport.send(post(server.url + "/", follow_same_origin=True))
            with pytest.raises(TransportError) as read:
                await transport.send(get(server.url + "/", follow_same_origin=True))
            with pytest.raises(TransportError):
                async with transport.stream(get(server.url + "/")):
                    pass
        assert other.connections == 0
    assert type(caught.value) is TransportError
    assert (caught.value.kind, read.value.kind) == ("redirect", "redirect")


async def test_a_redirect_of_a_read_is_followed_within_its_origin_only_when_asked(
    transport: AiohttpTransport,
) -> None:
    async def script(heard: Heard, reader: object, writer: asyncio.StreamWriter) -> None:
        if heard.target == "/old":
            writer.write(answer(307, b"moved", (("Location", "/new?a=1#part"),)))
        else:
            writer.write(answer(200, heard.target.encode()))

    async with serving(script) as server:
        followed = await transport.send(get(server.url + "/old", follow_same_origin=True))
        with pytest.raises(TransportError):
            await transport.send(get(server.url + "/old"))
    assert followed.body == b"/new?a=1"


async def test_redirects_in_a_circle_end(transport: AiohttpTransport) -> None:
    async def script(heard: Heard, reader: object, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(302, b"", (("Location", "/again"),)))

    async with serving(script) as server:
        with pytest.raises(TransportError) as caught:
            await transport.send(get(server.url + "/", follow_same_origin=True))
    assert caught.value.kind == "redirect"
    assert len(server.heard) == 6


@pytest.mark.parametrize(
    "location", ["", "//evil.example/", "ftp://127.0.0.1/", "http://user:pw@127.0.0.1:{port}/"]
)
async def test_odd_redirect_targets_are_refused(
    transport: AiohttpTransport, location: str
) -> None:
    async def script(heard: Heard, reader: object, writer: asyncio.StreamWriter) -> None:
        target = location.format(port=server.port)
        writer.write(answer(302, b"", (("Location", target),) if location else ()))

    async with serving(script) as server:
        with pytest.raises(TransportError) as caught:
            await transport.send(get(server.url + "/", follow_same_origin=True))
    assert caught.value.kind == "redirect"


@pytest.mark.parametrize("packed", [False, True])
async def test_an_answer_over_the_limit_is_not_read_to_its_end(
    transport: AiohttpTransport, *, packed: bool
) -> None:
    async def script(
        heard: Heard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if packed:
            bomb = gzip.compress(bytes(16 * ANSWER_LIMIT_BYTES), compresslevel=1)
            writer.write(answer(200, bomb, (("Content-Encoding", "gzip"),)))
        else:
            writer.write(answer(200, b"", (("Content-Length", str(2 * ANSWER_LIMIT_BYTES)),)))
            for _ in range(2 * ANSWER_LIMIT_BYTES // 65536):
                writer.write(bytes(65536))
                await writer.drain()

    async with serving(script) as server:
        with pytest.raises(TransportError) as caught:
            await transport.send(get(server.url + "/"))
        with pytest.raises(OutcomeUnknown) as write:
            await transport.send(post(server.url + "/"))
    assert (caught.value.kind, write.value.kind) == ("size", "size")


async def test_fault_29_a_packed_answer_is_unpacked_and_a_broken_one_is_an_error(
    transport: AiohttpTransport,
) -> None:
    async def script(
        heard: Heard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        good = gzip.compress(b'{"data":1}')
        body = good if heard.target == "/good" else b"\x1f\x8bnot gzip at all"
        writer.write(answer(200, body, (("Content-Encoding", "gzip"),)))

    async with serving(script) as server:
        assert (await transport.send(get(server.url + "/good"))).body == b'{"data":1}'
        with pytest.raises(TransportError):
            await transport.send(get(server.url + "/bad"))


async def test_no_error_of_ours_leads_to_a_header(transport: AiohttpTransport) -> None:
    async def script(
        heard: Heard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if heard.target == "/bad":
            writer.write(b"NONSENSE\r\n\r\n")
        writer.close()

    async with serving(script) as server:
        for url in (server.url + "/bad", server.url + "/", "https://127.0.0.1:9/"):
            with pytest.raises(TransportError) as caught:
                await transport.send(post(url))
            error: BaseException | None = caught.value
            shown = "".join(traceback.format_exception(caught.value))
            while error is not None:
                assert not isinstance(error, aiohttp.ClientError)
                shown += repr(error) + str(vars(error))
                error = error.__cause__ or error.__context__
            assert CANARY not in shown
            assert CANARY not in repr(post(url))


async def test_a_stream_gives_chunks_as_they_come_and_has_no_total_timeout(
    transport: AiohttpTransport,
) -> None:
    go_on = asyncio.Event()

    async def script(
        heard: Heard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(answer(200, b"5\r\none\r\n\r\n", (("Transfer-Encoding", "chunked"),)))
        await go_on.wait()
        writer.write(b"5\r\ntwo\r\n\r\n0\r\n\r\n")

    async with (
        serving(script) as server,
        transport.stream(get(server.url + "/", timeout_s=0.2)) as stream,
    ):
        assert (stream.status, stream.headers["transfer-encoding"]) == (200, "chunked")
        assert await anext(stream.chunks()) == b"one\r\n"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await anext(stream.chunks())
        go_on.set()
        assert [chunk async for chunk in stream.chunks()] == [b"two\r\n"]


async def test_a_stream_that_breaks_raises_and_its_error_body_can_be_read(
    transport: AiohttpTransport,
) -> None:
    async def script(
        heard: Heard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if heard.target == "/error":
            writer.write(answer(429, b'{"title":"ConnectionException"}'))
        elif heard.target == "/cut":
            writer.write(answer(429, b"{", (("Content-Length", "9"),)))
            writer.close()
        else:
            writer.write(answer(200, b"3\r\none\r\n", (("Transfer-Encoding", "chunked"),)))
            await writer.drain()
            writer.close()

    async with serving(script) as server:
        async with transport.stream(get(server.url + "/error")) as stream:
            assert (stream.status, await stream.read()) == (
                429,
                b'{"title":"ConnectionException"}',
            )
        async with transport.stream(get(server.url + "/cut")) as stream:
            with pytest.raises(TransportError):
                await stream.read()
        async with transport.stream(get(server.url + "/")) as stream:
            chunks = stream.chunks()
            assert await anext(chunks) == b"one"
            with pytest.raises(TransportError):
                await anext(chunks)


async def test_an_error_body_that_stalls_is_given_up(
    transport: AiohttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transports, "_ERROR_BODY_S", 0.1)

    async def script(
        heard: Heard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(answer(429, b"{", (("Content-Length", "9"),)))
        await reader.read(1)

    async with (
        serving(script) as server,
        transport.stream(get(server.url + "/", timeout_s=5)) as stream,
        asyncio.timeout(5),
    ):
        with pytest.raises(TransportError):
            await stream.read()


async def test_a_stream_whose_headers_do_not_come_in_time_is_given_up(
    transport: AiohttpTransport, unused_tcp_port: int
) -> None:
    async def script(
        heard: Heard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.read(1)

    async with serving(script) as server:
        with pytest.raises(TransportError) as caught:
            async with transport.stream(get(server.url + "/", timeout_s=0.2)):
                pass
        assert caught.value.kind == "timeout"
    with pytest.raises(TransportError) as refused:
        async with transport.stream(get(f"http://127.0.0.1:{unused_tcp_port}/")):
            pass
    assert refused.value.kind == "connect"


async def test_a_hundred_streams_do_not_block_the_writes(transport: AiohttpTransport) -> None:
    async def script(
        heard: Heard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if heard.method == "POST":
            writer.write(answer(201))
        else:
            writer.write(answer(200, b"", (("Transfer-Encoding", "chunked"),)))

    async with serving(script) as server:
        streams = [transport.stream(get(server.url + "/")) for _ in range(100)]
        for stream in streams:
            await stream.__aenter__()
        response = await transport.send(post(server.url + "/", timeout_s=5))
        for stream in streams:
            await stream.__aexit__(None, None, None)
    assert response.status == 201


async def test_at_most_32_requests_are_under_way_at_one_host(transport: AiohttpTransport) -> None:
    most = waiting = 0
    full = asyncio.Event()

    async def script(
        heard: Heard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        nonlocal most, waiting
        waiting += 1
        most = max(most, waiting)
        if waiting == 32:
            full.set()
        await full.wait()
        waiting -= 1
        writer.write(answer())

    async with serving(script) as server:
        await asyncio.gather(*(transport.send(post(server.url + "/")) for _ in range(100)))
    assert most == 32
    assert len(server.heard) == 100


async def test_a_transport_that_is_not_open_says_so() -> None:
    with pytest.raises(RuntimeError, match="not open"):
        await AiohttpTransport().send(get("http://127.0.0.1:9/"))


@pytest.mark.parametrize(
    "raised",
    [
        aiohttp.ServerTimeoutError("secret " + CANARY),
        aiohttp.ClientOSError(104, "reset"),
        aiohttp.ServerDisconnectedError(),
        aiohttp.ClientPayloadError(CANARY),
        aiohttp.ClientError(CANARY),
    ],
)
async def test_every_family_of_aiohttp_errors_becomes_one_of_ours_without_its_text(
    transport: AiohttpTransport, canned: aioresponses, raised: Exception
) -> None:
    url = "https://api.x.com/2/tweets"
    canned.post(url, exception=raised)
    with pytest.raises(TransportError) as caught:
        await transport.send(post(url))
    assert CANARY not in str(caught.value)
    canned.post(url, status=201, body=b'{"data":{}}', headers={"X-Access-Level": "read-write"})
    response = await transport.send(post(url))
    assert (response.status, response.headers["x-access-level"]) == (201, "read-write")


# ---- a process that stands still ---------------------------------------------------------------


async def test_an_answer_that_came_while_the_process_stood_still_is_read_though_time_is_over(
    transport: AiohttpTransport,
) -> None:
    async def stopped(
        heard: Heard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(answer(200, b'{"access_token":"x"}'))
        threading.Event().wait(0.4)  # server and client share the loop: both stand still

    async with serving(stopped) as server:
        request = post(server.url + "/2/oauth2/token", timeout_s=0.2, reads_late=True)
        response = await transport.send(request)
    assert response.body == b'{"access_token":"x"}'


async def test_what_must_not_be_lost_is_waited_for_a_little_longer_and_not_for_ever(
    transport: AiohttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(
        heard: Heard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("botkit.client.http.transport._CATCH_UP_S", 0.01)
    async with serving(silent) as server:
        request = post(server.url + "/2/oauth2/token", timeout_s=0.1, reads_late=True)
        with pytest.raises(OutcomeUnknown, match="in time"):
            await transport.send(request)
