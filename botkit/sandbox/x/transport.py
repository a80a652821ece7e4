"""The simulated X without a socket: a `ports.Transport` that calls it in the same process."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botkit.errors import OutcomeUnknown, TransportError
from botkit.ports.io import HttpResponse
from botkit.sandbox.wire.exchange import Answer, Call, Delivery

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping

    from botkit.ports.io import Clock, HttpRequest
    from botkit.sandbox.x.server import XServer

__all__ = ["SandboxTransport"]

_HOSTS = frozenset({"api.x.com", "x.com"})


class SandboxTransport:
    """Connects a bot to a world in this process. It reaches only X's own hosts."""

    def __init__(self, server: XServer, clock: Clock, *, hosts: frozenset[str] = _HOSTS) -> None:
        self._server = server
        self._clock = clock
        self._hosts = hosts
        self.offline = False

    async def send(
        self,
        request: HttpRequest,
        *,
        before_bytes: Callable[[], Awaitable[None]] | None = None,
    ) -> HttpResponse:
        """Do as `ports.Transport.send`; planned faults raise what a real network would."""
        self._connect(request)
        if before_bytes is not None:
            await before_bytes()
        answer = await self._server.handle(_call(request))
        await self._deliver(request, answer)
        if answer.stream is not None:
            await answer.stream.aclose()
        return HttpResponse(status=answer.status, headers=_named(answer), body=answer.body)

    @asynccontextmanager
    async def stream(self, request: HttpRequest) -> AsyncGenerator[_Stream]:
        """Do as `ports.Transport.stream`."""
        self._connect(request)
        answer = await self._server.handle(_call(request))
        await self._deliver(request, answer)
        opened = _Stream(answer)
        try:
            yield opened
        finally:
            if answer.stream is not None:
                await answer.stream.aclose()

    def _connect(self, request: HttpRequest) -> None:
        host = urlsplit(request.url).hostname
        if host not in self._hosts:
            raise TransportError(
                f"{host} is not part of the sandbox.", request=request.name, kind="dns"
            )
        if self.offline:
            raise TransportError("The sandbox is offline.", request=request.name, kind="connect")

    async def _deliver(self, request: HttpRequest, answer: Answer) -> None:
        """Raise the client's error if the answer does not arrive whole."""
        if answer.delivery is Delivery.WHOLE:
            return
        kind = "reset"
        if answer.delivery is Delivery.STALLED:
            await self._clock.sleep(request.timeout_s)
            kind = "timeout"
        if answer.stream is not None:
            await answer.stream.aclose()
        error = OutcomeUnknown if request.writes else TransportError
        raise error(f"{request.name}: the answer was lost.", request=request.name, kind=kind)


class _Stream:
    """An open stream; implements `ports.HttpStream`."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._headers = _named(answer)

    @property
    def status(self) -> int:
        return self._answer.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._headers

    async def read(self) -> bytes:
        return self._answer.body

    async def chunks(self) -> AsyncIterator[bytes]:
        if self._answer.stream is None:
            yield self._answer.body
            return
        async for line in self._answer.stream:
            yield line


def _call(request: HttpRequest) -> Call:
    return Call.of(
        request.method, request.url, headers=dict(request.headers), body=request.body or b""
    )


def _named(answer: Answer) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.headers.items()}
