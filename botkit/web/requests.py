"""Requests to botkit's HTTP servers, and the checks before a route answers.

No X-Forwarded header is read: the public address is a setting.
Source: docs/explanation/requirements.md, L3, L4, L6, D2, D3 and W8; W3C Fetch Metadata.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from msgspec import Struct

from botkit.web.pages import Page

if TYPE_CHECKING:
    from aiohttp import web

    from botkit.web.connections import Connection

__all__ = ["BodyLimit", "HostGuard", "WebRequest"]

_FORM_TYPE = "application/x-www-form-urlencoded"
_PURPOSES = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
_PREFETCHES = ("prefetch", "prerender", "preview")


class BodyLimit(Struct, frozen=True, kw_only=True):
    """The largest body of a request, and the most time for it to arrive."""

    size_bytes: int = 4 * 1024
    timeout_s: float = 5.0


class WebRequest:
    """A request; nothing of it is decoded.

    Args:
        limit: The limit of its body.

    Attributes:
        method: The method as it was sent.
        path: The target before the `?`; it starts with / unless the target is no path.
        query: The target after the `?`.
    """

    __slots__ = ("_connection", "_limit", "_raw", "method", "path", "query")

    def __init__(self, raw: web.BaseRequest, connection: Connection, limit: BodyLimit) -> None:
        self._raw = raw
        self._connection = connection
        self._limit = limit
        self.method: str = raw.method
        self.path: str
        self.query: str
        self.path, _, self.query = raw.raw_path.partition("?")

    def header(self, name: str, default: str = "") -> str:
        """Return the value of the first header of this name."""
        return self._raw.headers.get(name, default)

    def headers(self, name: str) -> list[str]:
        """Return the values of all headers of this name."""
        return self._raw.headers.getall(name, [])

    @property
    def has_body(self) -> bool:
        """Whether the request says that it carries a body."""
        length = self.header("Content-Length", "0")
        return bool(self.headers("Transfer-Encoding")) or length not in {"", "0"}

    @property
    def opens_page(self) -> bool:
        """Whether a person opens the page with this request.

        A browser also loads addresses in advance, and as images, frames or scripts of other
        pages. A program that is no browser opens the page.
        """
        purpose = " ".join(self.header(name) for name in _PURPOSES).lower()
        if any(word in purpose for word in _PREFETCHES):
            return False
        mode, target = self.header("Sec-Fetch-Mode"), self.header("Sec-Fetch-Dest")
        if mode or target:
            return mode in {"", "navigate"} and target in {"", "document"}
        # Some browsers send no Sec-Fetch headers to plain http. Each asks for HTML when a page is
        # opened (Fetch, "fetching": document), and has called itself Mozilla since the nineties.
        is_browser = self.header("User-Agent").startswith("Mozilla/")
        accepted = self.header("Accept")
        return not (is_browser and accepted) or "text/html" in accepted

    async def body(self) -> bytes | None:
        """Return the body's bytes; None if it is larger or slower than the route allows.

        A body with a content coding is not read, and None, too: nothing is decompressed here.
        """
        if self.headers("Content-Encoding"):
            return None
        body = bytearray()
        try:
            async with asyncio.timeout(self._limit.timeout_s):
                with self._connection.reading():
                    # Counting what arrives needs no trust in what the headers announce.
                    async for chunk in self._raw.content.iter_any():
                        body += chunk
                        if len(body) > self._limit.size_bytes:
                            return None
        except (TimeoutError, ConnectionError):
            return None
        return bytes(body)

    async def form(self) -> str | None:
        """Return the still encoded fields of a form; None if the body is no ASCII form."""
        if self._raw.content_type != _FORM_TYPE:
            return None
        body = await self.body()
        return body.decode() if body is not None and body.isascii() else None


class HostGuard(Struct, frozen=True, kw_only=True):
    """The Host and the Origin that requests must have.

    Attributes:
        authorities: The values of Host that are taken.
        origins: The values of Origin that are taken; a request without one is taken, too.
        misdirected: The page for another Host, or for a target that is no path.
        foreign: The page for another Origin.
        on_foreign: Called for another Origin.
    """

    authorities: Collection[str]
    origins: Collection[str]
    misdirected: Page
    foreign: Page
    on_foreign: Callable[[], None] | None = None

    def refusal(self, request: WebRequest) -> Page | None:
        """Return the page for a request that is refused; None if it may go on."""
        hosts = request.headers("Host")
        if len(hosts) != 1 or hosts[0] not in self.authorities or request.path[:1] != "/":
            return self.misdirected
        if all(origin in self.origins for origin in request.headers("Origin")):
            return None
        if self.on_foreign is not None:
            self.on_foreign()
        return self.foreign
