"""HTTP over aiohttp: send each request once; an error says whether its bytes may have left.

One session with a bounded pool serves the requests of all accounts, and another serves the
streams, so that a hundred streams cannot block the writes. Errors name the request by
`HttpRequest.name`; no error, cause or context holds a header or a body.
Source: docs/explanation/requirements.md, C9 to C12 and faults 1 to 11.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

import aiohttp
from yarl import URL

from botkit import __version__
from botkit.client.http.connections import (
    Departure,
    StoppableConnector,
    check_address,
    departing,
    proxy_for,
    tls_context,
)
from botkit.errors import OutcomeUnknown, TransportError
from botkit.ports.io import HttpResponse

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

    from multidict import CIMultiDictProxy

    from botkit.ports.io import HttpRequest, HttpStream

__all__ = ["AiohttpTransport"]

ANSWER_LIMIT_BYTES = 8 * 1024 * 1024
"""The most bytes to read of an answer, before or after unpacking."""
_CONNECT_S = 10.0
_CATCH_UP_S = 1.0
_PER_HOST = 32
_KEPT_S = 15.0
"""Idle connections are closed after these seconds, before X could close one during a POST."""
_BUFFER_BYTES = 1 << 18
_STREAM_BUFFER_BYTES = 1 << 19
"""The buffer for bytes that arrive while the store commits; aiohttp keeps up to twice as much."""
_MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_KEPT_ADDRESSES = 512
_ERROR_BODY_S = 10.0
_FAILURES = (aiohttp.ClientError, TimeoutError, OSError)


class AiohttpTransport:
    """The transport of a running bot. Use it as `async with AiohttpTransport() as transport:`.

    Args:
        ca_file: PEM certificates that are trusted in addition to the system's.
        extra_headers: Headers to send with every request, to every host.
        use_proxy: Use the proxies that the environment sets (HTTPS_PROXY and the like); never
            for loopback.
    """

    def __init__(
        self,
        *,
        ca_file: Path | str | None = None,
        extra_headers: Mapping[str, str] | None = None,
        use_proxy: bool = False,
    ) -> None:
        # True means aiohttp's own context, which is like ours but for the file: TLS 1.2 or newer,
        # names and certificates checked. aiohttp made it when it was imported; a context of our
        # own would read the system's authorities again.
        self._tls: ssl.SSLContext | bool = True if ca_file is None else tls_context(ca_file)
        self._headers = {"User-Agent": f"botkit/{__version__}", **(extra_headers or {})}
        self._use_proxy = use_proxy
        self._addresses: dict[str, URL] = {}
        self._timeouts: dict[float | None, aiohttp.ClientTimeout] = {}
        self._requests: aiohttp.ClientSession | None = None
        self._streams: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open both sessions; make no connection yet."""
        self._requests = self._session(limit=4 * _PER_HOST, per_host=_PER_HOST)
        self._streams = self._session(limit=0, per_host=0, buffer_bytes=_STREAM_BUFFER_BYTES)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close every connection."""
        for session in (self._requests, self._streams):
            if session is not None:
                await session.close()
        self._requests = self._streams = None

    async def send(
        self,
        request: HttpRequest,
        *,
        before_bytes: Callable[[], Awaitable[None]] | None = None,
    ) -> HttpResponse:
        """Send the request and return the whole answer, whatever its status.

        Raises:
            TransportError: X carried nothing out, or the request does not write.
            OutcomeUnknown: The request writes, and its bytes may have left.
            ConfigError: The address is not allowed.
        """
        departure = Departure(before_bytes)
        token = departing.set(departure)
        try:
            if request.reads_late:
                return await self._exchange_late(request)
            return await self._exchange(request, total_s=request.timeout_s)
        except _FAILURES as error:
            failure: Exception = error
        finally:
            departing.reset(token)
        # Raise outside the except block: an aiohttp error may carry the request's headers, and
        # must not become the context of our error.
        if departure.refusal is not None:
            raise departure.refusal
        raise _explain(request, failure, connected=departure.connected)

    @asynccontextmanager
    async def stream(self, request: HttpRequest) -> AsyncGenerator[HttpStream]:
        """Open a stream; the timeout covers the connect and the headers only.

        Raises:
            TransportError: The stream could not be opened, or X answered with a redirect.
            ConfigError: The address is not allowed.
        """
        departure = Departure(None)
        token = departing.set(departure)
        failure: Exception | None = None
        response: aiohttp.ClientResponse | None = None
        try:
            async with asyncio.timeout(request.timeout_s):
                url = self._address(request.url)
                response = await _open(self._streams).request(
                    request.method,
                    url,
                    headers=request.headers,
                    timeout=self._timeout(None),
                    allow_redirects=False,
                    **self._special(url),
                )
        except _FAILURES as error:
            failure = error
        finally:
            departing.reset(token)
        if response is None:
            assert failure is not None
            raise _explain(request, failure, connected=departure.connected)
        try:
            if response.status in _REDIRECTS:
                raise _redirected(request, response.status)
            yield _OpenStream(request, response)
        finally:
            response.close()

    def _session(
        self, *, limit: int, per_host: int, buffer_bytes: int = _BUFFER_BYTES
    ) -> aiohttp.ClientSession:
        connector = StoppableConnector(
            limit=limit, limit_per_host=per_host, ssl=self._tls, keepalive_timeout=_KEPT_S
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._headers,
            middlewares=(_only_once,),
            trust_env=False,
            read_bufsize=buffer_bytes,
        )

    def _special(self, url: URL) -> dict[str, Any]:
        """Return the extra aiohttp arguments of a request: its proxy, if there is one."""
        if not self._use_proxy:
            return {}
        proxy, headers = proxy_for(url)
        return {"proxy": proxy, "proxy_headers": headers}

    async def _exchange_late(self, request: HttpRequest) -> HttpResponse:
        """Exchange as `_exchange` does; still read an answer that is there at the time limit.

        A process that was paused finds the answer and the time limit in one turn of the event
        loop, and aiohttp's own limit would come first.
        """
        sending = asyncio.get_running_loop().create_task(self._exchange(request, total_s=None))
        try:
            for wait_s in (request.timeout_s, _CATCH_UP_S):
                done, _ = await asyncio.wait((sending,), timeout=wait_s)
                if done:
                    return sending.result()
            raise TimeoutError
        finally:
            if not sending.done():
                sending.cancel()
                await asyncio.wait((sending,))

    async def _exchange(self, request: HttpRequest, *, total_s: float | None) -> HttpResponse:
        session = _open(self._requests)
        url = self._address(request.url)
        for _hop in range(_MAX_REDIRECTS + 1):
            response = await session.request(
                request.method,
                url,
                data=request.body,
                headers=request.headers,
                timeout=self._timeout(total_s),
                allow_redirects=False,
                **self._special(url),
            )
            try:
                if response.status not in _REDIRECTS:
                    content = response.content
                    return HttpResponse(
                        status=response.status,
                        headers=_lower(response.headers),
                        body=content.read_nowait()
                        if content.is_eof()
                        else await _whole_body(request, response),
                    )
                url = _next_address(request, response)
            except BaseException:
                response.close()
                raise
            finally:
                response.release()
        raise TransportError(
            f"{request.name}: redirected more than {_MAX_REDIRECTS} times.",
            request=request.name,
            kind="redirect",
        )

    def _address(self, text: str) -> URL:
        found = self._addresses.get(text)
        if found is None:
            found = URL(text, encoded=True)
            check_address(found)
            if len(self._addresses) >= _KEPT_ADDRESSES:
                self._addresses.clear()
            self._addresses[text] = found
        return found

    def _timeout(self, total_s: float | None) -> aiohttp.ClientTimeout:
        found = self._timeouts.get(total_s)
        if found is None:
            if len(self._timeouts) >= _KEPT_ADDRESSES:
                self._timeouts.clear()
            found = aiohttp.ClientTimeout(total=total_s, sock_connect=_CONNECT_S)
            self._timeouts[total_s] = found
        return found


class _OpenStream:
    """Hold an open stream: an answer whose body arrives piece by piece."""

    def __init__(self, request: HttpRequest, response: aiohttp.ClientResponse) -> None:
        self._request = request
        self._response = response
        self._lowered = _lower(response.headers)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, names in lower case."""
        return self._lowered

    async def read(self) -> bytes:
        """Return the whole body of an error answer."""
        try:
            async with asyncio.timeout(_ERROR_BODY_S):
                return await _whole_body(self._request, self._response)
        except _FAILURES as error:
            failure = error
        raise _explain(self._request, failure, connected=True)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives; return when the server has ended it properly."""
        content = self._response.content
        failure: Exception | None = None
        while failure is None:
            try:
                chunk = await content.readany()
            except _FAILURES as error:
                failure = error
            else:
                if not chunk:
                    return
                yield chunk
        raise _explain(self._request, failure, connected=True)


class _BrokenOnce(aiohttp.ClientError):
    """Raised when the connection broke; unlike aiohttp's own error it makes aiohttp retry nothing.

    aiohttp sends a GET, PUT or DELETE again at once. The callers here have retries of their own,
    with pauses, and a write must not be sent again at all.
    """


async def _only_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    try:
        return await handler(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
        pass
    raise _BrokenOnce


def _open(session: aiohttp.ClientSession | None) -> aiohttp.ClientSession:
    if session is None:
        raise RuntimeError("the transport is not open: use it in `async with`")
    return session


def _lower(headers: CIMultiDictProxy[str]) -> dict[str, str]:
    found = {name.lower(): value for name, value in headers.items()}
    if len(found) == len(headers):
        return found
    found.clear()
    for name, value in headers.items():
        low = name.lower()
        found[low] = f"{found[low]}, {value}" if low in found else value
    return found


async def _whole_body(request: HttpRequest, response: aiohttp.ClientResponse) -> bytes:
    """Return the unpacked body, read in chunks of bounded size; raise above the limit."""
    content = response.content
    first = await content.readany()
    if content.at_eof():
        return first
    parts = [first]
    size_bytes = len(first)
    while chunk := await content.readany():
        size_bytes += len(chunk)
        if size_bytes > ANSWER_LIMIT_BYTES:
            response.close()
            raise _error_class(request)(
                f"{request.name}: the answer is longer than {ANSWER_LIMIT_BYTES} bytes.",
                request=request.name,
                kind="size",
            )
        parts.append(chunk)
    return b"".join(parts)


def _next_address(request: HttpRequest, response: aiohttp.ClientResponse) -> URL:
    """Return the address to which a read is redirected; raise unless it has the same origin."""
    here = response.url
    location = response.headers.get("Location", "")
    if location and request.follow_same_origin and not request.writes:
        with suppress(ValueError):
            there = here.join(URL(location))
            if there.user is None and there.origin() == here.origin():
                return there.with_fragment(None)
    raise _redirected(request, response.status)


def _redirected(request: HttpRequest, status: int) -> TransportError:
    return TransportError(
        f"{request.name}: answered {status}, a redirect, which is not followed.",
        request=request.name,
        kind="redirect",
        hint="Credentials stay home; check x.api_url and any proxy in between.",
    )


def _error_class(request: HttpRequest) -> type[TransportError]:
    return OutcomeUnknown if request.writes else TransportError


def _explain(request: HttpRequest, failure: Exception, *, connected: bool) -> TransportError:
    """Return our error for aiohttp's; its cause holds neither headers nor proxy credentials."""
    kind, words, cause = _kind_of(failure, connected=connected)
    error_class = _error_class(request) if connected else TransportError
    host = URL(request.url).host_port_subcomponent
    error = error_class(f"{request.name} at {host}: {words}.", request=request.name, kind=kind)
    error.__cause__ = cause
    return error


def _kind_of(failure: Exception, *, connected: bool) -> tuple[str, str, BaseException | None]:
    match failure:
        case aiohttp.ClientConnectorCertificateError():
            why = getattr(failure.certificate_error, "verify_message", "")
            return "tls", f"its certificate is refused: {why or 'wrong'}", _plain(failure)
        case aiohttp.ClientConnectorSSLError():
            return "tls", "TLS could not be agreed on", _plain(failure)
        case aiohttp.ClientConnectorDNSError():
            # It may be the proxy's.
            return "dns", f"the name {failure.host} cannot be resolved", _plain(failure.os_error)
        case TimeoutError():
            what = "no whole answer in time" if connected else "no connection in time"
            return "timeout", what, None
        case aiohttp.ClientConnectorError():
            is_proxy = isinstance(failure, aiohttp.ClientProxyConnectionError)
            to = f" to the proxy {failure.host}:{failure.port}" if is_proxy else ""
            return "connect", f"no connection{to}: {failure.strerror}", _plain(failure.os_error)
        case aiohttp.ClientHttpProxyError():
            return "connect", f"the proxy answered {failure.status}", None
        case aiohttp.ServerDisconnectedError() | _BrokenOnce():
            return "closed", "the connection was closed before an answer came", None
        case aiohttp.ClientPayloadError():
            return "reset", "the answer was cut off or cannot be unpacked", None
        case aiohttp.ClientResponseError():
            return "reset", "the answer is no HTTP", None
        case _:
            return ("reset" if connected else "connect"), "the connection broke", _plain(failure)


def _plain(error: BaseException) -> BaseException | None:
    """Return a copy of a system or TLS error that does not refer to the request, else None."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return type(error.certificate_error)(*error.certificate_error.args)
    if isinstance(error, OSError) and error.errno is not None:
        return OSError(error.errno, error.strerror)
    return None
