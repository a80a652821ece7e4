"""Keeps events in order within a lane, across many lanes, without tasks and without a clock.

A lane holds the events that must be handled one after the other (a conversation, a schedule).
Its first event is given out, the others wait until that one has left. Nothing here is durable:
whatever is in a lane stands in the store's inbox as well.

Events that were running when the process ended uncleanly are suspects: one of them may have ended
it. Few of them are out at a time, so that few that only stood by are suspected again when the
process ends once more. Source: docs/explanation/requirements.md, "Intake", *Poison*.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from botkit.model.events import DirectMessage, Event, PostEvent, UnknownEvent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botkit.model.records import InboxItem

__all__ = ["Job", "Lanes", "author_of"]


class Job(Struct, kw_only=True, gc=False, eq=False):
    """An event of the inbox that is held in memory.

    `event` is None until it is needed: what comes back from the store is decoded late.
    `blocked` means that it may not be handled yet, because a part of it is being looked up.
    """

    seq: int
    account_id: str
    key: str
    kind: str
    lane: str
    event: Event | None = None
    body: bytes = b""
    source: str = ""
    cause: str = ""
    attempts: int = 0
    unclean: int = 0
    run: int = 0
    recorded_at: datetime | None = None
    asked: bool = False
    """True if a person put the event back into the inbox."""
    blocked: bool = False
    marked: bool = False
    """Whether the store knows already that it is about to run."""
    owner: str = ""
    """The author, or the lane of an event that has none: owners take turns."""
    leads: bool = False
    """Whether it is the first of its lane."""
    due: datetime | None = None
    """The time at which an event from the store was due, or else was recorded."""

    @classmethod
    def from_item(cls, item: InboxItem) -> Job:
        """Return the job of an event that was read from the store."""
        return cls(
            seq=item.seq,
            account_id=item.account_id,
            key=item.key,
            kind=item.kind,
            lane=item.lane,
            body=item.body,
            source=item.source,
            cause=item.cause,
            attempts=item.attempts,
            unclean=item.unclean,
            run=item.run,
            recorded_at=item.recorded_at,
            asked=item.asked,
            due=item.not_before or item.at,
        )


_Lane = tuple[str, str]


class Lanes:
    """Jobs in their lanes, each lane in order of `seq`.

    Args:
        suspects: How many suspects may be out at a time; the others wait, in their order.
    """

    def __init__(self, suspects: int = 4) -> None:
        self._most_suspects = suspects
        self._suspects_out: set[int] = set()
        self._suspects: deque[Job] = deque()
        self._ready: deque[str] = deque()
        """The owners with a job that can be taken, in the order of their turns."""
        self._ready_of: dict[str, deque[Job]] = {}
        self._ready_count = 0
        self._behind: dict[_Lane, deque[Job] | None] = {}

    def __iter__(self) -> Iterator[_Lane]:
        """Iterate over the lanes that hold a job, as account and lane."""
        return iter(self._behind)

    def holds(self, account_id: str, lane: str) -> bool:
        """Return True if a job is in that lane."""
        return (account_id, lane) in self._behind

    @property
    def ready(self) -> int:
        """Return how many jobs can be taken now, at most: suspects may have to wait."""
        room = self._most_suspects - len(self._suspects_out)
        return self._ready_count + min(len(self._suspects), room)

    def put(self, job: Job) -> None:
        """Add a job: ready at once if its lane is empty, else in order behind the first."""
        lane = (job.account_id, job.lane)
        behind = self._behind
        if lane not in behind:
            behind[lane] = None
            self._lead(job)
            return
        queue = behind[lane]
        if queue is None:
            behind[lane] = deque((job,))
        elif not queue or queue[-1].seq < job.seq:
            queue.append(job)
        else:
            queue.insert(sum(other.seq < job.seq for other in queue), job)

    def take(self, limit: int) -> list[Job]:
        """Return up to `limit` jobs, each the first of its lane; pass each to `leave` afterwards.

        Owners take turns. Suspects that had to wait come first.
        """
        taken: list[Job] = []
        suspects, out = self._suspects, self._suspects_out
        while suspects and len(out) < self._most_suspects and len(taken) < limit:
            out.add(suspects[0].seq)
            taken.append(suspects.popleft())
        while self._ready and len(taken) < limit:
            job = self._next()
            if job.unclean:
                if len(out) >= self._most_suspects:
                    suspects.append(job)
                    continue
                out.add(job.seq)
            taken.append(job)
        return taken

    def leave(self, job: Job) -> None:
        """Remove a job that has ended or waits elsewhere; its lane goes on with the next one."""
        self._suspects_out.discard(job.seq)
        lane = (job.account_id, job.lane)
        queue = self._behind[lane]
        if not job.leads:
            assert queue is not None
            queue.remove(job)
        elif queue:
            job.leads = False
            self._lead(queue.popleft())
        else:
            job.leads = False
            del self._behind[lane]

    def unblock(self, job: Job) -> None:
        """Let a job be taken, once it is the first of its lane, whose missing parts were found."""
        job.blocked = False
        if job.leads:
            self._make_ready(job)

    def _lead(self, job: Job) -> None:
        job.leads = True
        if not job.blocked:
            self._make_ready(job)

    def _make_ready(self, job: Job) -> None:
        owner = job.owner or job.lane
        jobs = self._ready_of.get(owner)
        if jobs is None:
            self._ready_of[owner] = deque((job,))
            self._ready.append(owner)
        else:
            jobs.append(job)
        self._ready_count += 1

    def _next(self) -> Job:
        """Return the next job of the owner whose turn it is."""
        owner = self._ready.popleft()
        jobs = self._ready_of[owner]
        job = jobs.popleft()
        if jobs:
            self._ready.append(owner)
        else:
            del self._ready_of[owner]
        self._ready_count -= 1
        return job


def author_of(event: Event | None) -> str:
    """Return the id of the user who caused an event, "" if no user did."""
    match event:
        case PostEvent():
            return event.author.id
        case DirectMessage():
            return event.sender.id
        case UnknownEvent():
            return event.actor_id
        case _:
            return ""
