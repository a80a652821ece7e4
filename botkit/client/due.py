"""Due times of many things in one heap: ten thousand logins need one task, not one each."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

__all__ = ["DueHeap"]

T = TypeVar("T")

_SPARE = 64


class DueHeap(Generic[T]):
    """Each thing stands in it once, at the time that it was set to last."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, T]] = []
        self._current: dict[T, int] = {}
        self._number = 0

    def set(self, thing: T, due_s: float | None) -> bool:
        """Set its time, None for never; True when it is the earliest of all now."""
        if due_s is None:
            self._current.pop(thing, None)
            return False
        self._number = number = self._number + 1
        self._current[thing] = number
        heap = self._heap
        heappush(heap, (due_s, number, thing))
        if len(heap) > _SPARE + 4 * len(self._current):
            self._heap = [each for each in heap if self._current.get(each[2]) == each[1]]
            heapify(self._heap)
        return self._heap[0][1] == number

    def next_s(self) -> float | None:
        """The earliest time, None when nothing is due ever."""
        heap, current = self._heap, self._current
        while heap:
            due_s, number, thing = heap[0]
            if current.get(thing) == number:
                return due_s
            heappop(heap)
        return None

    def pop(self, now_s: float) -> T | None:
        """Take out one thing that is due, None when nothing is."""
        heap, current = self._heap, self._current
        while heap:
            due_s, number, thing = heap[0]
            if current.get(thing) != number:
                heappop(heap)
            elif due_s > now_s:
                return None
            else:
                heappop(heap)
                del current[thing]
                return thing
        return None
