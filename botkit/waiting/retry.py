"""Retry of calls that may be made again: they only read, or did nothing when they failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from botkit.ports import Clock, Entropy
    from botkit.waiting.backoff import Ladder

__all__ = ["retry"]

T = TypeVar("T")


async def retry(
    call: Callable[[], Awaitable[T]],
    *passing: type[Exception],
    ladder: Ladder,
    clock: Clock,
    entropy: Entropy | None = None,
) -> T:
    """Return the result of `call`; make it again after each step of the ladder while it fails.

    It is made once more than the ladder has steps; the error of the last try is raised. Only after
    an error of `passing` is it made again: any other is raised at once. Without `entropy` the
    ladder's steps are waited without jitter.
    """
    for failures in range(len(ladder.steps_s)):
        try:
            return await call()
        except passing:
            step_s = ladder.step_s(failures)
            await clock.sleep(step_s if entropy is None else ladder.wait_s(failures, entropy))
    return await call()
