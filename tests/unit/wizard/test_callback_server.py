"""The callback server on real sockets: only the true redirect ends a login, whatever else comes."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from urllib.parse import parse_qs

import pytest
from msgspec.structs import replace

from botkit.errors import (
    AuthorizationDenied,
    ConfigError,
    InvalidGrant,
    LoginExpired,
    StateMismatch,
    WrongAccount,
)
from botkit.model.tokens import Secret
from botkit.web.connections import Connections
from botkit.web.page_texts import CALLBACK_PAGES
from botkit.wizard.callback_server import CallbackServer

STATE = "the-right-state"
TRUE = f"/callback?code=c-0-d-e&state={STATE}"


class Login:
    """A login attempt of one use, as `client.login` has it; `exchanged` are the codes it spent."""

    def __init__(self) -> None:
        self.exchanged: list[str] = []
        self.fails: BaseException | None = None
        self.gate: asyncio.Event | None = None
        self.came = asyncio.Event()
        self.used = False

    async def finish(self, query: Secret) -> tuple[tuple[str, str], ...]:
        given = parse_qs(query.reveal(), keep_blank_values=True)
        if self.used or given.get("state") != [STATE]:
            raise StateMismatch("not of this login")
        self.used = True
        if "error" in given:
            raise AuthorizationDenied("the person declined")
        self.exchanged += given["code"]
        self.came.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.fails is not None:
            raise self.fails
        return (("Account", "@greeter"),)


class Place:
    """A server that waits, and a browser of our own making."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.host = host
        self.port = free_port(host)
        self.shown = f"[{host}]" if ":" in host else host
        self.authority = f"{self.shown}:{self.port}"
        self.login = Login()
        self.server = CallbackServer(f"http://{self.authority}/callback", self.login.finish)

    async def raw(self, *lines: str, body: bytes = b"") -> tuple[int, dict[str, str], str]:
        """Send these header lines; gives status, headers and body of the answer."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            writer.write("\r\n".join((*lines, "", "")).encode("latin-1") + body)
            return await answer_of(reader)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def get(self, target: str, *more: str, method: str = "GET") -> int:
        status, _, _ = await self.raw(
            f"{method} {target} HTTP/1.1", f"Host: {self.authority}", *more
        )
        return status

    @property
    def connections(self) -> Connections:
        return self.server._server._connections

    def limit(self, monkeypatch: pytest.MonkeyPatch, **limits: float) -> None:
        monkeypatch.setattr(self.connections, "limits", replace(self.connections.limits, **limits))

    @property
    def waits(self) -> bool:
        ended = self.server._ended
        return ended is not None and not ended.done()


async def answer_of(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], str]:
    text = (await asyncio.wait_for(reader.read(), 10)).decode()
    head, _, body = text.partition("\r\n\r\n")
    first, *rest = head.split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}
    return int(first.split()[1]), headers, body


def free_port(host: str) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    place = Place()
    async with place.server:
        yield place


async def ends_well(place: Place) -> None:
    """The true callback still ends the login."""
    assert (place.waits, place.server.is_finishing) == (True, False)
    assert await place.get(TRUE) == 200
    await asyncio.wait_for(place.server.wait(), 2)
    assert place.login.exchanged == ["c-0-d-e"]


async def test_the_true_callback_ends_the_login_and_shows_the_facts(place: Place) -> None:
    status, _, body = await place.raw(f"GET {TRUE} HTTP/1.1", f"Host: {place.authority}")
    assert status == 200
    assert "@greeter" in body
    await place.server.wait()


async def test_a_percent_sign_in_a_code_is_decoded_once(place: Place) -> None:
    assert await place.get(f"/callback?code=a%2541&state={STATE}") == 200
    assert place.login.exchanged == ["a%41"]


async def test_success_is_said_only_after_the_login_was_stored(place: Place) -> None:
    place.login.gate = asyncio.Event()
    callback = asyncio.get_running_loop().create_task(place.get(TRUE))
    while not place.login.exchanged:
        assert await place.get("/") == 404
    assert not callback.done()
    assert place.waits
    place.login.gate.set()
    assert await callback == 200
    await place.server.wait()


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?",
        "?code=x",
        "?code=x&state=",
        "?code=x&state=another",
        f"?code=x&state={STATE}&state={STATE}",
        "?error=access_denied",
        "?error=access_denied&state=another",
    ],
)
async def test_a_forged_callback_is_refused_and_the_login_waits(place: Place, query: str) -> None:
    assert await place.get(f"/callback{query}") == 400
    await ends_well(place)


async def test_50_forgeries_and_then_the_true_callback_succeed(place: Place) -> None:
    for n in range(50):
        assert await place.get(f"/callback?code=x&state=forged-{n}") == 400
    await ends_well(place)


async def test_100_forgeries_end_the_login_and_say_so(place: Place) -> None:
    for n in range(100):
        assert await place.get(f"/callback?code=x&state=forged-{n}") == 400
    with pytest.raises(StateMismatch, match="100 callbacks"):
        await place.server.wait()


async def test_two_equal_callbacks_side_by_side_make_one_exchange(place: Place) -> None:
    statuses = await asyncio.gather(*(place.get(TRUE) for _ in range(2)))
    assert sorted(statuses) == [200, 400]
    assert place.login.exchanged == ["c-0-d-e"]
    await place.server.wait()


async def test_a_callback_that_comes_again_is_refused(place: Place) -> None:
    assert await place.get(TRUE) == 200
    assert await place.get(TRUE) == 400
    assert len(place.login.exchanged) == 1
    await place.server.wait()


async def test_a_browser_that_hangs_up_meanwhile_does_not_keep_the_login_open(
    place: Place,
) -> None:
    place.login.gate = asyncio.Event()
    _, writer = await asyncio.open_connection(place.host, place.port)
    writer.write(f"GET {TRUE} HTTP/1.1\r\nHost: {place.authority}\r\n\r\n".encode())
    await place.login.came.wait()
    assert place.server.is_finishing
    place.connections.close()
    place.login.gate.set()

    await asyncio.wait_for(place.server.wait(), 5)
    writer.close()


async def test_a_person_who_declines_ends_the_login(place: Place) -> None:
    assert await place.get(f"/callback?error=access_denied&state={STATE}") == 200
    with pytest.raises(AuthorizationDenied):
        await place.server.wait()
    assert place.login.exchanged == []


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (InvalidGrant("The code was refused."), 502),
        (WrongAccount("That is @other."), 409),
        (LoginExpired("It took too long."), 410),
        (RuntimeError("a bug"), 502),
    ],
)
async def test_what_ends_the_login_badly_is_shown_and_raised(
    place: Place, fault: Exception, status: int
) -> None:
    place.login.fails = fault
    assert await place.get(TRUE) == status
    with pytest.raises(type(fault)):
        await place.server.wait()


@pytest.mark.parametrize(
    "hosts",
    [
        (),
        ("Host: evil.example",),
        ("Host: evil.example:8765",),
        ("Host: localhost:{port}",),
        ("Host: 127.0.0.1",),
        ("Host: {authority}.",),
        ("Host: {authority}", "Host: {authority}"),
        ("Host: {authority}", "Host: evil.example"),
        ("Host: evil.example", "X-Forwarded-Host: {authority}"),
    ],
)
async def test_a_host_that_is_not_exactly_ours_is_refused_and_the_login_waits(
    place: Place, hosts: tuple[str, ...]
) -> None:
    lines = [host.format(authority=place.authority, port=place.port) for host in hosts]
    status, _, _ = await place.raw(f"GET {TRUE} HTTP/1.1", *lines)
    assert status in {400, 421}
    await ends_well(place)


@pytest.mark.parametrize("base", ["http://evil.example", "http://{authority}"])
async def test_an_absolute_target_is_refused_and_the_login_waits(place: Place, base: str) -> None:
    base = base.format(authority=place.authority)
    assert await place.get(f"{base}{TRUE}") in {400, 421}
    await ends_well(place)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:{port}"])
async def test_a_foreign_origin_is_refused_and_the_login_waits(place: Place, origin: str) -> None:
    assert await place.get(TRUE, f"Origin: {origin.format(port=place.port)}") == 400
    await ends_well(place)


async def test_our_own_origin_is_no_offence(place: Place) -> None:
    assert await place.get(TRUE, f"Origin: http://{place.authority}") == 200


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/favicon.ico",
        "/callback/",
        "/Callback",
        "/%63allback",
        "/callback%2F",
        "//callback",
        "/x/../callback",
        "/callback;x",
    ],
)
async def test_another_path_is_not_found_and_the_login_waits(place: Place, path: str) -> None:
    assert await place.get(f"{path}?code=x&state={STATE}") == 404
    await ends_well(place)


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "DELETE", "OPTIONS"])
async def test_another_method_is_refused_and_the_login_waits(place: Place, method: str) -> None:
    lines = (f"{method} {TRUE} HTTP/1.1", f"Host: {place.authority}", "Content-Length: 0")
    status, headers, _ = await place.raw(*lines)
    assert (status, headers["allow"]) == (405, "GET")
    await ends_well(place)


@pytest.mark.parametrize("line", ["Content-Length: 4", "Transfer-Encoding: chunked"])
async def test_a_request_with_a_body_is_refused_and_the_login_waits(
    place: Place, line: str
) -> None:
    body = b"4\r\nxxxx\r\n0\r\n\r\n" if "chunked" in line else b"xxxx"
    status, _, _ = await place.raw(
        f"GET {TRUE} HTTP/1.1", f"Host: {place.authority}", line, body=body
    )
    assert status == 400
    await ends_well(place)


@pytest.mark.parametrize(
    "header",
    [
        "Sec-Purpose: prefetch",
        "Sec-Purpose: prefetch;prerender",
        "Purpose: prefetch",
        "Purpose: preview",
        "X-Moz: prefetch",
        "X-Purpose: preview",
    ],
)
async def test_a_page_fetched_in_advance_consumes_nothing(place: Place, header: str) -> None:
    assert await place.get(TRUE, header) == 503
    await ends_well(place)


@pytest.mark.parametrize(
    "headers",
    [
        ("Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"),
        ("Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: script"),
        ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"),
        ("Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"),
        ("Sec-Fetch-Mode: no-cors",),
        ("Sec-Fetch-Dest: embed",),
        ("User-Agent: Mozilla/5.0 (Macintosh) Safari/605", "Accept: image/webp,*/*;q=0.5"),
        ("User-Agent: Mozilla/5.0 (Macintosh) Safari/605", "Accept: */*"),
    ],
)
async def test_100_requests_that_open_no_page_consume_nothing(
    place: Place, headers: tuple[str, ...]
) -> None:
    assert await place.get(TRUE, *headers) == 503
    for n in range(100):
        assert await place.get(f"/callback?code=x&state=forged-{n}", *headers) == 503
    await ends_well(place)


@pytest.mark.parametrize(
    "headers",
    [
        ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Accept: text/html,*/*;q=0.8"),
        ("User-Agent: Mozilla/5.0 (Macintosh) Safari/605", "Accept: text/html,*/*;q=0.8"),
        ("User-Agent: Mozilla/5.0 (Windows NT) WindowsPowerShell/5.1",),
        ("User-Agent: curl/8.5.0", "Accept: */*"),
    ],
)
async def test_a_browser_that_opens_the_page_and_a_program_end_the_login(
    place: Place, headers: tuple[str, ...]
) -> None:
    assert await place.get(TRUE, *headers) == 200
    await place.server.wait()


async def test_60_idle_connections_and_a_slow_sender_do_not_delay_the_true_one(
    place: Place,
) -> None:
    others = [await asyncio.open_connection(place.host, place.port) for _ in range(60)]
    slow = await asyncio.open_connection(place.host, place.port)
    slow[1].write(b"GET /callback?co")
    assert await asyncio.wait_for(place.get(TRUE), 2) == 200
    await asyncio.wait_for(place.server.wait(), 2)
    for _, writer in [*others, slow]:
        writer.close()


async def test_more_than_64_connections_cost_the_oldest_silent_one_its_place(
    place: Place,
) -> None:
    others = [await asyncio.open_connection(place.host, place.port) for _ in range(64)]
    assert await asyncio.wait_for(place.get(TRUE), 2) == 200
    assert await asyncio.wait_for(others[0][0].read(), 2) == b""
    assert len(place.connections) < 64
    for _, writer in others:
        writer.close()


@pytest.mark.parametrize("sent", [b"", b"\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: 1\r\n"])
async def test_64_connections_that_say_no_request_do_not_delay_the_true_one(
    place: Place, sent: bytes
) -> None:
    others = [await asyncio.open_connection(place.host, place.port) for _ in range(64)]
    for _, writer in others:
        writer.write(sent)
    assert await asyncio.wait_for(place.get(TRUE), 2) == 200
    for _, writer in others:
        writer.close()


async def test_when_64_are_being_answered_one_more_is_turned_away(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.limit(monkeypatch, connections=1)
    place.login.gate = asyncio.Event()
    callback = asyncio.get_running_loop().create_task(place.get(TRUE))
    while not place.login.exchanged:
        with suppress(IndexError, ConnectionError):
            await place.get("/")
    reader, writer = await asyncio.open_connection(place.host, place.port)
    assert await asyncio.wait_for(reader.read(), 2) == b""
    writer.close()
    place.login.gate.set()
    assert await callback == 200


async def test_headers_that_take_too_long_are_cut_off(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.limit(monkeypatch, head_timeout_s=0.05)
    reader, writer = await asyncio.open_connection(place.host, place.port)
    writer.write(b"GET /callback HTTP/1.1\r\nHost: ")
    assert await asyncio.wait_for(reader.read(), 2) == b""
    writer.close()
    await ends_well(place)


async def test_headers_may_come_in_pieces(place: Place) -> None:
    reader, writer = await asyncio.open_connection(place.host, place.port)
    request = f"GET {TRUE} HTTP/1.1\r\nHost: {place.authority}\r\n\r\n".encode()
    for piece in (request[:30], request[30:-3], request[-3:-1], request[-1:]):
        writer.write(piece)
        await writer.drain()
    status, _, _ = await answer_of(reader)
    assert status == 200
    writer.close()


@pytest.mark.parametrize(
    "lines",
    [
        (f"GET {TRUE}&x={'a' * 9000} HTTP/1.1", "Host: {authority}"),
        (f"GET {TRUE} HTTP/1.1", "Host: {authority}", f"X-Much: {'a' * 20_000}"),
        (f"GET {TRUE} HTTP/9", "Host: {authority}"),
        (f"<script> {TRUE} HTTP/1.1", "Host: {authority}"),
        (f"GET {TRUE} HTTP/1.1", "Host: {authority}", "Bad\x01Name: x"),
        (f"GET {TRUE} HTTP/1.1", "Host: {authority}", *[f"X-{n}: 1" for n in range(80)]),
    ],
)
async def test_what_is_no_proper_request_gets_the_fixed_page_and_is_not_logged(
    place: Place,
    lines: tuple[str, ...],
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    sent = [line.format(authority=place.authority) for line in lines]
    status, headers, body = await place.raw(*sent)
    assert status == 400
    assert CALLBACK_PAGES["refused"].title in body
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers
    said = body + caplog.text + "".join(capsys.readouterr())
    assert "c-0-d-e" not in said
    assert STATE not in said
    await ends_well(place)


@pytest.mark.parametrize(
    "target",
    [
        TRUE,
        "/callback?code=x&state=forged",
        "/callback?error=access_denied&error_description=<script>x</script>&state=x",
        "/callback?state=%0d%0aSet-Cookie:%20a=b",
        f"/callback?error=%3Cscript%3E&state={STATE}",
        "/<script>alert(1)</script>",
        "/favicon.ico",
    ],
)
async def test_every_answer_has_the_security_headers_and_no_echo(
    place: Place, target: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    status, headers, body = await place.raw(f"GET {target} HTTP/1.1", f"Host: {place.authority}")
    assert status in {200, 400, 404}
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy
    assert headers["connection"] == "close"
    assert "server" not in headers
    assert "set-cookie" not in headers
    for echoed in ("c-0-d-e", STATE, "forged", "access_denied", "alert", "<script", "Set-Cookie"):
        assert echoed not in body
    assert "c-0-d-e" not in caplog.text


async def test_a_port_that_is_taken_is_named_before_anything_else() -> None:
    place = Place()
    with socket.socket() as squatter:
        squatter.bind((place.host, place.port))
        squatter.listen()
        with pytest.raises(ConfigError, match=f"Port {place.port} on 127.0.0.1 is taken"):
            await place.server.__aenter__()
    async with place.server:
        await ends_well(place)


async def test_a_port_that_may_not_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place()

    async def refuse(*args: object, **more: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_server", refuse)
    with pytest.raises(ConfigError, match=f"{place.authority}: Permission denied"):
        await place.server.__aenter__()


async def test_the_port_is_closed_before_and_after() -> None:
    place = Place()
    with pytest.raises(ConnectionRefusedError):
        await place.get("/")
    async with place.server:
        assert await place.get("/") == 404
        idle = await asyncio.open_connection(place.host, place.port)
    with pytest.raises(ConnectionRefusedError):
        await place.get("/")
    assert await asyncio.wait_for(idle[0].read(), 2) == b""
    idle[1].close()


async def test_a_login_that_nobody_ends_leaves_the_port_closed() -> None:
    place = Place()
    with pytest.raises(TimeoutError):
        async with place.server:
            await asyncio.wait_for(place.server.wait(), 0.01)
    with pytest.raises(ConnectionRefusedError):
        await place.get(TRUE)
    assert place.login.exchanged == []


async def test_an_interrupted_login_leaves_the_port_closed_and_stores_nothing() -> None:
    place = Place()

    async def log_in() -> None:
        async with place.server:
            await place.server.wait()

    waiting = asyncio.get_running_loop().create_task(log_in())
    while not place.waits:
        with suppress(ConnectionRefusedError):
            await place.get("/")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    with pytest.raises(ConnectionRefusedError):
        await place.get(TRUE)


async def test_it_listens_on_the_loopback_address_alone(place: Place) -> None:
    listener = place.server._server._listener
    assert listener is not None
    assert [s.getsockname()[0] for s in listener.sockets] == ["127.0.0.1"]


async def test_the_address_of_ipv6_is_served_when_it_is_the_registered_one() -> None:
    place = Place("::1")
    async with place.server:
        await ends_well(place)


async def test_the_default_port_may_stand_in_the_host_header_or_not() -> None:
    server = CallbackServer("http://127.0.0.1/callback", Login().finish)
    guard = server._server._site.guard
    assert guard is not None
    assert guard.authorities == {"127.0.0.1", "127.0.0.1:80"}


@pytest.mark.parametrize(
    "uri", ["http://localhost:8765/callback", "http://0.0.0.0:8765/callback", "https://a.b/c"]
)
def test_an_address_that_is_no_loopback_literal_is_refused(uri: str) -> None:
    with pytest.raises(ConfigError):
        CallbackServer(uri, Login().finish)


async def test_nobody_can_wait_before_the_server_is_open() -> None:
    with pytest.raises(RuntimeError, match="not open"):
        await Place().server.wait()
