"""A timeline that is read at intervals: the loop, its pace, what it says of itself.

What is read, and how far, is the business of who derives from it.
"""

from __future__ import annotations

import abc
import asyncio
from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct

from botkit.errors import BotkitError, MalformedAnswer, Parked, ServerError, TransportError
from botkit.model.records import Checkpoint

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from botkit.model.events import XEvent
    from botkit.model.users import Account
    from botkit.ports import Clock, Entropy, Intake, Sender, Store
    from botkit.protocol.api.requests import Request
    from botkit.protocol.api.responses import Response
    from botkit.sources.reporting import StatusReporter

__all__ = ["Poll", "PollPace"]


_PAUSES_S = (0.5, 2.0)


class PollPace(Struct, frozen=True, kw_only=True):
    """How a poll waits.

    Attributes:
        failures_s: After the first failed poll, the second, and so on; the last one stays.
        jitter: Each wait is multiplied by something between these.
        least_s: Between the starts of two polls, whoever asks for one.
    """

    failures_s: tuple[float, ...]
    jitter: tuple[float, float]
    least_s: float = 0.0


class Poll(abc.ABC):
    """Reads something of one account from a durable cursor, again and again.

    Args:
        interval: Between two polls; jitter is added.
        why: Said in the status: why it polls at this pace.
    """

    source: ClassVar[str]
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
        report: StatusReporter,
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

    @abc.abstractmethod
    async def poll(self) -> int:
        """Read to the end, then record events and cursor together; gives how many were new."""

    @property
    def name(self) -> str:
        """`<source>/<username>`."""
        return f"{self.source}/{self._account.username}"

    def poke(self) -> None:
        """Poll as soon as the pace allows it: the stream has just come back."""
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
            await self._rest(wait_s * self._entropy.uniform(*self.pace.jitter), started_s)

    async def _cursor(self) -> str | None:
        return await self._store.progress.checkpoint(self.source, self._account.id)

    async def _keep(self, events: Sequence[XEvent]) -> None:
        """Record what came before pages that lead nowhere; the cursor stays where it was."""
        await self._intake.record(events, account_id=self._account.id, source=self.source)

    def _checkpoint(self, cursor: str) -> Checkpoint:
        return Checkpoint(source=self.source, account_id=self._account.id, cursor=cursor)

    async def _ask(self, request: Request, *, further: bool = False) -> Response:
        """One page. A further one is tried again: without it those before were read in vain."""
        for pause_s in _PAUSES_S if further else ():
            try:
                return await self._sender.send(request, account_id=self._account.id)
            except (TransportError, ServerError, MalformedAnswer):
                await self._clock.sleep(pause_s * self._entropy.uniform(0.75, 1.25))
        return await self._sender.send(request, account_id=self._account.id)

    async def _rest(self, wait_s: float, started_s: float) -> None:
        """Wait; a poke shortens it, but never below the least."""
        try:
            async with self._clock.timeout(wait_s):
                await self._poked.wait()
        except TimeoutError:
            return
        too_early_s = started_s + self.pace.least_s - self._clock.monotonic()
        if too_early_s > 0:
            await self._clock.sleep(too_early_s)

    def _after_failure(self, problem: BaseException, failures: int) -> float:
        """Say what is wrong; gives the seconds to wait."""
        pauses_s = self.pace.failures_s
        wait_s = pauses_s[min(failures, len(pauses_s) - 1)]
        detail = str(problem)
        if isinstance(problem, Parked):
            detail = f"waits for {problem.waiting_for}"
            if problem.until is not None:
                wait_s = max((problem.until - self._clock.now()).total_seconds(), 1.0)
        self._report(self.name, "waiting", detail)
        return wait_s
