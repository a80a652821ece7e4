"""The callback server of a login: on the loopback address, for one login, and closed after it.

Only a request with the right state decides; everything else is answered and the login waits on.
Source: RFC 8252 sections 7.3 and 8.3; docs/explanation/requirements.md, L1 to L11.
"""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING

import msgspec
import structlog
from aiohttp import web

from botkit.errors import (
    AuthorizationDenied,
    BotkitError,
    ConfigError,
    StateMismatch,
    WrongAccount,
)
from botkit.protocol.callback_urls import loopback_address
from botkit.wizard.pages import PAGES, Page, render

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType
    from typing import Self

__all__ = ["CallbackServer"]

_log = structlog.get_logger("botkit.setup")

_HEADER_TIMEOUT_S = 5.0
_MAX_LINE_BYTES = 8 * 1024
_MAX_HEADERS_BYTES = 16 * 1024
_MAX_CONNECTIONS = 64
_MAX_REFUSED = 100
_HTTP_PORT = 80
"""Browsers leave the default port out of the Host header."""


class CallbackServer:
    """Waits for the redirect of one login.

    Args:
        redirect_uri: The callback address as registered; its host must be a loopback literal.
        finish: Given the callback's query, ends the login and gives the facts to show. It raises
            `StateMismatch` for a request that is not of this login (which then waits on).
    """

    def __init__(
        self,
        redirect_uri: str,
        finish: Callable[[str], Awaitable[tuple[tuple[str, str], ...]]],
    ) -> None:
        self._host, self._port, self._path = loopback_address(redirect_uri)
        self._finish = finish
        self._server: asyncio.Server | None = None
        self._web: web.Server | None = None
        self._ended: asyncio.Future[None] | None = None
        self._open: dict[_Watched, None] = {}
        self._refused = 0
        shown = f"[{self._host}]" if ":" in self._host else self._host
        self._authorities = {f"{shown}:{self._port}"}
        if self._port == _HTTP_PORT:
            self._authorities.add(shown)

    async def __aenter__(self) -> Self:
        """Bind and listen.

        Raises:
            ConfigError: The port is taken, or may not be used.
        """
        loop = asyncio.get_running_loop()
        self._ended = loop.create_future()
        self._web = web.Server(self._answer)
        manager = self._web
        try:
            self._server = await loop.create_server(
                lambda: _Watched(_Quiet.under(manager, loop), self._open),
                self._host,
                self._port,
                backlog=128,
            )
        except OSError as error:
            raise self._cannot_listen(error) from error
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the port and every connection."""
        if self._server is not None:
            self._server.close()
        if self._web is not None:
            await self._web.shutdown(1.0)
        for connection in tuple(self._open):
            connection.close()
        if self._ended is not None and not self._ended.done():
            self._ended.cancel()

    async def wait(self) -> None:
        """Return when the login has succeeded; raise what ended it otherwise."""
        if self._ended is None:
            raise RuntimeError("the callback server is not open")
        await asyncio.shield(self._ended)

    def _cannot_listen(self, error: OSError) -> ConfigError:
        place = f"{self._host}:{self._port}"
        if error.errno == errno.EADDRINUSE:
            return ConfigError(
                f"Port {self._port} on {self._host} is taken by another program.",
                hint=(
                    "Stop that program, or register another callback address in X's console and"
                    " set redirect_uri to it: X compares the address exactly, port included."
                ),
            )
        return ConfigError(f"Cannot listen on {place}: {error.strerror}.")

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        out_of_place = self._out_of_place(request)
        if out_of_place is not None:
            page, failure = out_of_place, None
        else:
            page, failure = await self._callback(request.query_string)
        body, headers = render(page)
        response = web.Response(status=page.status, body=body, headers=headers)
        response.force_close()
        # The answer must be out before the port closes, so the login ends only after it.
        await response.prepare(request)
        await response.write_eof()
        self._maybe_end(page, failure)
        return response

    def _out_of_place(self, request: web.BaseRequest) -> Page | None:
        """The page for a request that cannot be the callback; None when it may be."""
        hosts = request.headers.getall("Host", [])
        target = request.raw_path
        if len(hosts) != 1 or hosts[0] not in self._authorities or not target.startswith("/"):
            return PAGES["misdirected"]
        origins = request.headers.getall("Origin", [])
        if any(origin not in {f"http://{a}" for a in self._authorities} for origin in origins):
            return PAGES["refused"]
        if target.partition("?")[0] != self._path:
            return PAGES["not_found"]
        if request.method != "GET":
            return PAGES["method"]
        if "Transfer-Encoding" in request.headers or request.headers.get(
            "Content-Length", "0"
        ) not in {"", "0"}:
            return PAGES["refused"]
        purpose = " ".join(
            request.headers.get(name, "") for name in ("Sec-Purpose", "Purpose", "X-Moz")
        ).lower()
        if "prefetch" in purpose or "prerender" in purpose or "preview" in purpose:
            return PAGES["prefetch"]
        return None

    async def _callback(self, query: str) -> tuple[Page, Exception | None]:
        """The page for a callback, and what ends the login when it ends in failure."""
        try:
            facts = await self._finish(query)
        except StateMismatch as mismatch:
            self._refused += 1
            _log.warning("callback refused", reason=mismatch.message, refused=self._refused)
            return PAGES["unknown"], self._too_many()
        except AuthorizationDenied as denied:
            return PAGES["declined"], denied
        except WrongAccount as wrong:
            return PAGES["wrong_account"], wrong
        except BotkitError as error:
            return PAGES["failed"], error
        except Exception as fault:  # noqa: BLE001 - it is raised where the login is awaited
            return PAGES["failed"], fault
        success = PAGES["success"]
        return msgspec.structs.replace(success, facts=facts), None

    def _too_many(self) -> StateMismatch | None:
        if self._refused < _MAX_REFUSED:
            return None
        return StateMismatch(
            f"{self._refused} callbacks did not belong to this login; gave up.",
            hint="Something on this machine sends forged callbacks. Run botkit setup again.",
        )

    def _maybe_end(self, page: Page, failure: Exception | None) -> None:
        if self._ended is None or self._ended.done():
            return
        if failure is not None:
            self._ended.set_exception(failure)
        elif page.good:
            self._ended.set_result(None)


class _Quiet(web.RequestHandler):
    """Answers what is no HTTP, too, with a fixed page, and keeps its bytes out of the log.

    A request line that is too long or malformed may hold the code; aiohttp would show it.
    """

    __slots__ = ()

    @classmethod
    def under(cls, manager: web.Server, loop: asyncio.AbstractEventLoop) -> _Quiet:
        """One connection's handler, with the limits of L7."""
        return cls(
            manager,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]
            max_line_size=_MAX_LINE_BYTES,
            max_field_size=_MAX_HEADERS_BYTES,
            max_headers=64,
            keepalive_timeout=0,
            lingering_time=0,
        )

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The fixed page of a refusal, whatever was wrong."""
        del message
        _log.warning("request refused", status=status, kind=type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is under way already")
        body, headers = render(PAGES["refused"])
        response = web.Response(status=PAGES["refused"].status, body=body, headers=headers)
        response.force_close()
        return response


class _Watched(asyncio.Protocol):
    """Puts limits around an HTTP connection: how many there are, and how slow one may be."""

    def __init__(self, inner: asyncio.Protocol, connections: dict[_Watched, None]) -> None:
        self._inner = inner
        self._connections = connections
        self._transport: asyncio.BaseTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._tail = b""

    @property
    def is_silent(self) -> bool:
        """Whether the headers are still not complete."""
        return self._timer is not None

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept it; when there are too many, the oldest silent one makes room, or it goes."""
        if len(self._connections) >= _MAX_CONNECTIONS:
            oldest = next((c for c in self._connections if c.is_silent), None)
            if oldest is None:
                self._inner.connection_made(transport)
                transport.close()
                return
            self._connections.pop(oldest, None)
            oldest.close()
        self._transport = transport
        self._connections[self] = None
        self._timer = asyncio.get_running_loop().call_later(_HEADER_TIMEOUT_S, self.close)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Pass the bytes on; the timer stops with the end of the headers."""
        if self._timer is not None:
            if b"\r\n\r\n" in self._tail + data:
                self._timer.cancel()
                self._timer = None
            self._tail = (self._tail + data)[-3:]
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass it on."""
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        """Pass it on."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._connections.pop(self, None)
        self._inner.connection_lost(exc)
