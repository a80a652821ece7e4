"""Answers of botkit's HTTP servers: bytes, headers, and a call once they are sent.

Source: docs/explanation/requirements.md, L8 and D4.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import msgspec
from aiohttp import web
from msgspec import Struct
from msgspec.structs import replace

from botkit.web.pages import SECURITY_HEADERS, Page, render

__all__ = [
    "Sent",
    "WebResponse",
    "json_response",
    "later",
    "page_response",
    "refusal",
    "to_wire",
    "with_header",
]

Sent = Callable[["ConnectionError | None"], None]
"""Called once an answer was sent, with the error if the connection was lost before."""


class WebResponse(Struct, frozen=True, kw_only=True):
    """An answer, with every header.

    Attributes:
        cookie: The whole value of Set-Cookie, "" for none.
        sent: Called once the answer was sent.
    """

    status: int
    body: bytes
    headers: Mapping[str, str]
    cookie: str = ""
    sent: Sent | None = None


def page_response(page: Page, *, cookie: str = "", sent: Sent | None = None) -> WebResponse:
    """Return a page as an answer."""
    body, headers = render(page)
    return WebResponse(status=page.status, body=body, headers=headers, cookie=cookie, sent=sent)


def json_response(status: int, value: object) -> WebResponse:
    """Return a value as an answer of one line of JSON."""
    headers = {**SECURITY_HEADERS, "Content-Type": "application/json"}
    return WebResponse(status=status, body=msgspec.json.encode(value) + b"\n", headers=headers)


def refusal(status: int, why: str) -> WebResponse:
    """Return the answer to a program that is refused."""
    return json_response(status, {"error": why})


def later(status: int, why: str, seconds: float) -> WebResponse:
    """Return the answer to a program that is to come again after so many seconds."""
    return with_header(refusal(status, why), "Retry-After", str(max(1, round(seconds))))


def with_header(answer: WebResponse, name: str, value: str) -> WebResponse:
    """Return the answer with one more header."""
    return replace(answer, headers={**answer.headers, name: value})


class UnnamedResponse(web.Response):
    """A response without the header `Server`, in which aiohttp tells its and Python's version.

    Attributes:
        sent: Awaited once the response is sent, before the connection closes.
    """

    sent: Callable[[], Awaitable[None]] | None = None

    async def write_eof(self, data: bytes = b"") -> None:
        """End the response."""
        await super().write_eof(data)
        if self.sent is not None:
            await self.sent()

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        del self.headers["Server"]


def to_wire(
    answer: WebResponse, *, sent: Callable[[], Awaitable[None]] | None = None
) -> web.Response:
    """Convert an answer for aiohttp; once `sent` was awaited, the connection closes."""
    headers = dict(answer.headers)
    if answer.cookie:
        headers["Set-Cookie"] = answer.cookie
    response = UnnamedResponse(status=answer.status, body=answer.body, headers=headers)
    response.sent = sent
    response.force_close()
    return response
