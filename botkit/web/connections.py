"""HTTP connections with limits: how many, how slow, how large; and errors that show nothing.

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
    """How many connections a server takes, and how slow and large a request's head may be.

    Attributes:
        connections: How many are open at a time; then the oldest silent one makes room.
        backlog: How many more wait in the kernel.
        head_timeout_s: How long the head may take.
        line_bytes: How long the request line may be.
        field_bytes: How long one header may be.
        fields: How many headers there may be.
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
        """Take one more; if there are too many the oldest silent one makes room, or it goes."""
        if len(self._open) >= self.limits.connections:
            oldest = next((other for other in self._open if other.is_silent), None)
            if oldest is None:
                return False
            self.forget(oldest)
            oldest.hang_up()
        self._open[connection] = None
        return True

    def forget(self, connection: _Connection) -> None:
        """Count a connection no more."""
        self._open.pop(connection, None)

    def close(self) -> None:
        """Hang up all."""
        for connection in tuple(self._open):
            connection.hang_up()


class _Connection(web.RequestHandler):
    """One connection: its head has a deadline, and what is no HTTP gets a fixed answer.

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
        """Whether the head is still not complete."""
        return self._head_timer is not None

    def hang_up(self) -> None:
        """Close the connection."""
        if self.transport is not None:
            self.transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the head; hang up if there is no room."""
        admitted = self._all.admit(self)
        if admitted:
            timeout_s = self._all.limits.head_timeout_s
            self._head_timer = self._loop.call_later(timeout_s, self.hang_up)
        super().connection_made(transport)
        if not admitted:
            transport.close()

    def data_received(self, data: bytes) -> None:
        """Pass bytes to the parser; the timer stops with the end of the head."""
        if self._head_timer is not None:
            received = self._tail + data
            if _END_OF_HEAD in received:
                self._stop_timer()
            self._tail = received[-(len(_END_OF_HEAD) - 1) :]
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Count the connection no more."""
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
        """Return the fixed answer, whatever was wrong."""
        del message
        _log.warning("request.refused", status=status, kind=type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is under way already")
        return to_wire(self._all.refused)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
