"""Stand between a bot in the sandbox and its store and network, to simulate a crash.

A killed process writes and sends nothing more, even if its clean-up code tries to. While the store
works in its threads, virtual time stands still.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, cast

from botkit.errors import StoreUnavailable, TransportError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

    from botkit.ports.io import HttpRequest, HttpResponse, HttpStream, Transport
    from botkit.ports.store import Store
    from botkit.sandbox.harness.clock import VirtualClock

__all__ = ["GatedTransport", "ProcessLife", "gated_store", "threads_counted"]

_RUN = "run_in_executor"
_GROUPS = frozenset(
    {
        "events",
        "states",
        "writes",
        "own_posts",
        "credentials",
        "accounts",
        "invitations",
        "leases",
        "progress",
        "ledger",
    }
)


class ProcessLife:
    """Hold the clock of a simulated process, and in `over` whether the process was killed."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.over = False


def gated_store(store: Store, life: ProcessLife) -> Store:
    """Return a wrapper of the store that fails every call once the process is killed."""
    return cast("Store", _Gated(store, life))


class _Gated:
    """Pass each call on to the store; raise `StoreUnavailable` once the process is killed."""

    def __init__(self, inner: object, life: ProcessLife) -> None:
        self._inner = inner
        self._life = life

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name in _GROUPS:
            found = _Gated(found, self._life)
        elif callable(found):
            found = _through(cast("Callable[..., Awaitable[Any]]", found), self._life)
        else:
            return found
        setattr(self, name, found)
        return found


def _through(
    call: Callable[..., Awaitable[Any]], life: ProcessLife
) -> Callable[..., Awaitable[Any]]:
    async def passed(*args: Any, **kwargs: Any) -> Any:
        _check(life)
        with life.clock.working():
            result = await call(*args, **kwargs)
        _check(life)
        return result

    return passed


def _check(life: ProcessLife) -> None:
    if life.over:
        raise StoreUnavailable("The process was killed.")


class GatedTransport:
    """Pass each request on to a transport; raise `TransportError` once the process is killed."""

    def __init__(self, inner: Transport, life: ProcessLife) -> None:
        self._inner = inner
        self._life = life

    async def send(
        self,
        request: HttpRequest,
        *,
        before_bytes: Callable[[], Awaitable[None]] | None = None,
    ) -> HttpResponse:
        """Send the request; see `ports.Transport.send`."""
        self._check(request)
        return await self._inner.send(request, before_bytes=before_bytes)

    @asynccontextmanager
    async def stream(self, request: HttpRequest) -> AsyncGenerator[HttpStream]:
        """Open the stream; see `ports.Transport.stream`."""
        self._check(request)
        async with self._inner.stream(request) as opened:
            yield opened

    def _check(self, request: HttpRequest) -> None:
        if self._life.over:
            raise TransportError("The process was killed.", request=request.name)


@contextmanager
def threads_counted(clock: VirtualClock) -> Generator[None]:
    """Stop virtual time, inside the block, while a thread of the loop's executor works."""
    loop = asyncio.get_running_loop()
    plain = loop.run_in_executor

    def counted(executor: Any, call: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        working = clock.working()
        working.__enter__()
        # Added first, this callback runs right before the waiting task: no time moves in between.
        future = plain(executor, call, *args)
        future.add_done_callback(lambda _: working.__exit__(None, None, None))
        return future

    # A loop that does not allow its method to be replaced (uvloop) goes without.
    with suppress(AttributeError):
        setattr(loop, _RUN, counted)
    try:
        yield
    finally:
        with suppress(AttributeError):
            setattr(loop, _RUN, plain)
