"""Polls direct messages, beside the stream or alone.

X gives no `since_id` here and few reads, so each poll pages back from the newest message to one
that is known. Source: X API docs, "Direct Messages lookup": 30 days back, 15 reads in 15 minutes.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import structlog

from botkit.errors import (
    BotkitError,
    MalformedAnswer,
    Parked,
    RateLimited,
    ServerError,
    StateError,
    TransportError,
)
from botkit.model.events import DirectMessage
from botkit.model.hearing import GapRow
from botkit.protocol.api import objects, requests
from botkit.protocol.api.ids import is_id
from botkit.protocol.api.pagination import PageTrail
from botkit.protocol.events import activity
from botkit.protocol.events.envelopes import events_of
from botkit.sources.gaps import REACH
from botkit.sources.polls.polling import Poll, PollPace
from botkit.waiting.backoff import Ladder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from botkit.model.hearing import Checkpoint
    from botkit.model.messages import Message
    from botkit.protocol.api.responses import Response

__all__ = ["MessagesPoll", "SentMessages"]

_log = structlog.get_logger(__name__)

_FEWEST = 1
_REACH = timedelta(days=30)
_PASSING = (Parked, TransportError, ServerError, RateLimited, StateError)


class SentMessages(Protocol):
    """Keeps the messages that an account sent without this store."""

    def expect(self, account_id: str) -> None:
        """Let the account's writes wait until `show` was called."""
        ...

    async def show(self, account_id: str, sent: Sequence[Message] | None) -> None:
        """Take the account's own messages since the last run; None if X refuses to show them."""
        ...


class MessagesPoll(Poll):
    """Reads one account's direct messages from a durable cursor: the newest recorded id.

    X allows 15 reads in 15 minutes: `poke` makes it poll no faster than that.
    """

    source: str = "messages"
    covers: tuple[str, ...] = ("messages",)
    pace: ClassVar[PollPace] = PollPace(
        failures=Ladder.doubling(60.0, cap_s=320.0), jitter=(1.0, 1.1), least_s=60.0
    )

    _sent: SentMessages | None = None

    def show_to(self, sent: SentMessages) -> None:
        """Show the account's own messages once, before what they may have answered is recorded."""
        sent.expect(self._account.id)
        self._sent = sent

    async def poll(self) -> int:
        """Read back to what is known, record messages and cursor; return how many were new."""
        try:
            return await self._read()
        except _PASSING:
            raise
        except BotkitError:
            if self._sent is not None:
                await self._sent.show(self._account.id, None)
            raise

    async def _read(self) -> int:
        last = await self._begin()
        if last is None:
            return await self._start()
        known, _, floor = last.cursor.partition(" ")
        since = max(self._since(_number(known), last), _number(floor or known))
        read_at: datetime | None = None
        events: list[DirectMessage] = []
        newest = known
        trail = PageTrail(self.name)
        token: str | None = None
        while True:
            response = await self._page(token)
            read_at = read_at or self._time_of(response)
            found = self._events(response)
            ids = [_number(event.message.id) for event in found]
            newest = max([newest, *(event.message.id for event in found)], key=_number)
            events += [event for event, number in zip(found, ids, strict=True) if number > since]
            try:
                token = trail.next_token(response)
            except MalformedAnswer:
                await self._show(events)
                await self._keep(events)
                raise
            if token is None or min(ids, default=since + 1) <= since:
                break
        await self._open_gap_out_of_reach(last, read_at)
        await self._show(events)
        return await self._move(events, last, f"{newest} {floor or known}", read_at)

    async def _open_gap_out_of_reach(self, last: Checkpoint, read_at: datetime) -> None:
        """Record a gap for messages since the last poll that are too old for X to show."""
        reach = read_at - _REACH
        if last.read_to is not None and last.read_to < reach:
            await self._gaps.open(
                GapRow(
                    source=self.source,
                    account_id=self._account.id,
                    since=last.read_to,
                    until=reach,
                    cause=REACH,
                    tried=self.source,
                    reason=f"X shows direct messages of the last {_REACH.days} days",
                )
            )

    async def _start(self) -> int:
        """Start at now in the first run: older messages were not meant for this bot."""
        response = await self._page(None, max_results=_FEWEST)
        ids = [message.id for message in objects.read_messages(response)]
        newest = max(ids, key=_number, default="0")
        await self._start_at(f"{newest} {newest}", response)
        await self._show(())
        _log.info("source.started_at_now", source="messages", account=self._account.id)
        return 0

    async def _show(self, events: Sequence[DirectMessage]) -> None:
        if self._sent is not None:
            mine = [event.message for event in events if event.sent_by_me]
            await self._sent.show(self._account.id, mine)
            self._sent = None

    async def _page(self, token: str | None, *, max_results: int = 100) -> Response:
        request = requests.get_dm_events(pagination_token=token, max_results=max_results)
        return await self._ask(request, further=token is not None)

    def _events(self, response: Response) -> list[DirectMessage]:
        value: dict[str, Any] = {"data": response.data or [], "includes": response.includes}
        hearing = activity.Hearing(
            source=self.source,
            account_id=self._account.id,
            usernames={self._account.id: self._account.username},
        )
        return [e for e in events_of(value, hearing) if isinstance(e, DirectMessage)]


def _number(message_id: str) -> int:
    return int(message_id) if is_id(message_id) else 0
