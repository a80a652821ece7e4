"""The HTTP server under the running bot's routes and under a login's callback.

Routes, limits, checks and pages are data; a request gets one answer and its connection ends.
Source: docs/explanation/requirements.md, L3 to L8 and D1 to D4.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import structlog
from aiohttp import web
from msgspec import Struct
from msgspec.structs import replace

from botkit.errors import BotkitError, ConfigError
from botkit.web.connections import Connection, Connections, Limits
from botkit.web.pages import Page
from botkit.web.port_holder import holder_of
from botkit.web.requests import BodyLimit, HostGuard, WebRequest
from botkit.web.responses import Sent, WebResponse, page_response, to_wire

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

__all__ = ["Site", "WebRoute", "WebServer"]

_log = structlog.get_logger(__name__)

_NO_BODY = BodyLimit(size_bytes=0)
_CHUNKS_BYTES = 1024


class WebRoute(Struct, frozen=True, kw_only=True):
    """One path of a server.

    Attributes:
        methods: The methods that are answered (HEAD goes with GET only if it is named).
        answer: Makes the answer.
        guard: The Host and Origin that this route asks for.
        not_opened: The page for a browser's request that does not open the page (a prefetch, an
            image of another page); None answers it like other requests.
        body: The limit of a POST's body; requests by other methods must have no body.
    """

    methods: tuple[str, ...]
    answer: Callable[[WebRequest], Awaitable[WebResponse]]
    guard: HostGuard | None = None
    not_opened: Page | None = None
    body: BodyLimit = BodyLimit()

    def refusal(self, request: WebRequest) -> Page | None:
        """Return the page for a request that this route does not take; None if it does."""
        page = self.guard.refusal(request) if self.guard else None
        return page or (None if request.opens_page else self.not_opened)


class Site(Struct, frozen=True, kw_only=True):
    """One server's own pages, limits and words.

    Attributes:
        refused: The page for what is no proper request.
        not_found: The page for a path without a route.
        wrong_method: The page for a method that the route does not answer.
        trouble: The page for a BotkitError that a route raised.
        taken_hint: What to do when the port is taken.
        unusable_hint: What to do when the address or port cannot be used.
        guard: The Host and Origin that every request must have, whatever its path.
    """

    refused: Page
    not_found: Page
    wrong_method: Page
    trouble: Page
    limits: Limits
    taken_hint: str
    unusable_hint: str = ""
    guard: HostGuard | None = None


class WebServer:
    """An HTTP server, open inside `async with`.

    Args:
        host: An address of this machine; not a name.
        port: 0 for any free port; the attribute `port` has it once the server is open.
        routes: The routes by exact path; `/here/*` stands for each path of that folder.
        site: The pages, limits and words of this server.
    """

    def __init__(
        self, host: str, port: int, routes: Mapping[str, WebRoute], *, site: Site
    ) -> None:
        self._host = host
        self.port: int = port
        self._routes = routes
        self._site = site
        self._listener: asyncio.Server | None = None
        self._manager: web.Server | None = None
        self._answering: set[asyncio.Task[Any]] = set()
        largest = max((route.body.size_bytes for route in routes.values()), default=0)
        self._connections = Connections(
            site.limits,
            # A chunked body is larger on the wire.
            body_bytes=2 * largest + _CHUNKS_BYTES,
            refused=page_response(site.refused),
        )

    async def __aenter__(self) -> Self:
        """Bind and listen.

        Raises:
            ConfigError: The port is taken, or the address is not this machine's.
        """
        manager = self._manager = web.Server(self._respond)
        try:
            self._listener = await asyncio.get_running_loop().create_server(
                lambda: self._connections.protocol(manager),
                self._host,
                self.port,
                backlog=self._site.limits.backlog,
            )
        except OSError as error:
            raise await self._cannot_listen(error) from error
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close at once, unless `stop` has done it."""
        await self.stop(0.0)

    async def keep_only(self, path: str, seconds: float) -> None:
        """Answer this path only from now on, and give open requests that many seconds to end."""
        self._routes = {path: self._routes[path]}
        if self._answering:
            _, late = await asyncio.wait(self._answering, timeout=seconds)
            for task in late:
                task.cancel()

    async def stop(self, seconds: float) -> None:
        """Take no more requests, give open ones that many seconds to end, and close."""
        listener, self._listener = self._listener, None
        manager, self._manager = self._manager, None
        if listener is not None:
            listener.close()
        if manager is not None:
            await manager.shutdown(seconds)
        self._connections.close()

    async def _cannot_listen(self, error: OSError) -> ConfigError:
        if error.errno == errno.EADDRINUSE:
            holder = await asyncio.to_thread(holder_of, self.port)
            return ConfigError(
                f"Port {self.port} on {self._host} is taken by {holder}.",
                hint=self._site.taken_hint,
            )
        return ConfigError(
            f"Cannot listen on {self._host}:{self.port}: {error.strerror}.",
            hint=self._site.unusable_hint,
        )

    async def _respond(self, raw: web.BaseRequest) -> web.StreamResponse:
        path = raw.raw_path.partition("?")[0]
        route = self._routes.get(path) or self._routes.get(f"{path.rpartition('/')[0]}/*")
        connection = raw.protocol
        assert isinstance(connection, Connection)
        request = WebRequest(raw, connection, _NO_BODY if route is None else route.body)
        task = asyncio.current_task()
        assert task is not None
        self._answering.add(task)
        try:
            with connection.answering():
                answer = await self._answer(request, route)
        finally:
            self._answering.discard(task)
        response = to_wire(answer)
        if answer.sent is not None:
            await _send(response, raw, answer.sent)
        return response

    async def _answer(self, request: WebRequest, route: WebRoute | None) -> WebResponse:
        checked = self._checked(request, route)
        if isinstance(checked, WebResponse):
            return checked
        try:
            return await checked.answer(request)
        except BotkitError as error:
            _log.error("request.failed", path=request.path, why=str(error))
            return page_response(self._site.trouble)

    def _checked(self, request: WebRequest, route: WebRoute | None) -> WebRoute | WebResponse:
        """Return the route if the request may reach it, otherwise the answer that refuses it."""
        page = self._site.guard.refusal(request) if self._site.guard else None
        if page is None and not request.path.startswith("/"):
            page = self._site.refused
        if page is not None:
            return page_response(page)
        if route is None:
            return page_response(self._site.not_found)
        if request.method not in route.methods:
            return self._wrong_method(route)
        page = self._site.refused if request.method != "POST" and request.has_body else None
        page = page or route.refusal(request)
        return route if page is None else page_response(page)

    def _wrong_method(self, route: WebRoute) -> WebResponse:
        answer = page_response(self._site.wrong_method)
        return replace(answer, headers={**answer.headers, "Allow": ", ".join(route.methods)})


async def _send(response: web.Response, raw: web.BaseRequest, sent: Sent) -> None:
    """Send an answer, and call `sent` with the error if the connection was lost."""
    lost: ConnectionError | None = None
    try:
        await response.prepare(raw)
        await response.write_eof()
    except ConnectionError as error:
        lost = error
    finally:
        sent(lost)
