"""HTTP connections with limits: how many, how slow, how large; and errors that show nothing.

Source: docs/explanation/requirements.md, L7.
"""

from __future__ import annotations

import asyncio

import structlog
from aiohttp import web

from botkit.web.pages import Page, render

__all__ = ["HEADER_TIMEOUT_S", "Connections"]

_log = structlog.get_logger("botkit.web")

HEADER_TIMEOUT_S = 5.0
_MAX_LINE_BYTES = 8 * 1024
_MAX_HEADERS_BYTES = 16 * 1024


class Connections:
    """The open connections of one server.

    Args:
        most: How many at a time; then the oldest that has not asked for anything yet makes room.
        refused: The page for what is no proper request.
    """

    def __init__(self, most: int, *, refused: Page) -> None:
        self._most = most
        self._refused = refused
        self._open: dict[_Watched, None] = {}

    def protocol(self, manager: web.Server, loop: asyncio.AbstractEventLoop) -> asyncio.Protocol:
        """The protocol of a new connection, whose requests go to `manager`."""
        return _Watched(_Quiet.under(manager, loop, self._refused), self._open, most=self._most)

    def close(self) -> None:
        """Hang up all."""
        for connection in tuple(self._open):
            connection.close()


class _Quiet(web.RequestHandler):
    """Answers what is no HTTP, too, with a fixed page, and keeps its bytes out of the log.

    A request line that is too long or malformed may hold the code; aiohttp would show it.
    """

    __slots__ = ("_refused",)
    _refused: Page

    @classmethod
    def under(cls, manager: web.Server, loop: asyncio.AbstractEventLoop, refused: Page) -> _Quiet:
        """One connection's handler, with the limits of L7."""
        handler = cls(
            manager,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]
            max_line_size=_MAX_LINE_BYTES,
            max_field_size=_MAX_HEADERS_BYTES,
            max_headers=64,
            keepalive_timeout=0,
            lingering_time=0,
        )
        handler._refused = refused
        return handler

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
        body, headers = render(self._refused)
        response = web.Response(status=self._refused.status, body=body, headers=headers)
        response.force_close()
        return response


class _Watched(asyncio.Protocol):
    """Puts limits around an HTTP connection: how many there are, and how slow one may be."""

    def __init__(
        self, inner: asyncio.Protocol, connections: dict[_Watched, None], *, most: int
    ) -> None:
        self._inner = inner
        self._connections = connections
        self._most = most
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
        if len(self._connections) >= self._most:
            oldest = next((c for c in self._connections if c.is_silent), None)
            if oldest is None:
                self._inner.connection_made(transport)
                transport.close()
                return
            self._connections.pop(oldest, None)
            oldest.close()
        self._transport = transport
        self._connections[self] = None
        self._timer = asyncio.get_running_loop().call_later(HEADER_TIMEOUT_S, self.close)
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
