"""Keep one author's flood from filling the memory, so that other authors' events are read, too.

Events beyond an author's share stay in the store until some of the author's events end. Nothing
overtakes within a lane: once one event stays in the store, the events behind it in its lane do so.
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
    """Count each owner's events (an author's, or a lane's) in memory and left in the store.

    Args:
        most: The most events of one owner in memory.
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
        """Return the number of events that were left in the store."""
        return len(self._left_seqs)

    def is_left(self, seq: int) -> bool:
        """Return True if that event was left in the store."""
        return seq in self._left_seqs

    def holds_back(self, account_id: str, lane: str) -> bool:
        """Return True if an event of that lane was left in the store."""
        return (account_id, lane) in self._left_lanes

    def admit(self, job: Job) -> bool:
        """Count a job as in memory and return True, or leave it in the store and return False."""
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
        """Count an event as ended; return True if others of its owner can be read now."""
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
        """Return an owner with room for more events, and the `seq` after which to read them."""
        for owner in self._with_room:
            return owner, self._left[owner][0] - 1
        return None

    def take_back(
        self, owner: str, page: Sequence[InboxItem], *, is_last: bool, room: int
    ) -> list[InboxItem]:
        """Return the items of a page to take into memory, `room` at most.

        `is_last` is True if no due events follow the page. Events that were left and are not in it
        are no longer due: they are read again when they are.
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
