"""Trying a few times, within a login's seconds, what surely was not carried out."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from botkit.errors import AuthError, OutcomeUnknown, TransportError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from botkit.ports import Clock
    from botkit.ports.io import HttpResponse

__all__ = ["NOTHING_STORED", "exchange", "persist"]

T = TypeVar("T")

_PAUSES_S = (0.25, 0.5, 1.0, 2.0)
"""X takes an OAuth 2.0 code for 30 seconds."""

NOTHING_STORED = "Nothing was stored: start again."
"""What to do about a login that X did not see through."""


async def persist(clock: Clock, call: Callable[[], Awaitable[T]], *passing: type[Exception]) -> T:
    """What the call gives; when it raises one of `passing`, it did nothing and is tried again."""
    for pause_s in _PAUSES_S:
        try:
            return await call()
        except passing:
            await clock.sleep(pause_s)
    return await call()


async def exchange(
    clock: Clock, send: Callable[[], Awaitable[HttpResponse]], *, lost: str
) -> HttpResponse:
    """The answer to what works only once: sent again only while surely no byte of it has left.

    Raises:
        AuthError: The answer was `lost`, or it is a redirect.
        TransportError: X could not be reached; nothing was sent.
    """

    async def attempt() -> HttpResponse:
        try:
            return await send()
        except OutcomeUnknown as error:
            raise AuthError(lost, hint="Start again.") from error
        except TransportError as error:
            if error.kind != "redirect":
                raise
            raise AuthError(error.message, hint=f"{error.hint} Then start again.") from error

    return await persist(clock, attempt, TransportError)
