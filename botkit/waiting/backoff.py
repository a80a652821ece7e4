"""Backoff ladders as data, and the position of one caller on a ladder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from botkit.ports import Entropy

__all__ = ["JITTER", "Backoff", "Ladder"]

JITTER = (0.75, 1.25)
"""The default jitter: multiply a wait by 0.75 to 1.25."""


class Ladder(Struct, frozen=True, kw_only=True):
    """Hold the waits that follow the first failure, the second, and so on.

    Attributes:
        steps_s: The waits in seconds. The last one is the cap: it also follows all later failures.
        jitter: The two limits of the random number by which `wait_s` multiplies a step.
    """

    steps_s: tuple[float, ...]
    jitter: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        if not self.steps_s:
            raise ValueError("A ladder needs a step.")

    @classmethod
    def doubling(
        cls, first_s: float, *, cap_s: float, jitter: tuple[float, float] = (1.0, 1.0)
    ) -> Ladder:
        """Return a ladder whose steps double from `first_s` up to `cap_s`, its last step."""
        steps: list[float] = []
        while first_s < cap_s:
            steps.append(first_s)
            first_s *= 2
        return cls(steps_s=(*steps, cap_s), jitter=jitter)

    @property
    def cap_s(self) -> float:
        """The last step, without jitter."""
        return self.steps_s[-1]

    def step_s(self, failures: int) -> float:
        """Return the wait without jitter after a failure that `failures` others preceded."""
        return self.steps_s[min(failures, len(self.steps_s) - 1)]

    def wait_s(self, failures: int, entropy: Entropy) -> float:
        """Return the wait with jitter after a failure that `failures` others preceded."""
        return self.step_s(failures) * entropy.uniform(*self.jitter)


class Backoff:
    """Count one caller's consecutive failures, and compute the wait that follows each."""

    def __init__(self, ladder: Ladder, entropy: Entropy) -> None:
        self._ladder = ladder
        self._entropy = entropy
        self.failures: int = 0

    def next_s(self) -> float:
        """Count a failure and return the seconds to wait after it."""
        self.failures += 1
        return self._ladder.wait_s(self.failures - 1, self._entropy)

    def reset(self) -> None:
        """Go back to the first step after a call succeeded."""
        self.failures = 0
