"""What every login attempt holds to: it ends once, and within ten minutes.

Source: docs/explanation/requirements.md, C2.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from botkit.errors import LoginExpired, StateMismatch

if TYPE_CHECKING:
    from botkit.ports import Clock

__all__ = ["SingleUse"]

_LIFE = timedelta(minutes=10)


class SingleUse:
    """The one use of an attempt, whose time begins when it is made."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._used = False
        self._ends_s = clock.monotonic() + _LIFE.total_seconds()

    @property
    def is_over(self) -> bool:
        """Whether nothing can end the attempt any more."""
        return self._used or self._is_late

    def use_up(self, by: str) -> None:
        """End it, whatever comes of it.

        No await may stand between this and the look at the redirect that it follows.

        Raises:
            StateMismatch: It was ended before, by a `by`.
            LoginExpired: It took too long.
        """
        if self._used:
            raise StateMismatch(f"This login was ended by an earlier {by}.")
        self._used = True
        if self._is_late:
            raise LoginExpired(
                "The login took longer than ten minutes; nothing was exchanged.",
                hint="Start again.",
            )

    @property
    def _is_late(self) -> bool:
        return self._clock.monotonic() >= self._ends_s
