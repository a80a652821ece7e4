"""What can be wrong with a request before its content matters; for every server of botkit.

Source: docs/explanation/requirements.md, L3, L4, L6, D2 and D3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from aiohttp import web

__all__ = ["comes_from", "has_body", "is_ahead", "is_for"]

_PURPOSES = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
_AHEAD = ("prefetch", "prerender", "preview")


def is_for(request: web.BaseRequest, authorities: Collection[str]) -> bool:
    """Whether its one Host header is among these, and its target is a path."""
    hosts = request.headers.getall("Host", [])
    return len(hosts) == 1 and hosts[0] in authorities and request.raw_path.startswith("/")


def comes_from(request: web.BaseRequest, origins: Collection[str]) -> bool:
    """Whether no Origin header of it is another than these; none is fine."""
    return all(origin in origins for origin in request.headers.getall("Origin", []))


def has_body(request: web.BaseRequest) -> bool:
    """Whether it says that it carries a body."""
    length = request.headers.get("Content-Length", "0")
    return "Transfer-Encoding" in request.headers or length not in {"", "0"}


def is_ahead(request: web.BaseRequest) -> bool:
    """Whether a browser fetches in advance what the person may never open."""
    purpose = " ".join(request.headers.get(name, "") for name in _PURPOSES).lower()
    return any(word in purpose for word in _AHEAD)
