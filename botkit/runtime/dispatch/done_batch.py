"""The ends of events that changed nothing else: they ride in a commit that is made anyway.

Nobody waits for such a done mark, so it need not have a commit of its own while others are made.
Source: docs/explanation/requirements.md, "Intake"; row A2 of `make bench`.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from botkit.waiting.events import event_or_timeout

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Sequence

    from botkit.model.records import RunEnd
    from botkit.ports import Clock
    from botkit.runtime.intake.lanes import Job

__all__ = ["DoneBatch"]

_LONGEST_S = 0.01
"""How long an end waits for another commit."""
_MOST = 256
_TURNS = 2
"""So many turns of the loop a source that has more in hand gets to take the ends along."""


class DoneBatch:
    """Gathers ends, and stores them many at a time.

    Args:
        commit: Stores ends in a commit of their own; waits as long as the store cannot be used.
        held: How many events are held, those that ride included.
        stored: Told of each event whose end is stored.
        settled: Called when ends have been stored.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        commit: Callable[[Sequence[RunEnd]], Awaitable[None]],
        held: Callable[[], int],
        stored: Callable[[Job], None],
        settled: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._commit = commit
        self._held = held
        self._stored = stored
        self._settled = settled
        self._riding: list[tuple[Job, RunEnd]] = []
        self._commits = 0
        self._added = asyncio.Event()
        self._now = asyncio.Event()

    @property
    def busy(self) -> bool:
        """Whether an end is not stored yet."""
        return bool(self._riding or self._commits)

    def add(self, job: Job, finish: RunEnd) -> None:
        """Store this end with others, soon."""
        self._riding.append((job, finish))
        self._added.set()
        if len(self._riding) == _MOST:
            self._now.set()

    def hurry(self) -> None:
        """Another commit is about to be made, or nothing is worth waiting for."""
        self._now.set()

    def hurry_if_due(self) -> None:
        """Do not wait when nothing else runs, nor for more than belong in a commit."""
        if len(self._riding) >= min(self._held(), _MOST):
            self._now.set()

    @contextlib.contextmanager
    def along(self) -> Generator[list[RunEnd]]:
        """The ends that ride in the commit made in this block; it fails for them as well."""
        riding, self._riding = self._riding, []
        self._commits += 1
        try:
            yield [finish for _, finish in riding]
        except BaseException:
            self._riding[:0] = riding
            self._added.set()
            raise
        finally:
            self._commits -= 1
        for job, _ in riding:
            self._stored(job)
        self._settled()

    async def run(self) -> None:
        """Store what found no other commit, until cancelled."""
        while True:
            self._added.clear()
            if not self._riding:
                await self._added.wait()
                continue
            await self._wait()
            if self._riding:
                with self.along() as finishes:
                    await self._commit(finishes)

    async def _wait(self) -> None:
        """Wait for another commit: a moment at most, and hardly when nothing else runs."""
        self._now.clear()
        self.hurry_if_due()
        if self._now.is_set():
            for _ in range(_TURNS):
                await self._clock.sleep(0)
            return
        await event_or_timeout(self._now, _LONGEST_S, clock=self._clock)
