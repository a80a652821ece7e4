"""Retry calls that are safe to repeat: they only read, or a failed call has changed nothing."""

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
    """Return the result of `call`; while it fails, wait the ladder's next step and call again.

    Make at most one call more than the ladder has steps, and raise the error of the last one.
    Repeat the call only after an error of a class in `passing`; raise any other at once. Without
    `entropy`, wait the ladder's steps without jitter.
    """
    for failures in range(len(ladder.steps_s)):
        try:
            return await call()
        except passing:
            step_s = ladder.step_s(failures)
            await clock.sleep(step_s if entropy is None else ladder.wait_s(failures, entropy))
    return await call()
