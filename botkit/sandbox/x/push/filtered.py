"""X's filtered stream: the rules of all apps, and the open streams of posts that match them.

Source: X API docs, "Filtered Stream" and "Matching Posts to Rules".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from botkit.sandbox.wire.exchange import encode
from botkit.sandbox.world.queries import Query
from botkit.sandbox.x.objects import posts_body
from botkit.sandbox.x.pricing import StreamLine
from botkit.sandbox.x.push.streams import Connection, Streams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from botkit.sandbox.world.world import Happening, PostRecord, World
    from botkit.sandbox.x.faults import Faults

__all__ = ["FilteredStream", "StoredRule"]


@dataclass(slots=True, eq=False)
class StoredRule:
    """A rule of an app. It matches from `starts` on."""

    id: str
    app_id: str
    value: str
    tag: str
    query: Query
    starts: datetime

    def to_wire(self) -> dict[str, str]:
        """Return the rule as the API shows it."""
        body = {"id": self.id, "value": self.value}
        return body | ({"tag": self.tag} if self.tag else {})


class FilteredStream:
    """The rules and streams of all apps."""

    def __init__(self, world: World, faults: Faults) -> None:
        self._world = world
        self.rules: dict[str, StoredRule] = {}
        self.streams: Streams = Streams(world, faults, "filtered_stream")
        world.listeners.append(self._on_happening)

    def of_app(self, app_id: str) -> list[StoredRule]:
        """Return the app's rules, oldest first."""
        return [rule for rule in self.rules.values() if rule.app_id == app_id]

    def backfill(self, connection: Connection, minutes: int) -> None:
        """Put the matching posts of the last minutes into a stream."""
        since = self._world.clock.now() - timedelta(minutes=minutes)
        for post in self._world.shown_posts():
            matched = self._matched(connection.app.id, post) if post.created_at >= since else []
            if matched:
                connection.push(self._line(post, matched, connection))

    def _on_happening(self, happening: Happening) -> None:
        post = happening.post
        if happening.kind != "post" or post is None:
            return
        for app_id in self.streams.apps():
            matched = self._matched(app_id, post)
            if matched:
                self.streams.deliver(app_id, partial(self._line, post, matched))

    def _matched(self, app_id: str, post: PostRecord) -> list[StoredRule]:
        if self._world.users[post.author_id].protected:
            return []
        now = self._world.clock.now()
        return [
            rule
            for rule in self.of_app(app_id)
            if rule.starts <= now and rule.query.matches(self._world, post)
        ]

    def _line(
        self, post: PostRecord, matched: Sequence[StoredRule], connection: Connection
    ) -> StreamLine:
        wanted = connection.wanted
        assert wanted is not None
        body = posts_body(self._world, [post], wanted, single=True)
        # A rule without a tag has an empty one here: clients in the wild (tweepy) rely on it.
        body["matching_rules"] = [{"id": rule.id, "tag": rule.tag} for rule in matched]
        return StreamLine.of_post(encode(body) + b"\r\n", post)
