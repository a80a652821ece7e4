"""Answers of botkit's HTTP servers: bytes, every header, and what is to happen once they are out.

Source: docs/explanation/requirements.md, L8 and D4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from aiohttp import web
from msgspec import Struct

from botkit.web.pages import SECURITY_HEADERS, Page, render

__all__ = ["Sent", "WebResponse", "json_response", "page_response", "to_wire"]

Sent = Callable[["ConnectionError | None"], None]
"""Called once an answer is out; with the error if the connection was lost before that."""


class WebResponse(Struct, frozen=True, kw_only=True):
    """An answer, with every header.

    Attributes:
        cookie: The whole value of Set-Cookie, "" for none.
        sent: Called when the answer is out.
    """

    status: int
    body: bytes
    headers: Mapping[str, str]
    cookie: str = ""
    sent: Sent | None = None


def page_response(page: Page, *, cookie: str = "", sent: Sent | None = None) -> WebResponse:
    """Return the answer that shows a page."""
    body, headers = render(page)
    return WebResponse(status=page.status, body=body, headers=headers, cookie=cookie, sent=sent)


def json_response(status: int, value: object) -> WebResponse:
    """Return the answer that holds a value as one line of JSON."""
    headers = {**SECURITY_HEADERS, "Content-Type": "application/json"}
    return WebResponse(status=status, body=msgspec.json.encode(value) + b"\n", headers=headers)


def to_wire(answer: WebResponse, more: Mapping[str, str] | None = None) -> web.Response:
    """Return aiohttp's form of an answer, with more headers; the connection ends with it."""
    headers = {**answer.headers, **(more or {})}
    if answer.cookie:
        headers["Set-Cookie"] = answer.cookie
    response = web.Response(status=answer.status, body=answer.body, headers=headers)
    response.force_close()
    return response
