"""X's Activity API: the subscriptions, and the open streams that carry their events.

Source: X API docs, "X Activity API" and "Event payloads" (calls, events, envelopes), "Consuming
streaming data" and "Handling disconnections" (lines, keep-alives, connections).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from botkit.sandbox.wire.exchange import encode
from botkit.sandbox.x.envelopes import envelopes_of
from botkit.sandbox.x.pricing import StreamLine, charge_delivery

if TYPE_CHECKING:
    from botkit.sandbox.world.grants import App
    from botkit.sandbox.world.world import Happening, World
    from botkit.sandbox.x.faults import Faults
    from botkit.sandbox.x.subscriptions import StoredSubscription

__all__ = ["Activity", "Connection"]

_BUFFER_LINES = 10_000


class Connection:
    """An open stream: an async iterator over its lines; `aclose` frees its place."""

    def __init__(self, activity: Activity, app: App) -> None:
        self._activity = activity
        self.app = app
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
        line = await self._activity.next_line(self)
        if line is None:
            await self.aclose()
            raise StopAsyncIteration
        return line

    async def aclose(self) -> None:
        """Close the stream."""
        self._activity.forget(self)


class Activity:
    """The subscriptions and streams of all apps."""

    def __init__(self, world: World, faults: Faults) -> None:
        self._world = world
        self._faults = faults
        self.subscriptions: dict[str, StoredSubscription] = {}
        self._connections: list[Connection] = []
        world.listeners.append(self._on_happening)

    def of_app(self, app_id: str) -> list[StoredSubscription]:
        """Return the app's subscriptions, oldest first."""
        return [one for one in self.subscriptions.values() if one.app_id == app_id]

    def open_streams(self, app_id: str) -> int:
        """Return the number of the app's open streams."""
        return sum(connection.app.id == app_id for connection in self._connections)

    def connect(self, app: App) -> Connection:
        """Return a new stream; it takes its place at once."""
        connection = Connection(self, app)
        self._connections.append(connection)
        return connection

    def forget(self, connection: Connection) -> None:
        """Free the place of a closed stream."""
        if connection in self._connections:
            self._connections.remove(connection)

    def cut(self) -> None:
        """Close every stream."""
        for connection in self._connections:
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

    def _on_happening(self, happening: Happening) -> None:
        for subscription in tuple(self.subscriptions.values()):
            for envelope in envelopes_of(self._world, happening, subscription):
                content = encode(envelope) + b"\r\n"
                line = StreamLine.of(content, subscription.event_type, happening)
                self._deliver(subscription.app_id, line)

    def _deliver(self, app_id: str, line: StreamLine) -> None:
        plan = self._faults.stream
        if plan.silent:
            return
        if plan.drop:
            plan.drop -= 1
            return
        if plan.reorder:
            plan.held.insert(0, line)
            if len(plan.held) < plan.reorder:
                return
            lines, plan.held, plan.reorder = plan.held, [], 0
        else:
            lines = [line]
        if plan.duplicate:
            plan.duplicate -= 1
            lines = [each for each in lines for _ in range(2)]
        for connection in self._connections:
            if connection.app.id == app_id:
                for each in lines:
                    connection.push(each)
