"""The loop of a poll: its pace, its pauses after failures, its status reports.

The classes that derive from it read the pages and move the cursor.
"""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

import structlog
from msgspec import Struct

from botkit.errors import BotkitError, MalformedAnswer, Parked, ServerError, TransportError
from botkit.model.hearing import Checkpoint, GapRow
from botkit.protocol.api.ids import snowflake_at
from botkit.sources.hearing_limit import without_limit
from botkit.telemetry.times import rfc3339
from botkit.waiting.backoff import JITTER, Ladder
from botkit.waiting.events import event_or_timeout, seconds_until
from botkit.waiting.retry import retry
from botkit.waiting.status_codes import code_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from botkit.model.events import XEvent
    from botkit.model.users import Account
    from botkit.ports import Clock, Entropy, Intake, Sender, Store
    from botkit.protocol.api.requests import Request
    from botkit.protocol.api.responses import Response
    from botkit.sources.gaps import Gaps
    from botkit.sources.hearing_limit import MayHear
    from botkit.sources.reporting import StatusReporter
    from botkit.sources.search import RecentSearch

__all__ = ["Poll", "PollPace", "Unheard"]


_log = structlog.get_logger(__name__)

_SOON_S = 5.0
_STORE_EVERY = timedelta(seconds=60)
_FURTHER = Ladder(steps_s=(0.5, 2.0), jitter=JITTER)
_LATE_S = 30.0
"""A poll that is later than this counts as no longer hearing."""


class PollPace(Struct, frozen=True, kw_only=True):
    """How a poll waits.

    Attributes:
        failures: The waits after failed polls, before jitter.
        jitter: Each wait, also that after a poll which succeeded, is multiplied by a random number
            between these.
        least_s: The least time between the starts of two polls.
    """

    failures: Ladder
    jitter: tuple[float, float]
    least_s: float = 0.0


class Unheard(Struct, frozen=True, kw_only=True):
    """How a poll beside a stream reads while the stream does not bring its events.

    Attributes:
        interval: The time between two polls.
        why: The reason for this interval, for the status report.
        is_now: Returns True while the stream does not bring them.
    """

    interval: timedelta
    why: str
    is_now: Callable[[], bool]


class Poll(abc.ABC):
    """Read one kind of event of one account from a durable cursor, again and again.

    X can show an id some time after it was made. So a poll begins at the newest id that was read,
    or at the time up to which the previous poll has surely read everything (its start minus
    `late`), if that is older. Without new events, no event is read twice.

    Args:
        interval: The time between two polls; jitter is added.
        unheard: The pace in place of `interval` and `why` while no stream brings the events.
        late: The longest time that X takes to show a new id.
        search: Reads after each poll the events that no poll can read any more.
        may_hear: Awaited before each poll; raises `Parked` while the account may not hear more.
        why: The reason for this interval, for the status report.

    Attributes:
        source: The name of the kind of source, in the store.
    """

    source: str
    covers: tuple[str, ...]
    """The sources whose gaps a poll closes by reading past them, and tells if it cannot."""
    pace: ClassVar[PollPace]

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
        late: timedelta,
        report: StatusReporter,
        gaps: Gaps,
        search: RecentSearch | None = None,
        may_hear: MayHear = without_limit,
        why: str = "",
        unheard: Unheard | None = None,
    ) -> None:
        self._account = account
        self._sender = sender
        self._intake = intake
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._interval = interval
        self._late = late
        self._report = report
        self._gaps = gaps
        self._search = search
        self._may_hear = may_hear
        self.why = why
        self._unheard = unheard
        self._poked = asyncio.Event()
        self._read_to: datetime | None = None
        self._began = clock.now()
        self._started = False
        self._silent = False
        gaps.leave_to_poll(account.id, self.covers)

    @abc.abstractmethod
    async def poll(self) -> int:
        """Read to the end, then record events and cursor together; return how many were new."""

    @property
    def name(self) -> str:
        """Return `<source>/<username>`."""
        return f"{self.source}/{self._account.username}"

    def poke(self) -> None:
        """Poll as soon as the pace allows, because the stream has just come back."""
        self._poked.set()

    async def run(self) -> None:
        """Poll until cancelled; a failed poll leaves the cursor where it was."""
        failures = 0
        while True:
            self._poked.clear()
            started_s = self._clock.monotonic()
            try:
                await self._open_gap_since_the_last_run()
                await self._check_budget()
                new = await self.poll()
                more = self._search is not None and await self._search.fill()
                await self._gaps.tell(self._account, self.covers)
            except (BotkitError, Parked) as problem:
                wait_s = self._after_failure(problem, failures)
                failures += 1
                await self._gaps.tell_after_failure(self._account, self.covers)
            else:
                failures = 0
                wait_s = self._after_success(new, more=more)
            await self._rest(wait_s * self._entropy.uniform(*self.pace.jitter), started_s)

    async def _begin(self) -> Checkpoint | None:
        """Begin to read; return the stored checkpoint, None at the first start."""
        self._began = self._clock.now()
        return await self._store.progress.checkpoint(self.source, self._account.id)

    async def _open_gap_since_the_last_run(self) -> None:
        """Record, once, the gap since the last run, however that run ended."""
        last = None if self._started else await self._begin()
        if last is not None and last.read_to is not None:
            now = max(self._clock.now(), last.read_to)
            await self._gaps.open(
                GapRow(
                    source=self.source,
                    account_id=self._account.id,
                    since=last.read_to,
                    until=now,
                    cause="stopped",
                    reason="no bot ran",
                )
            )
        self._started = True

    async def _check_budget(self) -> None:
        """Raise `Parked` while the account may not hear more; open a gap for that time."""
        try:
            await self._may_hear(self._account.id)
        except Parked as spent:
            if not self._silent:
                until = rfc3339(spent.until or self._clock.now())
                _log.warning("hearing.stopped", source=self.name, until=until)
                await self._gaps.open(
                    GapRow(
                        source=self.source,
                        account_id=self._account.id,
                        since=self._read_to or self._clock.now() - self._late,
                        cause="budget",
                        reason="the budget for hearing was spent",
                    )
                )
            self._silent = True
            raise
        if self._silent:
            self._silent = False
            now = self._clock.now()
            await self._gaps.heard_again([self._account.id], source=self.source, now=now)

    def _since(self, newest: int, last: Checkpoint) -> int:
        """Return the id after which a poll reads, if `newest` is the newest that was read."""
        read_to = self._read_to or last.read_to
        return newest if read_to is None else min(newest, snowflake_at(read_to) - 1)

    def _time_of(self, first_page: Response) -> datetime:
        """Return the time by X's clock at which a read began."""
        return first_page.date or self._clock.now()

    async def _start_at(self, cursor: str, first_page: Response) -> None:
        """Store where the first run starts."""
        here = self._checkpoint(cursor, self._time_of(first_page) - self._late)
        await self._store.progress.set_checkpoint(here)
        self._report.heard(self.name, self._time_of(first_page))

    async def _move(
        self, events: Sequence[XEvent], last: Checkpoint, cursor: str, read_at: datetime
    ) -> int:
        """Store events and the checkpoint in one transaction; return the number of new events.

        A poll that found no events stores its checkpoint only now and then.
        """
        read_to = read_at - self._late
        new = 0
        stored = last.read_to is not None and abs(read_to - last.read_to) < _STORE_EVERY
        if events or cursor != last.cursor or not stored:
            new = await self._intake.record(
                events,
                account_id=self._account.id,
                source=self.source,
                checkpoint=self._checkpoint(cursor, read_to),
            )
        self._read_to = read_to
        self._report.heard(self.name, read_at)
        await self._gaps.covered(
            self._account.id, sources=self.covers, until=self._began, how=f"read by {self.name}"
        )
        return new

    async def _keep(self, events: Sequence[XEvent]) -> None:
        """Record the events read before a bad page; the cursor stays where it was."""
        await self._intake.record(events, account_id=self._account.id, source=self.source)

    def _checkpoint(self, cursor: str, read_to: datetime) -> Checkpoint:
        return Checkpoint(
            source=self.source, account_id=self._account.id, cursor=cursor, read_to=read_to
        )

    async def _ask(self, request: Request, *, further: bool = False) -> Response:
        """Read one page; retry a further one: without it those before were read in vain."""
        if not further:
            return await self._sender.send(request, account_id=self._account.id)
        return await retry(
            lambda: self._sender.send(request, account_id=self._account.id),
            *(TransportError, ServerError, MalformedAnswer),
            ladder=_FURTHER,
            clock=self._clock,
            entropy=self._entropy,
        )

    async def _rest(self, wait_s: float, started_s: float) -> None:
        """Wait until the time is over or `poke` is called, but at least `least_s`."""
        await event_or_timeout(self._poked, wait_s, clock=self._clock)
        too_early_s = started_s + self.pace.least_s - self._clock.monotonic()
        if too_early_s > 0:
            await self._clock.sleep(too_early_s)

    def _after_success(self, new: int, *, more: bool) -> float:
        """Report how the poll reads now; return the seconds to wait."""
        interval, why = self._interval, self.why
        if self._unheard is not None and self._unheard.is_now():
            interval, why = self._unheard.interval, self._unheard.why
        wait_s = _SOON_S if more else interval.total_seconds()
        good_for_s = wait_s * self.pace.jitter[1] + _LATE_S
        self._report(self.name, "live", why, {"new": str(new)}, good_for_s=good_for_s)
        return wait_s

    def _after_failure(self, problem: BotkitError | Parked, failures: int) -> float:
        """Report what is wrong; return the seconds to wait."""
        wait_s = self.pace.failures.step_s(failures)
        detail = str(problem)
        if isinstance(problem, Parked):
            detail = f"waits for {problem.waiting_for}"
            if problem.until is not None:
                if self._silent:
                    detail = f"the budget for hearing is spent until {rfc3339(problem.until)}"
                wait_s = seconds_until(problem.until, clock=self._clock, least_s=1.0)
        self._report(self.name, "waiting", detail, {"code": str(code_of(problem))})
        return wait_s
