"""The mentions timeline, read at intervals: slow beside the stream, faster alone.

It is the net under the stream: self-serve streams have no backfill, and a reply to one of the
account's own replies comes by no activity event. An empty poll costs nothing.
Source: X API docs, "Timelines" and "Paginate" (`since_id` polling);
docs/explanation/requirements.md, "Intake".
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import structlog
from msgspec import Struct

from botkit.errors import BotkitError, Parked
from botkit.model.records import Checkpoint
from botkit.protocol import activity, objects, requests
from botkit.protocol.pagination import PageTrail

if TYPE_CHECKING:
    from datetime import timedelta

    from botkit.model.events import PostEvent
    from botkit.model.users import Account
    from botkit.ports import Clock, Entropy, Intake, Sender, Store
    from botkit.sources.reporting import Report

__all__ = ["MentionsPoll"]

_log = structlog.get_logger("botkit.mentions")

_SNOWFLAKE_SHIFT = 22
_OVERLAP_MS = 30_000
"""Ids of posts made at nearly the same time can appear late: each poll reads that much again."""
_FAILURE_S = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0)
_JITTER = (0.9, 1.1)


class _Cursor(Struct, frozen=True, kw_only=True):
    """`floor`: nothing up to it was ever for us. `newest`: everything up to it was read."""

    floor: str = ""
    newest: str = ""

    @property
    def since_id(self) -> str | None:
        """Where to read from: the newest less the overlap, never below the floor."""
        if not self.newest:
            return self.floor or None
        overlapped = int(self.newest) - (_OVERLAP_MS << _SNOWFLAKE_SHIFT)
        return str(max(overlapped, int(self.floor or 0))) if overlapped > 0 else self.floor or None


class MentionsPoll:
    """Reads one account's mentions from a durable, contiguous cursor.

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

    @property
    def name(self) -> str:
        """`mentions/<username>`."""
        return f"mentions/{self._account.username}"

    def poke(self) -> None:
        """Poll now: the stream has just come back."""
        self._poked.set()

    async def run(self) -> None:
        """Poll until cancelled; a failed poll leaves the cursor where it was."""
        failures = 0
        while True:
            self._poked.clear()
            try:
                new = await self.poll()
            except (BotkitError, Parked) as problem:
                wait_s = self._after_failure(problem, failures)
                failures += 1
            else:
                failures = 0
                wait_s = self._interval.total_seconds() * self._entropy.uniform(*_JITTER)
                self._report(self.name, "live", self._why, {"new": str(new)})
            try:
                async with self._clock.timeout(wait_s):
                    await self._poked.wait()
            except TimeoutError:
                continue

    async def poll(self) -> int:
        """Read to the end, then record events and cursor together; gives how many were new."""
        cursor = await self._cursor()
        if cursor is None:
            return await self._start()
        events: list[PostEvent] = []
        newest = cursor.newest or cursor.floor
        trail = PageTrail(self.name)
        token: str | None = None
        while True:
            request = requests.get_mentions(
                self._account.id, since_id=cursor.since_id, pagination_token=token
            )
            response = await self._sender.send(request, account_id=self._account.id)
            page = objects.read_posts(response)
            newest = max(newest, page.newest_id or "", key=lambda post_id: int(post_id or 0))
            events.extend(
                activity.events_of_page(
                    page,
                    account_id=self._account.id,
                    source="mentions",
                    username=self._account.username,
                )
            )
            token = trail.next_token(response)
            if token is None:
                break
        events.sort(key=lambda event: int(event.post.id))
        moved = _Cursor(floor=cursor.floor, newest=newest)
        if not events and moved == cursor:
            return 0
        return await self._intake.record(
            events,
            account_id=self._account.id,
            source="mentions",
            checkpoint=self._checkpoint(moved),
        )

    async def _start(self) -> int:
        """First run: start at now. What was there before is nobody's question to this bot."""
        response = await self._sender.send(
            requests.get_mentions(self._account.id, max_results=5), account_id=self._account.id
        )
        newest = objects.read_posts(response).newest_id or ""
        cursor = _Cursor(floor=newest, newest=newest)
        await self._store.progress.set_checkpoint(self._checkpoint(cursor))
        _log.info("mentions start at now", account=self._account.id, after=newest or "the first")
        return 0

    async def _cursor(self) -> _Cursor | None:
        text = await self._store.progress.checkpoint("mentions", self._account.id)
        return None if text is None else msgspec.json.decode(text, type=_Cursor)

    def _checkpoint(self, cursor: _Cursor) -> Checkpoint:
        return Checkpoint(
            source="mentions",
            account_id=self._account.id,
            cursor=msgspec.json.encode(cursor).decode(),
        )

    def _after_failure(self, problem: BaseException, failures: int) -> float:
        """Say what is wrong; gives the seconds to wait."""
        wait_s = _FAILURE_S[min(failures, len(_FAILURE_S) - 1)]
        if isinstance(problem, Parked):
            detail = f"waits for {problem.waiting_for}"
            if problem.until is not None:
                wait_s = max((problem.until - self._clock.now()).total_seconds(), 1.0)
        else:
            detail = str(problem)
        self._report(self.name, "waiting", detail)
        return wait_s * self._entropy.uniform(*_JITTER)
