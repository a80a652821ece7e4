"""The open streams of one endpoint of X: their places, lines and keep-alives.

Source: X API docs, "Consuming streaming data" and "Handling disconnections" (lines, keep-alives,
connections); X's OpenAPI document, `getConnectionHistory`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Self, TypeAlias

from botkit.sandbox.x.pricing import StreamLine, charge_delivery

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from botkit.sandbox.world.grants import App
    from botkit.sandbox.world.world import World
    from botkit.sandbox.x.faults import Faults
    from botkit.sandbox.x.objects import Wanted

__all__ = ["Connection", "LineMaker", "Streams"]

_BUFFER_LINES = 10_000
_PAST = 100
"""How many closed connections are remembered."""

LineMaker: TypeAlias = "Callable[[Connection], StreamLine]"
"""Makes the line of an event for a connection, with the fields that it asked for."""


class Connection:
    """An open stream: an async iterator over its lines; `aclose` frees its place.

    Attributes:
        wanted: The fields that its call asked for; None where there is no choice.
        closed_at: When it ended; None while it is open.
        reason: Why it ended.
    """

    def __init__(self, streams: Streams, app: App, wanted: Wanted | None) -> None:
        self._streams = streams
        self.id: str = streams.next_id()
        self.app = app
        self.wanted = wanted
        self.opened_at: datetime = streams.now()
        self.closed_at: datetime | None = None
        self.reason: str = ""
        self.lines: asyncio.Queue[StreamLine | None] = asyncio.Queue(_BUFFER_LINES)

    def push(self, line: StreamLine | None) -> None:
        """Put a line into the buffer; None ends the stream."""
        # X drops the connection of a reader that is too slow, without notice.
        if self.lines.full():
            while not self.lines.empty():
                self.lines.get_nowait()
            line = None
        self.lines.put_nowait(line)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        line = await self._streams.next_line(self)
        if line is None:
            self._streams.free(self, "operator_disconnect")
            raise StopAsyncIteration
        return line

    async def aclose(self) -> None:
        """Close the stream from the client's side."""
        self._streams.leave(self)


class Streams:
    """The open streams of an endpoint, of all apps."""

    def __init__(self, world: World, faults: Faults, endpoint: str) -> None:
        self._world = world
        self._faults = faults
        self.endpoint = endpoint
        self._open: list[Connection] = []
        self._past: deque[Connection] = deque(maxlen=_PAST)

    def of_app(self, app_id: str) -> list[Connection]:
        """Return the app's connections that have a place, oldest first."""
        return [connection for connection in self._open if connection.app.id == app_id]

    def past_of(self, app_id: str) -> list[Connection]:
        """Return the app's connections that are closed, oldest first."""
        return [connection for connection in self._past if connection.app.id == app_id]

    def apps(self) -> set[str]:
        """Return the ids of the apps with a connection."""
        return {connection.app.id for connection in self._open}

    def connect(self, app: App, wanted: Wanted | None = None) -> Connection:
        """Return a new stream; it takes its place at once."""
        connection = Connection(self, app, wanted)
        self._open.append(connection)
        return connection

    def leave(self, connection: Connection) -> None:
        """Note that the client went away; a planned fault may keep the place taken."""
        if not self._faults.stream.keeps_places:
            self.free(connection, "client_disconnect")

    def free(self, connection: Connection, reason: str) -> None:
        """Free the place of a closed stream."""
        if connection in self._open:
            self._open.remove(connection)
            connection.closed_at, connection.reason = self.now(), reason
            self._past.append(connection)

    def kill(self, connection: Connection) -> None:
        """Close a stream from X's side, and free its place."""
        connection.push(None)
        self.free(connection, "operator_disconnect")

    def cut(self) -> None:
        """Close every stream."""
        for connection in self._open:
            connection.push(None)

    def fail(self, content: bytes) -> None:
        """Send a last line in every stream, and close them."""
        for connection in self._open:
            connection.push(StreamLine(content))
            connection.push(None)

    async def next_line(self, connection: Connection) -> bytes | None:
        """Return the stream's next line or a keep-alive, None at its end."""
        while True:
            try:
                async with self._world.clock.timeout(self._world.rules.keep_alive_s):
                    line = await connection.lines.get()
            except TimeoutError:
                if not self._faults.stream.silent:
                    return b"\r\n"
                continue
            if line is None:
                return None
            charge_delivery(self._world, connection.app, line)
            return line.content

    def deliver(self, app_id: str, make: LineMaker) -> Sequence[LineMaker]:
        """Send an event to every stream of an app; return what the planned faults let pass."""
        plan = self._faults.stream
        if plan.silent:
            return ()
        if plan.drop:
            plan.drop -= 1
            return ()
        makers = [make]
        if plan.reorder:
            held = plan.held.setdefault(self.endpoint, [])
            held.insert(0, make)
            if len(held) < plan.reorder:
                return ()
            makers, plan.held[self.endpoint], plan.reorder = held, [], 0
        if plan.duplicate:
            plan.duplicate -= 1
            makers = [each for each in makers for _ in range(2)]
        for connection in self.of_app(app_id):
            for each in makers:
                connection.push(each(connection))
        return makers

    def next_id(self) -> str:
        """Return an id for a connection."""
        return self._world.entropy.token_bytes(16).hex()

    def now(self) -> datetime:
        """Return X's time."""
        return self._world.time_on_x()
