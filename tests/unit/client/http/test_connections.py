"""Where connections may go, by which TLS and through which proxy, against real listeners."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme
from yarl import URL

from botkit.client.http.connections import check_address, check_ca_file, proxy_for, tls_context
from botkit.client.http.transport import AiohttpTransport
from botkit.errors import ConfigError, TransportError
from botkit.ports.io import HttpRequest
from tests.unit.client.raw_server import Heard, answer, serving

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


@pytest.mark.parametrize(
    "url",
    [
        "http://192.0.2.1/",
        "http://localhost/",
        "http://localhost.example/",
        "http://127.0.0.1.example/",
        "ftp://127.0.0.1/",
        "https://user:pw@api.x.com/",
        "/2/tweets",
    ],
)
async def test_plain_http_leaves_only_for_a_loopback_literal(
    transport: AiohttpTransport, url: str
) -> None:
    with pytest.raises(ConfigError):
        await transport.send(post(url))
    with pytest.raises(ConfigError):
        async with transport.stream(get(url)):
            pass


async def test_a_certificate_of_nobody_is_refused_and_accepted_with_its_ca_file(
    tmp_path: Path,
) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    ran: list[bool] = []

    async def stop() -> None:
        ran.append(True)

    async with serving(plain, tls=context) as server:
        async with AiohttpTransport() as transport:
            with pytest.raises(TransportError, match="certificate") as caught:
                await transport.send(post(server.url + "/"), before_bytes=stop)
        assert (type(caught.value), caught.value.kind, ran) == (TransportError, "tls", [])
        assert server.heard == []
        async with AiohttpTransport(ca_file=ca_file) as transport:
            response = await transport.send(post(server.url + "/"), before_bytes=stop)
    assert (response.status, ran) == (201, [True])


@pytest.mark.parametrize("fault", ["wrong name", "old protocol"])
async def test_a_wrong_name_or_an_old_protocol_is_refused(tmp_path: Path, fault: str) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    name = "other.example" if fault == "wrong name" else "127.0.0.1"
    authority.issue_cert(name).configure_cert(context)
    if fault == "old protocol":
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.minimum_version = ssl.TLSVersion.TLSv1_1
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    async with (
        serving(plain, tls=context) as server,
        AiohttpTransport(ca_file=ca_file) as transport,
    ):
        with pytest.raises(TransportError) as caught:
            await transport.send(post(server.url + "/"))
    assert type(caught.value) is TransportError
    assert caught.value.kind == "tls" if fault == "wrong name" else caught.value.kind != "closed"
    assert server.heard == []
    assert tls_context(ca_file).minimum_version is ssl.TLSVersion.TLSv1_2


async def test_without_a_ca_file_only_the_system_s_authorities_are_trusted() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with serving(plain, tls=context) as server, AiohttpTransport() as transport:
        with pytest.raises(TransportError, match="certificate is refused") as caught:
            await transport.send(post(server.url + "/"))
    assert caught.value.kind == "tls"
    assert server.heard == []


@pytest.mark.parametrize("special", ["pipe", "/dev/zero", "folder"])
def test_a_ca_file_that_would_never_end_is_refused(tmp_path: Path, special: str) -> None:
    path = tmp_path / special if special != "/dev/zero" else Path(special)
    if special == "pipe":
        os.mkfifo(path)
    elif special == "folder":
        path.mkdir()
    with pytest.raises(ConfigError, match="is not a regular file"):
        check_ca_file(path)


def test_a_ca_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.pem"):
        AiohttpTransport(ca_file=tmp_path / "none.pem")
    (tmp_path / "empty.pem").write_text("nothing")
    with pytest.raises(ConfigError, match=r"empty\.pem"):
        AiohttpTransport(ca_file=tmp_path / "empty.pem")


@pytest.mark.parametrize("use_proxy", [False, True])
async def test_proxy_variables_never_touch_loopback(
    monkeypatch: pytest.MonkeyPatch, *, use_proxy: bool
) -> None:
    async with serving(plain) as proxy, serving(plain) as server:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("REQUEST_METHOD", raising=False)
        async with AiohttpTransport(use_proxy=use_proxy) as transport:
            assert (await transport.send(post(server.url + "/"))).status == 201
        assert proxy.connections == 0


@pytest.mark.parametrize("use_proxy", [False, True])
async def test_proxy_variables_count_for_others_only_when_asked(
    monkeypatch: pytest.MonkeyPatch, *, use_proxy: bool
) -> None:
    async def refuse(heard: Heard, reader: object, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(407, b""))

    async def no_such_name(*args: object, **kwargs: object) -> object:
        raise OSError(-2, "Name or service not known")

    async with serving(refuse) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url.replace("//", "//me:hush@"))
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        async with AiohttpTransport(use_proxy=use_proxy) as transport:
            if not use_proxy:
                monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", no_such_name)
            with pytest.raises(TransportError) as caught:
                await transport.send(post("https://api.x.invalid/"))
        assert proxy.connections == use_proxy
        if use_proxy:
            assert proxy.heard[0].method == "CONNECT"
            assert proxy.heard[0].headers["proxy-authorization"].startswith("Basic ")
            assert "authorization" not in proxy.heard[0].headers
    assert type(caught.value) is TransportError


@pytest.mark.parametrize(
    ("proxy", "kind", "words"),
    [
        ("http://proxy.invalid:3128", "dns", "the name proxy.invalid cannot be resolved"),
        ("http://127.0.0.1:9", "connect", "no connection to the proxy 127.0.0.1:9: "),
    ],
)
async def test_a_proxy_that_cannot_be_reached_is_named(
    monkeypatch: pytest.MonkeyPatch, proxy: str, kind: str, words: str
) -> None:
    async def no_such_name(*args: object, **kwargs: object) -> object:
        raise OSError(-2, "Name or service not known")

    monkeypatch.setenv("https_proxy", proxy)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    if kind == "dns":
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", no_such_name)
    async with AiohttpTransport(use_proxy=True) as transport:
        with pytest.raises(TransportError, match=words) as error:
            await transport.send(get("https://x.invalid/2/users/me"))
    assert error.value.kind == kind


@pytest.mark.parametrize("url", ["https:///2/tweets", "https://me@x.com/", "https://:pw@x.com/"])
def test_an_address_without_a_host_or_with_credentials_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="needs a host and may not hold credentials"):
        check_address(URL(url))


def test_exempt_hosts_go_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:3128")
    monkeypatch.setenv("no_proxy", "api.x.com")
    assert proxy_for(URL("https://api.x.com/")) == (None, None)
    assert proxy_for(URL("https://x.com/")) == (URL("http://127.0.0.1:3128"), None)


def test_a_proxys_user_and_password_go_into_its_header_and_out_of_its_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", "http://me:hush@127.0.0.1:3128")
    assert proxy_for(URL("https://x.com/")) == (
        URL("http://127.0.0.1:3128"),
        {"Proxy-Authorization": "Basic bWU6aHVzaA=="},  # me:hush
    )


@pytest.mark.parametrize(
    ("value", "proxy"),
    [
        ("http://proxy.corp:3128", "http://proxy.corp:3128"),
        ("proxy.corp:3128", "http://proxy.corp:3128"),
        ("https://proxy.corp", "https://proxy.corp"),
    ],
)
def test_all_proxy_stands_in_and_a_scheme_may_be_missing(
    monkeypatch: pytest.MonkeyPatch, value: str, proxy: str
) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("all_proxy", value)
    assert proxy_for(URL("https://x.com/")) == (URL(proxy), None)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:3128")
    assert proxy_for(URL("https://x.com/")) == (URL("http://127.0.0.1:3128"), None)


def test_a_proxy_that_cannot_be_used_is_named_by_its_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:1080")
    with pytest.raises(ConfigError, match="HTTPS_PROXY: SOCKS is not supported"):
        proxy_for(URL("https://x.com/"))


async def test_a_name_that_fails_and_then_resolves_is_reached_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("api.x.invalid").configure_cert(context)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    resolves = False

    async def resolve(host: str, port: int, **_: object) -> object:
        if not resolves:
            raise OSError(-2, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    async with serving(plain, tls=context) as server, AiohttpTransport(ca_file=ca_file) as sender:
        request = post(f"https://api.x.invalid:{server.port}/2/tweets")
        with pytest.raises(TransportError) as caught:
            await sender.send(request)
        assert caught.value.kind == "dns"
        resolves = True
        assert (await sender.send(request)).status == 201


async def test_nothing_secret_is_logged_at_debug_with_everything_turned_on(
    transport: AiohttpTransport, caplog: pytest.LogCaptureFixture, unused_tcp_port: int
) -> None:
    caplog.set_level(logging.DEBUG)
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0.0
    async with serving(plain) as server:
        await transport.send(post(server.url + "/"))
        for url in (f"http://127.0.0.1:{unused_tcp_port}/", "https://127.0.0.1:9/"):
            with pytest.raises(TransportError):
                await transport.send(post(url))
    loop.set_debug(False)
    assert caplog.text
    assert CANARY not in caplog.text
    assert CANARY[:10] not in caplog.text
