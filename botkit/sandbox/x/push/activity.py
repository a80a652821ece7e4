"""X's Activity API: the subscriptions, and the streams and webhooks that carry their events.

Source: X API docs, "X Activity API" and "Event payloads" (calls, events, envelopes).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from botkit.sandbox.wire.exchange import encode
from botkit.sandbox.x.pricing import StreamLine
from botkit.sandbox.x.push.envelopes import envelopes_of
from botkit.sandbox.x.push.streams import Streams
from botkit.sandbox.x.push.subscriptions import StoredSubscription

if TYPE_CHECKING:
    from botkit.sandbox.world.world import Happening, World
    from botkit.sandbox.x.faults import Faults
    from botkit.sandbox.x.push.deliveries import Deliveries
    from botkit.sandbox.x.push.streams import Connection

__all__ = ["Activity"]


@dataclass(slots=True, eq=False)
class _Event:
    """Make the one line of an event for every stream."""

    line: StreamLine
    subscription: StoredSubscription

    def __call__(self, _: Connection) -> StreamLine:
        return self.line


class Activity:
    """The subscriptions and streams of all apps."""

    def __init__(self, world: World, faults: Faults, deliveries: Deliveries) -> None:
        self._world = world
        self._deliveries = deliveries
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
                passed = self.streams.deliver(subscription.app_id, _Event(line, subscription))
                for event in passed:
                    self._to_webhook(cast("_Event", event))

    def _to_webhook(self, event: _Event) -> None:
        sub = event.subscription
        webhook = self._world.webhooks.find(sub.app_id, sub.webhook_id)
        if webhook is not None:
            self._deliveries.send(webhook, event.line)
