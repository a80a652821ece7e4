"""Trying a few times, within a login's seconds, what surely was not carried out."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from botkit.ports import Clock

__all__ = ["persist"]

T = TypeVar("T")

_PAUSES_S = (0.25, 0.5, 1.0, 2.0)
"""X takes an OAuth 2.0 code for 30 seconds."""


async def persist(clock: Clock, call: Callable[[], Awaitable[T]], *passing: type[Exception]) -> T:
    """What the call gives; when it raises one of `passing`, it did nothing and is tried again."""
    for pause_s in _PAUSES_S:
        try:
            return await call()
        except passing:
            await clock.sleep(pause_s)
    return await call()
