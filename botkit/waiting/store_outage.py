"""Waits for a store that cannot be used now.

A component says once that it waits, and with which error; it says so again only when the error is
another one. It says when the store takes its calls again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from botkit.errors import StoreUnavailable
from botkit.waiting.backoff import Ladder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from structlog.typing import FilteringBoundLogger

    from botkit.errors import StateError
    from botkit.ports import Clock

__all__ = ["EVERY_SECOND", "STORE_LADDER", "StoreOutage"]

T = TypeVar("T")

STORE_LADDER = Ladder(steps_s=(0.5, 1.0, 2.0, 5.0, 15.0))
"""For a call that must be carried out and is made again until it is."""
EVERY_SECOND = Ladder(steps_s=(1.0,))
"""For a loop that looks again."""


class StoreOutage:
    """One component's waits for its store.

    Args:
        log: The component's logger.
        waiting: The thing that waits, in words for the log ("events", "refresh").
        ladder: The waits between two tries.
    """

    def __init__(
        self,
        log: FilteringBoundLogger,
        waiting: str,
        *,
        clock: Clock,
        ladder: Ladder = STORE_LADDER,
    ) -> None:
        self._log = log
        self._waiting = waiting
        self._clock = clock
        self._ladder = ladder
        self._said = ""

    async def outlast(self, call: Callable[[], Awaitable[T]], **fields: Any) -> T:
        """Return the result of `call`; make it again for as long as the store cannot be used.

        The log shows `fields` beside the error.
        """
        failures = 0
        while True:
            try:
                result = await call()
            except StoreUnavailable as error:
                await self.wait(error, failures, **fields)
                failures += 1
            else:
                if self._said:
                    self.end()
                return result

    async def wait(self, error: StateError, failures: int = 0, **fields: Any) -> None:
        """Say why the store cannot be used, then wait the ladder's step after `failures`."""
        self.say(error, **fields)
        await self._clock.sleep(self._ladder.step_s(failures))

    def say(self, error: StateError, **fields: Any) -> None:
        """Say why the store cannot be used, unless that was said; the caller does the waiting."""
        why = str(error)
        if why != self._said:
            self._said = why
            self._log.error("store.unavailable", waiting=self._waiting, **fields, why=why)

    def end(self) -> None:
        """Note that the store took a call; say so if it had not before."""
        if self._said:
            self._said = ""
            self._log.info("store.available_again", waiting=self._waiting)
