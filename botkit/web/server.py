"""The running bot's HTTP server: exact paths, limits on what comes in, headers on what goes out.

It serves what it is given as routes, and knows no more of them. A request gets one answer and its
connection ends. No X-Forwarded header is read: the public address is a setting.
Source: docs/explanation/requirements.md, L3 to L8, D1 to D4 and W8.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

import structlog
from aiohttp import web
from msgspec import Struct

from botkit.errors import BotkitError, ConfigError
from botkit.web.connections import Connections
from botkit.web.pages import Page, render
from botkit.web.request_checks import has_body

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

__all__ = ["WebResponse", "WebRoute", "WebServer", "answer_of", "read_form"]

_log = structlog.get_logger("botkit.web")

_MAX_CONNECTIONS = 512
_MAX_FORM_BYTES = 4 * 1024
_BODY_TIMEOUT_S = 5.0
_FORM_TYPE = "application/x-www-form-urlencoded"

_REFUSED = Page(
    status=400,
    title="The request was refused",
    text="It is not one that this server answers.",
    next_step="Open the link again, just as it was given.",
)
_NOT_FOUND = Page(
    status=404,
    title="There is nothing here",
    text="This is the server of a bot, and it has no page of this name.",
    next_step="Open the link again, just as it was given.",
)
_NOT_SO = Page(
    status=405,
    title="That is not how this page is used",
    text="The request's method is none that this address takes.",
    next_step="Open the link again, just as it was given.",
)
_TROUBLE = Page(
    status=503,
    title="Not just now",
    text="The bot could not look this up; nothing was changed.",
    next_step="Try again in a minute. If it stays so, tell the bot's operator.",
)


class WebResponse(Struct, frozen=True, kw_only=True):
    """What goes back, with every header."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    cookie: str = ""
    """The whole value of Set-Cookie, "" for none."""


class WebRoute(Struct, frozen=True, kw_only=True):
    """What answers at one path, and to which methods (HEAD goes with GET only if it is named)."""

    methods: tuple[str, ...]
    answer: Callable[[web.BaseRequest], Awaitable[WebResponse]]


def answer_of(page: Page, *, cookie: str = "") -> WebResponse:
    """A page as an answer."""
    body, headers = render(page)
    return WebResponse(status=page.status, body=body, headers=headers, cookie=cookie)


async def read_form(request: web.BaseRequest) -> str | None:
    """The body of a small form; None when it is none, too long, or too slow."""
    if request.content_type != _FORM_TYPE:
        return None
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            # One byte more than fits tells that it is too long, however it is announced.
            body = bytearray()
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > _MAX_FORM_BYTES:
                    return None
        return body.decode("ascii")
    except (TimeoutError, UnicodeDecodeError, ConnectionError):
        return None


class WebServer:
    """Listens from entering to leaving.

    Args:
        host: An address of this machine; not a name.
        port: 0 for any free one; `port` says which after entering.
        routes: By exact path.
    """

    def __init__(self, host: str, port: int, routes: Mapping[str, WebRoute]) -> None:
        self._host = host
        self.port = port
        self._routes = routes
        self._server: asyncio.Server | None = None
        self._web: web.Server | None = None
        self._connections = Connections(_MAX_CONNECTIONS, refused=_REFUSED)

    async def __aenter__(self) -> Self:
        """Bind and listen.

        Raises:
            ConfigError: The port is taken, or the address is not this machine's.
        """
        loop = asyncio.get_running_loop()
        manager = self._web = web.Server(self._respond)
        try:
            self._server = await loop.create_server(
                lambda: self._connections.protocol(manager, loop),
                self._host,
                self.port,
                backlog=256,
            )
        except OSError as error:
            raise self._cannot_listen(error) from error
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close at once what `stop` has not closed."""
        await self.stop(0.0)

    async def stop(self, seconds: float) -> None:
        """Take no more requests; those that are being answered have that long to end."""
        server, self._server = self._server, None
        manager, self._web = self._web, None
        if server is not None:
            server.close()
        if manager is not None:
            await manager.shutdown(seconds)
        self._connections.close()

    def _cannot_listen(self, error: OSError) -> ConfigError:
        if error.errno == errno.EADDRINUSE:
            return ConfigError(
                f"Port {self.port} on {self._host} is taken by another program.",
                hint="Stop that program, or set [http] port to another one.",
            )
        return ConfigError(
            f"Cannot listen on {self._host}:{self.port}: {error.strerror}.",
            hint="Set [http] host to an address of this machine, and port to one that is free.",
        )

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        answer = await self._answer(request)
        headers = {**answer.headers, "Server": "botkit"}
        if answer.cookie:
            headers["Set-Cookie"] = answer.cookie
        response = web.Response(status=answer.status, body=answer.body, headers=headers)
        response.force_close()
        return response

    async def _answer(self, request: web.BaseRequest) -> WebResponse:
        target = request.raw_path
        if not target.startswith("/"):
            return answer_of(_REFUSED)
        route = self._routes.get(target.partition("?")[0])
        if route is None:
            return answer_of(_NOT_FOUND)
        if request.method not in route.methods:
            refused = answer_of(_NOT_SO)
            allowed = {**refused.headers, "Allow": ", ".join(route.methods)}
            return WebResponse(status=refused.status, body=refused.body, headers=allowed)
        if request.method != "POST" and has_body(request):
            return answer_of(_REFUSED)
        try:
            return await route.answer(request)
        except BotkitError as error:
            _log.error("request not answered", path=target.partition("?")[0], why=str(error))
            return answer_of(_TROUBLE)
