"""Due times of many things in one heap. Source: performance F2."""

from __future__ import annotations

import heapq
import itertools
from typing import Generic, TypeVar

__all__ = ["DueHeap"]

T = TypeVar("T")


class DueHeap(Generic[T]):
    """Each thing stands in it once, at the time that it was set to last."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, T]] = []
        self._current: dict[T, int] = {}
        self._numbers = itertools.count()

    def set(self, thing: T, due_s: float | None) -> bool:
        """Set its time, None for never; True when it is the earliest of all now."""
        if due_s is None:
            self._current.pop(thing, None)
            return False
        number = next(self._numbers)
        self._current[thing] = number
        heapq.heappush(self._heap, (due_s, number, thing))
        if len(self._heap) > 64 + 4 * len(self._current):
            self._heap = [each for each in self._heap if self._current.get(each[2]) == each[1]]
            heapq.heapify(self._heap)
        return self._heap[0][1] == number

    def next_s(self) -> float | None:
        """The earliest time, None when nothing is due ever."""
        while self._heap and self._current.get(self._heap[0][2]) != self._heap[0][1]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop(self, now_s: float) -> T | None:
        """Take out one thing that is due, None when nothing is."""
        next_s = self.next_s()
        if next_s is None or next_s > now_s:
            return None
        _, _, thing = heapq.heappop(self._heap)
        del self._current[thing]
        return thing
