"""Answers of X's API v2 as values, and every kind of error body as the error it means."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - msgspec reads the annotations at run time
from typing import Any

from msgspec import Struct

__all__ = ["RateWindow", "Response"]


class RateWindow(Struct, frozen=True, kw_only=True, gc=False):
    """What the `x-rate-limit-*` headers (or their 24-hour twins) say."""

    limit: int
    remaining: int
    reset: datetime


class Response(Struct, frozen=True, kw_only=True, gc=False):
    """A success (2xx), parsed once.

    `data`, `includes`, `meta` and `errors` are the body's parts as decoded JSON, empty when absent.
    `level` is the `x-access-level`, "" when it is missing. `date` is X's clock.
    """

    status: int
    data: Any = None
    includes: dict[str, Any] = {}
    meta: dict[str, Any] = {}
    errors: tuple[dict[str, Any], ...] = ()
    window: RateWindow | None = None
    day_window: RateWindow | None = None
    level: str = ""
    date: datetime | None = None
    request_id: str = ""
