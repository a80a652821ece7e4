"""Events that were running when the process ended uncleanly: one of them may have ended it.

Few of them run at a time. So when the process ends once more, few that only stood by are
suspected again, however many handlers there may be.
Source: docs/explanation/requirements.md, "Intake", *Poison*.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from botkit.runtime.intake.lanes import Job

__all__ = ["PoisonThrottle"]


class PoisonThrottle:
    """Lets suspects go a few at a time, in their order; others pass at once."""

    def __init__(self, most: int) -> None:
        self._room = most
        self._waiting: deque[Job] = deque()

    @property
    def can_go(self) -> bool:
        """Whether one that waits may start now."""
        return bool(self._waiting) and self._room > 0

    def screen(self, jobs: Iterable[Job]) -> list[Job]:
        """Those of the jobs that may start now; each suspect of them must be given to `leave`."""
        return [job for job in jobs if not job.unclean or self._enter(job)]

    def let_go(self, limit: int) -> list[Job]:
        """Up to that many of those that waited."""
        jobs: list[Job] = []
        while self.can_go and len(jobs) < limit:
            self._room -= 1
            jobs.append(self._waiting.popleft())
        return jobs

    def leave(self, job: Job) -> None:
        """A job that was let go has ended, or was given up."""
        if job.unclean:
            self._room += 1

    def _enter(self, job: Job) -> bool:
        if self._room <= 0:
            self._waiting.append(job)
            return False
        self._room -= 1
        return True
