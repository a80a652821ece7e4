"""X's Activity API: the subscriptions, and the open streams that carry their events.

Source: X API docs, "X Activity API" and "Event payloads" (calls, events, envelopes).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botkit.sandbox.wire.exchange import encode
from botkit.sandbox.x.pricing import StreamLine
from botkit.sandbox.x.push.envelopes import envelopes_of
from botkit.sandbox.x.push.streams import Streams

if TYPE_CHECKING:
    from botkit.sandbox.world.world import Happening, World
    from botkit.sandbox.x.faults import Faults
    from botkit.sandbox.x.push.streams import LineMaker
    from botkit.sandbox.x.push.subscriptions import StoredSubscription

__all__ = ["Activity"]


def _for_all(line: StreamLine) -> LineMaker:
    return lambda _: line


class Activity:
    """The subscriptions and streams of all apps."""

    def __init__(self, world: World, faults: Faults) -> None:
        self._world = world
        self.subscriptions: dict[str, StoredSubscription] = {}
        self.streams: Streams = Streams(world, faults, "activity_stream")
        world.listeners.append(self._on_happening)

    def of_app(self, app_id: str) -> list[StoredSubscription]:
        """Return the app's subscriptions, oldest first."""
        return [one for one in self.subscriptions.values() if one.app_id == app_id]

    def open_streams(self, app_id: str) -> int:
        """Return the number of the app's open streams."""
        return len(self.streams.of_app(app_id))

    def _on_happening(self, happening: Happening) -> None:
        for subscription in tuple(self.subscriptions.values()):
            for envelope in envelopes_of(self._world, happening, subscription):
                content = encode(envelope) + b"\r\n"
                line = StreamLine.of(content, subscription.event_type, happening)
                self.streams.deliver(subscription.app_id, _for_all(line))
