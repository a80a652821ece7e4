"""Polls the mentions timeline: slowly beside the stream, faster alone.

It is the net under the stream: self-serve streams have no backfill, and a reply to one of the
account's own replies comes by no activity event. An empty poll costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botkit.protocol.api import requests
from botkit.sources.polls.posts import PostsPoll

if TYPE_CHECKING:
    from botkit.protocol.api.requests import Request

__all__ = ["MentionsPoll"]


class MentionsPoll(PostsPoll):
    """Reads one account's mentions from a durable, contiguous cursor."""

    source: str = "mentions"
    covers: tuple[str, ...] = ("mentions", "activity")
    reach: int = 800
    limit: str = "X's mentions timeline reaches back 800 posts"

    def _request(self, since_id: str | None, token: str | None, most: int) -> Request:
        return requests.get_mentions(
            self._account.id, since_id=since_id, pagination_token=token, max_results=most
        )
