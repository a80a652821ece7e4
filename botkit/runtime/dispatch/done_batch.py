"""Stores the ends of events that changed nothing else, many at a time.

No caller waits for such an end, so it is stored in the next commit that is made for something
else, and has a commit of its own only if none comes soon.
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
        held: Returns how many events are held, those whose ends are gathered here included.
        stored: Called with each event whose end is stored.
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
        self._ends: list[tuple[Job, RunEnd]] = []
        self._commits = 0
        self._added = asyncio.Event()
        self._now = asyncio.Event()

    @property
    def busy(self) -> bool:
        """Whether an end is not stored yet."""
        return bool(self._ends or self._commits)

    def add(self, job: Job, finish: RunEnd) -> None:
        """Store this end with others, soon."""
        self._ends.append((job, finish))
        self._added.set()
        if len(self._ends) == _MOST:
            self._now.set()

    def hurry(self) -> None:
        """Stop waiting: another commit is about to be made, or nothing is worth waiting for."""
        self._now.set()

    def hurry_if_due(self) -> None:
        """Stop waiting if nothing else runs, or if there are enough ends for a commit."""
        if len(self._ends) >= min(self._held(), _MOST):
            self._now.set()

    @contextlib.contextmanager
    def join_commit(self) -> Generator[list[RunEnd]]:
        """Yield the waiting ends of runs, so that the commit inside the block stores them, too.

        If the block fails, they wait for the next commit.
        """
        ends, self._ends = self._ends, []
        self._commits += 1
        try:
            yield [finish for _, finish in ends]
        except BaseException:
            self._ends[:0] = ends
            self._added.set()
            raise
        finally:
            self._commits -= 1
        for job, _ in ends:
            self._stored(job)
        self._settled()

    async def run(self) -> None:
        """Store what found no other commit, until cancelled."""
        while True:
            self._added.clear()
            if not self._ends:
                await self._added.wait()
                continue
            await self._wait()
            if self._ends:
                with self.join_commit() as finishes:
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
