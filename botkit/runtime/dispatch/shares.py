"""Keeps one author's flood from filling the memory, so that others' events are read behind it.

What exceeds an author's share stays in the store, and is read as the author's events end. Nothing
overtakes within a lane: behind an event that was left, its whole lane is left.
"""

from __future__ import annotations

from bisect import insort
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from botkit.model.records import InboxItem
    from botkit.runtime.intake.lanes import Job

__all__ = ["Shares"]


class Shares:
    """Counts the events of each owner (an author, or a lane) that are held and that were left.

    Args:
        most: How many events of one owner are held at most.
        owner_of: Returns a job's owner.
    """

    def __init__(self, most: int, owner_of: Callable[[Job], str]) -> None:
        self._most = most
        self._owner_of = owner_of
        self._owners: dict[int, str] = {}
        self._held: dict[str, int] = {}
        self._left: dict[str, list[int]] = {}
        self._left_seqs: set[int] = set()
        self._left_lanes: dict[tuple[str, str], str] = {}
        self._with_room: set[str] = set()

    @property
    def left(self) -> int:
        """Return how many events were left in the store."""
        return len(self._left_seqs)

    def is_left(self, seq: int) -> bool:
        """Return True if that event was left in the store."""
        return seq in self._left_seqs

    def holds_back(self, account_id: str, lane: str) -> bool:
        """Return True if an event of that lane was left in the store."""
        return (account_id, lane) in self._left_lanes

    def admit(self, job: Job) -> bool:
        """Count a job as held and return True, or leave it in the store and return False."""
        lane = (job.account_id, job.lane)
        owner = self._left_lanes.get(lane) or self._owner_of(job)
        if not job.marked and (owner in self._left or self._held.get(owner, 0) >= self._most):
            insort(self._left.setdefault(owner, []), job.seq)
            self._left_seqs.add(job.seq)
            self._left_lanes[lane] = owner
            return False
        self._hold(job.seq, owner)
        return True

    def release(self, seq: int) -> bool:
        """Count an event as held no more; return True if others of its owner can be read now."""
        owner = self._owners.pop(seq, None)
        if owner is None:
            return False
        self._held[owner] -= 1
        if not self._held[owner]:
            del self._held[owner]
        if owner in self._left and self._held.get(owner, 0) <= self._most // 2:
            self._with_room.add(owner)
        return owner in self._with_room

    def next(self) -> tuple[str, int] | None:
        """Return an owner that has room again, and the number after which to read for it."""
        for owner in self._with_room:
            return owner, self._left[owner][0] - 1
        return None

    def take_back(
        self, owner: str, page: Sequence[InboxItem], *, is_last: bool, room: int
    ) -> list[InboxItem]:
        """Return the items of a page that are held from now on, `room` at most.

        `is_last` says that no due events follow the page. What was left and is not in it is not
        due any more: it is read again when it is.
        """
        room = min(room, self._most - self._held.get(owner, 0))
        here = set(self._left[owner])
        found = [item for item in page if item.seq in here]
        taken, rest = found[:room], found[room:]
        seen_to = inf if is_last else page[-1].seq
        if rest:
            seen_to = rest[0].seq - 1
        for item in taken:
            self._hold(item.seq, owner)
        self._left[owner] = [seq for seq in self._left[owner] if seq > seen_to]
        self._left_seqs -= {seq for seq in here if seq <= seen_to}
        if not self._left[owner]:
            del self._left[owner]
            lanes = [lane for lane, of in self._left_lanes.items() if of == owner]
            for lane in lanes:
                del self._left_lanes[lane]
        if owner not in self._left or self._held.get(owner, 0) >= self._most:
            self._with_room.discard(owner)
        return taken

    def _hold(self, seq: int, owner: str) -> None:
        self._owners[seq] = owner
        self._held[owner] = self._held.get(owner, 0) + 1
