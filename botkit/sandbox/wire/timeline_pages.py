"""Pages of a timeline: `since_id`, `until_id`, times, `max_results` and page tokens.

Pages are newest first; a token holds the id below which the next page starts.
Source: X API docs, "Timelines" and "Pagination".
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from botkit.sandbox.wire import problems

if TYPE_CHECKING:
    from collections.abc import Sequence

    from botkit.sandbox.wire.exchange import Call

__all__ = ["Dated", "page_of"]


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

_ID_DIGITS = 19


def page_of(
    items: Sequence[D], call: Call, *, least: int, most: int, default: int, reach: int
) -> tuple[list[D], dict[str, Any]]:
    """Return the page that the call asks for, newest first, and its `meta`.

    `reach` is the number of newest items that can be read at all.

    Raises:
        Refused: 400: a parameter is out of range or malformed.
    """
    size = _size(call, least=least, most=most, default=default)
    since, until = _number(call, "since_id"), _number(call, "until_id")
    start, end = _time(call, "start_time"), _time(call, "end_time")
    below = _token_below(call)
    chosen = [
        item
        for item in reversed(items[-reach:])
        if (since is None or int(item.id) > since)
        and (until is None or int(item.id) < until)
        and (start is None or item.created_at >= start)
        and (end is None or item.created_at < end)
        and (below is None or int(item.id) < below)
    ]
    page = chosen[:size]
    meta: dict[str, Any] = {"result_count": len(page)}
    if page:
        meta |= {"newest_id": page[0].id, "oldest_id": page[-1].id}
    if len(chosen) > size:
        meta["next_token"] = _token(page[-1].id)
    return page, meta


def _size(call: Call, *, least: int, most: int, default: int) -> int:
    raw = call.param("max_results")
    if raw is None:
        return default
    if not raw.isdigit() or not least <= int(raw) <= most:
        message = (
            f"The `max_results` query parameter value [{raw}] is not between {least} and {most}"
        )
        raise problems.bad_request(message, max_results=[raw])
    return int(raw)


def _number(call: Call, name: str) -> int | None:
    raw = call.param(name)
    if raw is None:
        return None
    if not raw.isdigit() or len(raw) > _ID_DIGITS:
        message = f"The `{name}` query parameter value [{raw}] is not valid"
        raise problems.bad_request(message, **{name: [raw]})
    return int(raw)


def _time(call: Call, name: str) -> datetime | None:
    raw = call.param(name)
    if raw is None:
        return None
    try:
        return datetime.fromisoformat(raw).astimezone(UTC)
    except ValueError:
        message = f"The `{name}` query parameter value [{raw}] is not a valid RFC3339 time"
        raise problems.bad_request(message, **{name: [raw]}) from None


def _token(item_id: str) -> str:
    return base64.b32encode(f"p{item_id}".encode()).decode().rstrip("=").lower()


def _token_below(call: Call) -> int | None:
    raw = call.param("pagination_token") or call.param("next_token")
    if raw is None:
        return None
    try:
        decoded = base64.b32decode(raw.upper() + "=" * (-len(raw) % 8)).decode()
        return int(decoded.removeprefix("p"))
    except (binascii.Error, ValueError):
        message = f"The `pagination_token` query parameter value [{raw}] is not valid"
        raise problems.bad_request(message, pagination_token=[raw]) from None
