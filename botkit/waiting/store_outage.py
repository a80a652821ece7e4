"""Wait for a store that cannot be used now, and log the outage once.

A component logs that it waits, and why; it logs this again only when the error changes. It logs
the end of the outage when the store accepts a call again.
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
"""The waits of a call that is repeated until it succeeds."""
EVERY_SECOND = Ladder(steps_s=(1.0,))
"""The wait of a loop that tries again each second."""


class StoreOutage:
    """Wait for the store on behalf of one component, and log the outage once.

    Args:
        log: The component's logger.
        waiting: A word for the log that names the waiting component ("events", "refresh").
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
        """Return the result of `call`; repeat it while the store cannot be used.

        Add `fields` to the log line of the outage.
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
        """Log why the store cannot be used, then wait the ladder's step after `failures`."""
        self.say(error, **fields)
        await self._clock.sleep(self._ladder.step_s(failures))

    def say(self, error: StateError, **fields: Any) -> None:
        """Log why the store cannot be used, unless the last line had that reason; do not wait."""
        why = str(error)
        if why != self._said:
            self._said = why
            self._log.error("store.unavailable", waiting=self._waiting, **fields, why=why)

    def end(self) -> None:
        """End the outage after a successful call; log that, if an outage had been logged."""
        if self._said:
            self._said = ""
            self._log.info("store.available_again", waiting=self._waiting)
