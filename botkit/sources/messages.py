"""Direct messages, read at intervals: the net under the stream, or alone where there is none.

X gives no `since_id` here and few reads, so each poll pages back from the newest message to one
that is known. Source: X API docs, "Direct Messages lookup": 30 days back, 15 reads in 15 minutes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from botkit.model.events import DirectMessage
from botkit.protocol import activity, objects, requests
from botkit.protocol.envelopes import events_of
from botkit.protocol.pagination import PageTrail
from botkit.sources.polling import Pace, Poll

if TYPE_CHECKING:
    from botkit.model.events import XEvent
    from botkit.protocol.responses import Response

__all__ = ["MessagesPoll"]

_log = structlog.get_logger("botkit.messages")

_FEWEST = 1


class MessagesPoll(Poll):
    """Reads one account's direct messages from a durable cursor: the newest id that was recorded.

    X allows 15 reads in 15 minutes: it polls no faster, whoever pokes.
    """

    source = "messages"
    pace = Pace(failures_s=(60.0, 120.0, 240.0, 320.0), jitter=(1.0, 1.1), least_s=60.0)

    async def poll(self) -> int:
        """Read back to what is known, then record messages and cursor; gives how many were new."""
        known = await self._cursor()
        if known is None:
            return await self._start()
        events: list[XEvent] = []
        newest = known
        trail = PageTrail(self.name)
        token: str | None = None
        while True:
            response = await self._page(token)
            found = self._events(response)
            fresh = [event for event in found if _number(event.message.id) > _number(known)]
            newest = max([newest, *(event.message.id for event in fresh)], key=_number)
            events += fresh
            token = trail.next_token(response)
            if token is None or len(fresh) < len(found):
                break
        if newest == known:
            return 0
        return await self._intake.record(
            events,
            account_id=self._account.id,
            source=self.source,
            checkpoint=self._checkpoint(newest),
        )

    async def _start(self) -> int:
        """First run: start at now. What was written before is nobody's question to this bot."""
        response = await self._page(None, max_results=_FEWEST)
        ids = [message.id for message in objects.read_messages(response)]
        newest = max(ids, key=_number, default="0")
        await self._store.progress.set_checkpoint(self._checkpoint(newest))
        _log.info("messages start at now", account=self._account.id)
        return 0

    async def _page(self, token: str | None, *, max_results: int = 100) -> Response:
        return await self._ask(
            requests.get_dm_events(pagination_token=token, max_results=max_results)
        )

    def _events(self, response: Response) -> list[DirectMessage]:
        value: dict[str, Any] = {"data": response.data or [], "includes": response.includes}
        hearing = activity.Hearing(
            source=self.source,
            account_id=self._account.id,
            usernames={self._account.id: self._account.username},
        )
        return [e for e in events_of(value, hearing) if isinstance(e, DirectMessage)]


def _number(message_id: str) -> int:
    return int(message_id) if message_id.isdigit() else 0
