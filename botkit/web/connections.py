"""HTTP connections with limits on number, time and size; errors show nothing of a request.

A connection has a deadline from its first byte to the last one of its answer. While the server
waits for the peer, the connection may lose its place to a new one.
Source: docs/explanation/requirements.md, L7.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from aiohttp import web
from msgspec import Struct

from botkit.system import SystemClock
from botkit.waiting.events import event_or_timeout
from botkit.web.abuse_log import AbuseLog
from botkit.web.responses import WebResponse, to_wire

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["Connection", "Connections", "Limits"]

_CLOCK = SystemClock()
_END_OF_HEAD = b"\r\n\r\n"
_READ_BYTES = 16 * 1024
_BLANK_LINES = b"\r\n"
_NO_REQUEST = b"\0" + _END_OF_HEAD
"""Wherever it stands in a head, the parser refuses it."""


class Limits(Struct, frozen=True, kw_only=True):
    """The limits of a server's connections and of a request's head.

    Attributes:
        connections: The most open connections; one more closes the oldest that waits for its peer.
        backlog: The most connections that wait in the kernel; asyncio accepts as many in one turn.
            With half of `connections`, one that speaks at once is heard before newer ones take
            its place.
        head_timeout_s: The most time for a head to arrive.
        answer_timeout_s: The most time from the head to the answer, the body included.
        send_timeout_s: The most time for the peer to take the answer.
        linger_s: The most time in which a refused peer may go on sending, and what it sends is
            thrown away: a close at once would reset the connection under the answer.
        line_bytes: The longest request line.
        head_bytes: The most bytes of a head: its request line and all its headers.
        fields: The most headers.
    """

    connections: int
    backlog: int
    head_timeout_s: float = 5.0
    answer_timeout_s: float = 300.0
    send_timeout_s: float = 5.0
    linger_s: float = 1.0
    line_bytes: int = 8 * 1024
    head_bytes: int = 16 * 1024
    fields: int = 64


class Connections:
    """The open connections of one server.

    Args:
        body_bytes: The most bytes after a head that are read; more are thrown away.
        refused: The answer to bytes that are no proper request.
    """

    def __init__(self, limits: Limits, *, body_bytes: int, refused: WebResponse) -> None:
        self.limits = limits
        self.body_bytes = body_bytes
        self.refused = refused
        self.log: AbuseLog = AbuseLog(_CLOCK)
        self.buffer: memoryview = memoryview(bytearray(_READ_BYTES))
        """Where each connection receives in its turn, so that none makes the server hold more."""
        self._open: dict[Connection, None] = {}

    def __len__(self) -> int:
        return len(self._open)

    def protocol(self, manager: web.Server) -> asyncio.Protocol:
        """Return the protocol of a new connection, whose requests go to `manager`."""
        return Connection(self, manager)

    def admit(self, connection: Connection) -> bool:
        """Add a connection, if need be in place of the oldest that waits for its peer.

        Return False if there is none.
        """
        if len(self._open) >= self.limits.connections:
            oldest = next((other for other in self._open if other.waits_for_peer), None)
            if oldest is None:
                return False
            self.forget(oldest)
            oldest.hang_up()
        self._open[connection] = None
        return True

    def forget(self, connection: Connection) -> None:
        """Remove a connection that is closed."""
        self._open.pop(connection, None)

    def close(self) -> None:
        """Close every connection."""
        for connection in tuple(self._open):
            connection.hang_up()


class Connection(web.RequestHandler, asyncio.BufferedProtocol):
    """One connection: it always has a deadline, and malformed requests get a fixed answer.

    The bytes of a malformed request stay out of log and answer: they may hold a login's code.

    Attributes:
        waits_for_peer: Whether the peer must act next: send the head or the body, or take the
            answer.
    """

    __slots__ = (
        "_all",
        "_body_left",
        "_deadline",
        "_head_left",
        "_in_head",
        "_lost",
        "_socket",
        "_tail",
        "waits_for_peer",
    )

    def __init__(self, connections: Connections, manager: web.Server) -> None:
        limits = connections.limits
        super().__init__(
            manager,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # aiohttp takes None for no log
            max_line_size=limits.line_bytes,
            max_field_size=limits.head_bytes,
            max_headers=limits.fields,
            keepalive_timeout=0,
            lingering_time=limits.linger_s,
            auto_decompress=False,
        )
        self.waits_for_peer: bool = True
        self._all = connections
        self._socket: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._in_head = True
        self._head_left = limits.head_bytes
        self._body_left = connections.body_bytes
        self._tail = b""
        self._lost = asyncio.Event()

    def hang_up(self) -> None:
        """Close the connection at once, whatever is not sent yet."""
        if self._socket is not None:
            self._socket.abort()

    @contextmanager
    def answering(self) -> Generator[None]:
        """Mark the time in which the server makes the answer; the peer takes it afterwards."""
        self.waits_for_peer = False
        self._set_deadline(self._all.limits.answer_timeout_s)
        try:
            yield
        finally:
            self.waits_for_peer = True
            self._set_deadline(self._all.limits.send_timeout_s)

    @contextmanager
    def reading(self) -> Generator[None]:
        """Mark the time in which the body is read, while the answer is being made."""
        self.waits_for_peer = True
        try:
            yield
        finally:
            self.waits_for_peer = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the deadline of the head; close the connection if there is no room."""
        super().connection_made(transport)
        self._socket = self.transport
        if self._all.admit(self):
            self._set_deadline(self._all.limits.head_timeout_s)
        else:
            self.hang_up()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the place for bytes that have come; asyncio calls `buffer_updated` at once."""
        del sizehint
        return self._all.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take the bytes that have come."""
        self.data_received(bytes(self._all.buffer[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """Pass bytes to the parser, as many of head and body as the limits allow."""
        if not self._in_head:
            self._pass_body(data)
            return
        if not self._tail:
            # RFC 9112 section 2.2: blank lines before a request are no part of it.
            data = data.lstrip(_BLANK_LINES)
        received = self._tail + data
        end = received.find(_END_OF_HEAD)
        self._in_head = end < 0
        size = len(data) if end < 0 else end + len(_END_OF_HEAD) - len(self._tail)
        self._tail = received[-(len(_END_OF_HEAD) - 1) :]
        self._head_left -= size
        if self._head_left < 0:
            self._in_head, self._body_left = False, 0
            super().data_received(_NO_REQUEST)
        elif size:
            super().data_received(data[:size])
            self._pass_body(data[size:])

    def connection_lost(self, exc: BaseException | None) -> None:
        """Remove the connection."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._all.forget(self)
        self._lost.set()
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
        self._all.log.warning("request.refused", status=status, kind=type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is under way already")
        if self._head_left >= 0:
            return to_wire(self._all.refused)
        return to_wire(self._all.refused, sent=self._linger)  # the rest of the head may still come

    async def _linger(self) -> None:
        """Wait until the peer closes the connection, for a moment at most."""
        await event_or_timeout(self._lost, self._all.limits.linger_s, clock=_CLOCK)

    def _pass_body(self, data: bytes) -> None:
        data = data[: self._body_left]
        self._body_left -= len(data)
        if data:
            super().data_received(data)

    def _set_deadline(self, seconds: float) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self._loop.call_later(seconds, self.hang_up)
