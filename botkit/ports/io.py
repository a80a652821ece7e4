"""Protocols for time, chance and HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

__all__ = ["Clock", "Entropy", "HttpRequest", "HttpResponse", "HttpStream", "Transport"]


class Clock(Protocol):
    """Tell the time and wait: by the system's clock in production, a virtual one in tests."""

    def now(self) -> datetime:
        """Return the wall-clock time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return the seconds of a clock that never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait that many seconds of this clock; return at once if the number is negative."""
        ...

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[Any]:
        """Cancel the block after that many seconds of this clock, and raise `TimeoutError`."""
        ...


class Entropy(Protocol):
    """Make random values: from the system's source in production, seeded in tests."""

    def token_bytes(self, size_bytes: int) -> bytes:
        """Return unpredictable bytes."""
        ...

    def uniform(self, low: float, high: float) -> float:
        """Return a number between the two, for jitter; it need not be unpredictable."""
        ...


class HttpRequest(Struct, frozen=True, kw_only=True, gc=False):
    """One HTTP request, complete: absolute URL, headers with credentials, body.

    `name` is method and path without any secret, for logs and errors. `writes` is True if the
    request changes something at X: losing its answer raises `OutcomeUnknown`. With `reads_late`,
    an answer that has arrived by the time limit is still read after it: X sends it only once.
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
    """An HTTP answer whose body arrives piece by piece."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, names in lower case."""
        ...

    async def read(self) -> bytes:
        """Return the whole body of an error answer; its size is limited."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives, the bytes of one network read at a time."""
        ...


class Transport(Protocol):
    """Send HTTP without X's rules: each request once, following no redirect to another host."""

    async def send(
        self,
        request: HttpRequest,
        *,
        before_bytes: Callable[[], Awaitable[None]] | None = None,
    ) -> HttpResponse:
        """Send the request and return the whole answer, whatever its status.

        `before_bytes` is awaited after connect and TLS and before the first byte leaves. If it
        raises, nothing is sent and its error is raised here.

        Raises:
            TransportError: X carried nothing out, or the request does not write.
            OutcomeUnknown: The request writes, and X may have carried it out.
        """
        ...

    def stream(self, request: HttpRequest) -> AbstractAsyncContextManager[HttpStream]:
        """Open a stream; the timeout covers the connect and the headers only."""
        ...
