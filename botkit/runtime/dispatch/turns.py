"""Lets handlers that hold the same piece of state run one after the other."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Place", "Turns"]

Place: TypeAlias = tuple[str, str]
"""The scope and the key of one piece of state."""


class Turns:
    """One queue for each piece of state that is held, in the order of asking.

    Everyone takes places in the same order, so that no two wait for each other.
    """

    def __init__(self) -> None:
        self._waiting: dict[Place, deque[asyncio.Future[None]]] = {}

    async def take(self, places: Iterable[Place]) -> None:
        """Wait until all of these are free, and hold them until `leave`."""
        taken: list[Place] = []
        try:
            for place in places:
                await self._enter(place)
                taken.append(place)
        except BaseException:
            self.leave(taken)
            raise

    def leave(self, places: Iterable[Place]) -> None:
        """Give each of these to the one that has waited for it longest."""
        for place in places:
            self._pass_on(place)

    async def _enter(self, place: Place) -> None:
        queue = self._waiting.get(place)
        if queue is None:
            self._waiting[place] = deque()
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except BaseException:
            if turn in queue:
                queue.remove(turn)
            elif not turn.cancelled():  # it came in the moment of the cancellation
                self._pass_on(place)
            raise

    def _pass_on(self, place: Place) -> None:
        queue = self._waiting[place]
        while queue:
            turn = queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._waiting[place]
