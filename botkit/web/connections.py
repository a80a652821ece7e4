"""HTTP connections with limits on number, time and size; errors show nothing of a request.

Source: docs/explanation/requirements.md, L7.
"""

from __future__ import annotations

import asyncio

import structlog
from aiohttp import web
from msgspec import Struct

from botkit.web.responses import WebResponse, to_wire

__all__ = ["Connections", "Limits"]

_log = structlog.get_logger(__name__)

_END_OF_HEAD = b"\r\n\r\n"


class Limits(Struct, frozen=True, kw_only=True):
    """The limits of a server's connections and of a request's head.

    Attributes:
        connections: The most open connections; one more closes the oldest silent one.
        backlog: The most connections that wait in the kernel.
        head_timeout_s: The most time for a head to arrive.
        line_bytes: The longest request line.
        field_bytes: The longest header.
        fields: The most headers.
    """

    connections: int
    backlog: int
    head_timeout_s: float = 5.0
    line_bytes: int = 8 * 1024
    field_bytes: int = 16 * 1024
    fields: int = 64


class Connections:
    """The open connections of one server.

    Args:
        refused: The answer to bytes that are no proper request.
    """

    def __init__(self, limits: Limits, *, refused: WebResponse) -> None:
        self.limits = limits
        self.refused = refused
        self._open: dict[_Connection, None] = {}

    def __len__(self) -> int:
        return len(self._open)

    def protocol(self, manager: web.Server) -> asyncio.Protocol:
        """Return the protocol of a new connection, whose requests go to `manager`."""
        return _Connection(self, manager)

    def admit(self, connection: _Connection) -> bool:
        """Add a connection, if need be in place of the oldest silent one; False without room."""
        if len(self._open) >= self.limits.connections:
            oldest = next((other for other in self._open if other.is_silent), None)
            if oldest is None:
                return False
            self.forget(oldest)
            oldest.hang_up()
        self._open[connection] = None
        return True

    def forget(self, connection: _Connection) -> None:
        """Remove a connection that is closed."""
        self._open.pop(connection, None)

    def close(self) -> None:
        """Close every connection."""
        for connection in tuple(self._open):
            connection.hang_up()


class _Connection(web.RequestHandler):
    """One connection: its head has a deadline, and malformed requests get a fixed answer.

    The bytes of a malformed request stay out of log and answer: they may hold a login's code.
    """

    __slots__ = ("_all", "_head_timer", "_tail")

    def __init__(self, connections: Connections, manager: web.Server) -> None:
        limits = connections.limits
        super().__init__(
            manager,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # aiohttp takes None for no log
            max_line_size=limits.line_bytes,
            max_field_size=limits.field_bytes,
            max_headers=limits.fields,
            keepalive_timeout=0,
            lingering_time=0,
        )
        self._all = connections
        self._head_timer: asyncio.TimerHandle | None = None
        self._tail = b""

    @property
    def is_silent(self) -> bool:
        """Whether the head is still incomplete."""
        return self._head_timer is not None

    def hang_up(self) -> None:
        """Close the connection."""
        if self.transport is not None:
            self.transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the deadline of the head; close the connection if there is no room."""
        admitted = self._all.admit(self)
        if admitted:
            timeout_s = self._all.limits.head_timeout_s
            self._head_timer = self._loop.call_later(timeout_s, self.hang_up)
        super().connection_made(transport)
        if not admitted:
            transport.close()

    def data_received(self, data: bytes) -> None:
        """Pass bytes to the parser; the end of the head stops its deadline."""
        if self._head_timer is not None:
            received = self._tail + data
            if _END_OF_HEAD in received:
                self._stop_timer()
            self._tail = received[-(len(_END_OF_HEAD) - 1) :]
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Remove the connection."""
        self._stop_timer()
        self._all.forget(self)
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Log the kind of error, and return the fixed answer."""
        del message
        _log.warning("request.refused", status=status, kind=type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is under way already")
        return to_wire(self._all.refused)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
