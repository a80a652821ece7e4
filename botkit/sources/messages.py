"""Direct messages, read at intervals: the net under the stream, or alone where there is none.

X gives no `since_id` here and few reads, so each poll pages back from the newest message to one
that is known. Source: X API docs, "Direct Messages lookup": 30 days back, 15 reads in 15 minutes.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from botkit.errors import BotkitError, Parked
from botkit.model.events import DirectMessage
from botkit.model.records import Checkpoint
from botkit.protocol import activity, objects, requests
from botkit.protocol.envelopes import events_of
from botkit.protocol.pagination import PageTrail

if TYPE_CHECKING:
    from datetime import timedelta

    from botkit.model.events import XEvent
    from botkit.model.users import Account
    from botkit.ports import Clock, Entropy, Intake, Sender, Store
    from botkit.protocol.responses import Response
    from botkit.sources.reporting import Report

__all__ = ["MessagesPoll"]

_log = structlog.get_logger("botkit.messages")

_SOURCE = "messages"
_FEWEST = 1
_LEAST_S = 60.0
"""Between two polls: X allows 15 reads in 15 minutes."""
_FAILURE_S = (60.0, 120.0, 240.0, 320.0)
_JITTER = (1.0, 1.1)


class MessagesPoll:
    """Reads one account's direct messages from a durable cursor: the newest id that was recorded.

    Args:
        interval: Between two polls; jitter is added.
        why: Said in the status: why it polls at this pace.
    """

    def __init__(
        self,
        account: Account,
        *,
        sender: Sender,
        intake: Intake,
        store: Store,
        clock: Clock,
        entropy: Entropy,
        interval: timedelta,
        report: Report,
        why: str = "",
    ) -> None:
        self._account = account
        self._sender = sender
        self._intake = intake
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._interval = interval
        self._report = report
        self._why = why
        self._poked = asyncio.Event()
        self._hearing = activity.Hearing(
            source=_SOURCE, account_id=account.id, usernames={account.id: account.username}
        )

    @property
    def name(self) -> str:
        """`messages/<username>`."""
        return f"{_SOURCE}/{self._account.username}"

    def poke(self) -> None:
        """Poll as soon as X allows it: the stream has just come back."""
        self._poked.set()

    async def run(self) -> None:
        """Poll until cancelled; a failed poll leaves the cursor where it was."""
        failures = 0
        while True:
            self._poked.clear()
            started_s = self._clock.monotonic()
            try:
                new = await self.poll()
            except (BotkitError, Parked) as problem:
                wait_s = self._after_failure(problem, failures)
                failures += 1
            else:
                failures = 0
                wait_s = self._interval.total_seconds()
                self._report(self.name, "live", self._why, {"new": str(new)})
            await self._rest(wait_s * self._entropy.uniform(*_JITTER), started_s)

    async def poll(self) -> int:
        """Read back to what is known, then record messages and cursor; gives how many were new."""
        known = await self._store.progress.checkpoint(_SOURCE, self._account.id)
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
        checkpoint = Checkpoint(source=_SOURCE, account_id=self._account.id, cursor=newest)
        return await self._intake.record(
            events, account_id=self._account.id, source=_SOURCE, checkpoint=checkpoint
        )

    async def _start(self) -> int:
        """First run: start at now. What was written before is nobody's question to this bot."""
        response = await self._page(None, max_results=_FEWEST)
        ids = [message.id for message in objects.read_messages(response)]
        newest = max(ids, key=_number, default="0")
        await self._store.progress.set_checkpoint(
            Checkpoint(source=_SOURCE, account_id=self._account.id, cursor=newest)
        )
        _log.info("messages start at now", account=self._account.id)
        return 0

    async def _page(self, token: str | None, *, max_results: int = 100) -> Response:
        request = requests.get_dm_events(pagination_token=token, max_results=max_results)
        return await self._sender.send(request, account_id=self._account.id)

    def _events(self, response: Response) -> list[DirectMessage]:
        value: dict[str, Any] = {"data": response.data or [], "includes": response.includes}
        return [e for e in events_of(value, self._hearing) if isinstance(e, DirectMessage)]

    async def _rest(self, wait_s: float, started_s: float) -> None:
        """Wait; a poke shortens it, but never below what X allows."""
        try:
            async with self._clock.timeout(wait_s):
                await self._poked.wait()
        except TimeoutError:
            return
        await self._clock.sleep(started_s + _LEAST_S - self._clock.monotonic())

    def _after_failure(self, problem: BaseException, failures: int) -> float:
        """Say what is wrong; gives the seconds to wait."""
        wait_s = _FAILURE_S[min(failures, len(_FAILURE_S) - 1)]
        detail = str(problem)
        if isinstance(problem, Parked):
            detail = f"waits for {problem.waiting_for}"
            if problem.until is not None:
                wait_s = max((problem.until - self._clock.now()).total_seconds(), 1.0)
        self._report(self.name, "waiting", detail)
        return wait_s


def _number(message_id: str) -> int:
    return int(message_id) if message_id.isdigit() else 0
