"""X as a client of real servers."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from botkit.sandbox.x.push.outgoing import Outgoing, Reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def address() -> AsyncIterator[str]:
    """The address of a server that tells what it got."""

    async def tell(request: web.Request) -> web.Response:
        if request.path == "/elsewhere":
            raise web.HTTPFound("/")
        said = f"{request.method} {request.headers.get('x-mark')} ".encode()
        return web.Response(body=said + await request.read())

    runner = web.ServerRunner(web.Server(tell))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_request_arrives_as_it_was_made_and_its_answer_is_read(address: str) -> None:
    held = []

    @contextlib.contextmanager
    def holding():
        held.append("in")
        yield
        held.append("out")

    outgoing = Outgoing(holding)
    url = f"http://{address}/"
    assert await outgoing.send("POST", url, headers={"x-mark": "7"}, body=b"a") == Reply(
        200, b"POST 7 a"
    )
    assert await outgoing.send("GET", url, headers={}) == Reply(200, b"GET None ")
    assert held == ["in", "out"] * 2


async def test_a_redirect_is_an_answer_and_is_not_followed(address: str) -> None:
    reply = await Outgoing().send("GET", f"http://{address}/elsewhere", headers={})
    assert reply.status == 302


async def test_broken_tls_is_told_from_silence(address: str) -> None:
    reply = await Outgoing().send("GET", f"https://{address}/", headers={})
    assert reply == Reply(0, is_tls_broken=True)
    for url in ("http://127.0.0.1:1/", "http://127.0.0.1:no/"):
        assert await Outgoing().send("GET", url, headers={}) == Reply(0)
