"""The world outside: time, chance and HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

__all__ = ["Clock", "Entropy", "HttpRequest", "HttpResponse", "HttpStream", "Transport"]


class Clock(Protocol):
    """Time. The system's in service, a virtual one in tests."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait on this clock; a negative span is none."""
        ...

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[Any]:
        """Cancel the block after that many seconds of this clock, raising `TimeoutError`."""
        ...


class Entropy(Protocol):
    """Chance. The system's in service, a seeded one in tests."""

    def token_bytes(self, size_bytes: int) -> bytes:
        """Unpredictable bytes."""
        ...

    def uniform(self, low: float, high: float) -> float:
        """A number between the two, for jitter; need not be unpredictable."""
        ...


class HttpRequest(Struct, frozen=True, kw_only=True, gc=False):
    """One HTTP request, complete: absolute URL, headers with credentials, body.

    `name` is what logs and errors may show: method and path without any secret. `writes` says
    that the other side changes something, so that a lost answer is `OutcomeUnknown`. With
    `reads_late` an answer that is there when the time is over is still read: it holds what cannot
    be had again.
    """

    method: str
    url: str
    name: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    timeout_s: float = 30.0
    writes: bool = False
    follow_same_origin: bool = False
    reads_late: bool = False

    def __repr__(self) -> str:
        return f"HttpRequest({self.name!r})"


class HttpResponse(Struct, frozen=True, kw_only=True, gc=False):
    """A complete answer. Header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"HttpResponse({self.status}, {len(self.body)} bytes)"


class HttpStream(Protocol):
    """An answer whose body keeps coming."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, names in lower case."""
        ...

    async def read(self) -> bytes:
        """The whole body, capped: for an answer that is an error."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives, one network read at a time."""
        ...


class Transport(Protocol):
    """HTTP without rules: sends what it is given, once, and never follows a redirect away."""

    async def send(
        self,
        request: HttpRequest,
        *,
        before_bytes: Callable[[], Awaitable[None]] | None = None,
    ) -> HttpResponse:
        """Send and read the whole answer, whatever its status.

        `before_bytes` is awaited after connect and TLS and before the first byte leaves; when it
        raises, nothing is sent and what it raised comes out.

        Raises:
            TransportError: Nothing was carried out (always so for a request that does not write).
            OutcomeUnknown: The request writes, and may have been carried out.
        """
        ...

    def stream(self, request: HttpRequest) -> AbstractAsyncContextManager[HttpStream]:
        """Open a stream; the timeout is for the connect and the headers only."""
        ...
