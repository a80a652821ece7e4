"""The simulated X on a socket, over aiohttp: for other processes and any client."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web

from botkit.sandbox.wire.exchange import Answer, Call, Delivery
from botkit.sandbox.world.world import World
from botkit.sandbox.x.browser_guard import refusal
from botkit.sandbox.x.server import XServer
from botkit.system import SystemClock, SystemEntropy
from botkit.web.responses import UnnamedResponse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Collection

__all__ = ["OpenServer", "open_server", "serve"]

_BODY_LIMIT_BYTES = 1024 * 1024


class OpenServer:
    """A simulated X that listens on a socket.

    Attributes:
        url: The base URL of X's paths, for instance `http://127.0.0.1:41873`.
        server: The simulated X itself, with its world, faults and limits.
    """

    def __init__(self, url: str, server: XServer) -> None:
        self.url = url
        self.server = server

    @property
    def world(self) -> World:
        """The world of the server."""
        return self.server.world


@asynccontextmanager
async def open_server(
    world: World | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    allowed_hosts: Collection[str] = (),
) -> AsyncGenerator[OpenServer]:
    """Serve a world until the block ends; without `world`, a new one in real time.

    Port 0 chooses a free port; the yielded server's `url` contains it. Web pages of other sites
    are refused: requests must name the server by an IP address, as `localhost`, by X's name, or
    by one of `allowed_hosts`, and come from no other origin.

    Raises:
        OSError: The port is taken, or the address does not belong to this machine.
    """
    served = world or World(SystemClock(), SystemEntropy())
    server = await asyncio.to_thread(XServer, served)
    app = web.Application(client_max_size=_BODY_LIMIT_BYTES)
    app.router.add_route("*", "/{path:.*}", _handler(server, allowed_hosts))
    app.on_response_prepare.append(_leave_unnamed)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    listener = None
    try:
        listener = await asyncio.get_running_loop().create_server(
            lambda: _Connection(runner), host, port
        )
        bound = listener.sockets[0].getsockname()
        shown = f"[{host}]" if ":" in host else host
        yield OpenServer(f"http://{shown}:{bound[1]}", server)
    finally:
        if listener is not None:
            listener.close()
        server.faults.cut_streams()
        await server.deliveries.aclose()
        await runner.cleanup()


class _Connection(web.RequestHandler):
    """A connection whose answers to malformed requests tell no version either."""

    def __init__(self, runner: web.AppRunner) -> None:
        assert runner.server is not None
        loop = asyncio.get_running_loop()
        super().__init__(runner.server, loop=loop, access_log=None)  # type: ignore[arg-type]  # aiohttp takes None for no log

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return aiohttp's answer without its header `Server`."""
        answer = super().handle_error(request, status, exc, message)
        assert isinstance(answer, web.Response)
        unnamed = UnnamedResponse(
            status=answer.status, text=answer.text, content_type=answer.content_type
        )
        unnamed.force_close()
        return unnamed


async def _leave_unnamed(request: web.Request, response: web.StreamResponse) -> None:
    """Send no header `Server`: aiohttp tells its and Python's version in it."""
    del request
    response.headers.popall("Server", None)


async def serve(
    host: str = "127.0.0.1", port: int = 0, *, ready: Callable[[OpenServer], None] | None = None
) -> None:
    """Serve a new world until cancelled; call `ready` when the server listens."""
    async with open_server(host=host, port=port) as opened:
        if ready is not None:
            ready(opened)
        await asyncio.Event().wait()


def _handler(
    server: XServer, allowed_hosts: Collection[str]
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        hosts = request.headers.getall("Host", [])
        refused = refusal(hosts, request.headers.getall("Origin", []), allowed=allowed_hosts)
        if refused is not None:
            return _whole(refused)
        call = Call.of(
            request.method,
            request.raw_path,
            headers=dict(request.headers),
            body=await request.read(),
        )
        answer = await server.handle(call)
        if answer.delivery is not Delivery.WHOLE:
            return await _fail(request, answer)
        if answer.stream is not None:
            return await _stream(request, answer)
        return _whole(answer)

    return handle


def _whole(answer: Answer) -> web.Response:
    return web.Response(status=answer.status, headers=answer.headers, body=answer.body)


async def _stream(request: web.Request, answer: Answer) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.enable_chunked_encoding()
    assert answer.stream is not None
    try:
        await response.prepare(request)
        async for line in answer.stream:
            await response.write(line)
    except ConnectionResetError:
        return response
    finally:
        await answer.stream.aclose()
    await response.write_eof()
    return response


async def _fail(request: web.Request, answer: Answer) -> web.StreamResponse:
    """Break the connection in the way that the fault asks for."""
    if answer.stream is not None:
        await answer.stream.aclose()
    if answer.delivery is Delivery.STALLED:
        await asyncio.Event().wait()
    response = web.StreamResponse(status=answer.status or 200, headers=answer.headers)
    if answer.delivery is Delivery.CUT:
        response.content_length = len(answer.body)
        await response.prepare(request)
        await response.write(answer.body[: len(answer.body) // 2])
    if request.transport is not None:
        request.transport.abort()
    return response
