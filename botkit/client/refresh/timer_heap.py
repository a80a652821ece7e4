"""Keep due times in a heap, so that ten thousand logins need one timer task in all."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

__all__ = ["TimerHeap"]

T = TypeVar("T")

_SPARE = 64


class TimerHeap(Generic[T]):
    """Hold for each thing the due time that was set last."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, T]] = []
        self._current: dict[T, int] = {}
        self._number = 0
        self._most = _SPARE
        """The number of entries above which `set` removes those that a later one replaced."""

    def set(self, thing: T, due_s: float | None) -> bool:
        """Set the due time of a thing, None for never; return True if it is now the earliest."""
        if due_s is None:
            self._current.pop(thing, None)
            return False
        self._number = number = self._number + 1
        self._current[thing] = number
        heap = self._heap
        heappush(heap, (due_s, number, thing))
        if len(heap) > self._most:
            self._tidy()
        return self._heap[0][1] == number

    def _tidy(self) -> None:
        current = self._current
        self._heap = [each for each in self._heap if current.get(each[2]) == each[1]]
        heapify(self._heap)
        self._most = _SPARE + 4 * len(current)

    def next_s(self) -> float | None:
        """Return the earliest due time, None if there is none."""
        heap, current = self._heap, self._current
        while heap:
            due_s, number, thing = heap[0]
            if current.get(thing) == number:
                return due_s
            heappop(heap)
        return None

    def take(self, now_s: float, most: int) -> list[T]:
        """Remove and return at most `most` things that are due, the earliest first."""
        heap, current = self._heap, self._current
        taken: list[T] = []
        while heap and len(taken) < most:
            due_s, number, thing = heap[0]
            if current.get(thing) != number:
                heappop(heap)
            elif due_s > now_s:
                break
            else:
                heappop(heap)
                del current[thing]
                taken.append(thing)
        return taken
