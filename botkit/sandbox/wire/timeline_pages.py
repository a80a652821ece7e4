"""Cut a timeline into pages: by `since_id`, `until_id`, times, `max_results` and page tokens.

Pages are newest first; a token holds the id below which the next page starts, or above which
the one before ends.
Source: X API docs, "Timelines" and "Pagination".
"""

from __future__ import annotations

import base64
import contextlib
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from botkit.sandbox.wire import problems

if TYPE_CHECKING:
    from collections.abc import Sequence

    from botkit.sandbox.wire.exchange import Call

__all__ = ["Dated", "page_of", "part_of"]


class Dated(Protocol):
    """An item of a timeline."""

    @property
    def id(self) -> str:
        """The id: a number as text."""
        ...

    @property
    def created_at(self) -> datetime:
        """The time at which the item was made."""
        ...


D = TypeVar("D", bound=Dated)
T = TypeVar("T")


def page_of(
    items: Sequence[D], call: Call, *, default: int, reach: int
) -> tuple[list[D], dict[str, Any]]:
    """Return the page that the call asks for, newest first, and its `meta`.

    `reach` is the number of newest items that can be read at all. The caller has checked the
    parameters of the call, except the token.

    Raises:
        Refused: 400: the page token is malformed.
    """
    size = int(call.param("max_results") or default)
    since, until = _number(call, "since_id"), _number(call, "until_id")
    start, end = _time(call, "start_time"), _time(call, "end_time")
    chosen = [
        item
        for item in reversed(items[-reach:])
        if (since is None or int(item.id) > since)
        and (until is None or int(item.id) < until)
        and (start is None or item.created_at >= start)
        and (end is None or item.created_at < end)
    ]
    first = _first_of_page(chosen, call, size)
    page = chosen[first : first + size]
    meta: dict[str, Any] = {"result_count": len(page)}
    if page:
        meta |= {"newest_id": page[0].id, "oldest_id": page[-1].id}
    if first + size < len(chosen):
        meta["next_token"] = _token("n", page[-1].id)
    if page and first > 0:
        meta["previous_token"] = _token("p", page[0].id)
    return page, meta


def part_of(rows: Sequence[T], call: Call, *, default: int) -> tuple[list[T], dict[str, Any]]:
    """Return the page of a list without ids and times, newest first, and its `meta`.

    Raises:
        Refused: 400: the page token is malformed.
    """
    size = int(call.param("max_results") or default)
    raw = call.param("pagination_token")
    first = _of_token(raw)[1] if raw is not None else 0
    page = list(reversed(rows))[first : first + size]
    meta: dict[str, Any] = {"result_count": len(page)}
    if first + size < len(rows):
        meta["next_token"] = _token("n", str(first + size))
    if page and first > 0:
        meta["previous_token"] = _token("p", str(max(0, first - size)))
    return page, meta


def _first_of_page(chosen: Sequence[Dated], call: Call, size: int) -> int:
    """Return the position at which the page starts: just below or above the token's id."""
    raw = call.param("pagination_token") or call.param("next_token")
    if raw is None:
        return 0
    direction, edge = _of_token(raw)
    if direction == "n":
        return sum(int(item.id) >= edge for item in chosen)
    return max(0, sum(int(item.id) > edge for item in chosen) - size)


def _number(call: Call, name: str) -> int | None:
    raw = call.param(name)
    return None if raw is None else int(raw)


def _time(call: Call, name: str) -> datetime | None:
    raw = call.param(name)
    return None if raw is None else datetime.fromisoformat(raw)


def _token(direction: str, item_id: str) -> str:
    return base64.b32encode(f"{direction}{item_id}".encode()).decode().rstrip("=").lower()


def _of_token(raw: str) -> tuple[str, int]:
    with contextlib.suppress(ValueError):
        decoded = base64.b32decode(raw.upper() + "=" * (-len(raw) % 8)).decode()
        if re.fullmatch("[np][0-9]{1,19}", decoded, re.ASCII):
            return decoded[0], int(decoded[1:])
    message = f"The `pagination_token` query parameter value [{raw}] is not valid"
    raise problems.bad_parameter("pagination_token", raw, message)
