"""Read and compare what a request proves itself with, in a time that tells nothing."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from botkit.web.requests import WebRequest

__all__ = ["equals_one", "only_header"]


def only_header(request: WebRequest, name: str) -> bytes:
    """Return the bytes of a header that is there once, b"" otherwise."""
    values = request.headers(name)
    return values[0].encode("utf-8", "surrogateescape") if len(values) == 1 else b""


def equals_one(given: bytes, wanted: Iterable[bytes]) -> bool:
    """Return True if the bytes equal one of the wanted ones; each is compared."""
    # A list, so that all are compared whichever fits.
    return any([hmac.compare_digest(given, each) for each in wanted])  # noqa: C419 - see above
