"""The prices of calls and events, before they are made. All in USD, read on 2026-08-22.

The prices of operations stand in the operations table; this module has the variants that a table
row cannot hold, and the prices of activity events. Prices change: X's console is the authority, on
them and on the sum that was spent.

Source: X API docs, "Pricing"; X API changelog of 2026-04-16.
"""

from __future__ import annotations

from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING

from botkit.protocol.api.operations import operation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botkit.protocol.api.requests import Request

__all__ = [
    "EVENT_PRICES_USD",
    "LINK_POST_USD",
    "PRICES_READ_ON",
    "SUMMONED_REPLY_USD",
    "event_price_usd",
    "price_usd",
]

PRICES_READ_ON = "2026-08-22"

SUMMONED_REPLY_USD = Decimal("0.010")
"""A reply to a post whose author mentioned or quoted the account."""

LINK_POST_USD = Decimal("0.200")
"""A post with a link. The changelog can be read so that a summoned reply with a link costs less;
a budget assumes that it does not."""

_FREE = Decimal(0)
_POST = Decimal("0.005")
_USER = Decimal("0.010")
_RELATION = Decimal("0.001")

EVENT_PRICES_USD: Mapping[str, Decimal] = MappingProxyType(
    {
        "post.create": _POST,
        "post.mention.create": _POST,
        "post.reply.create": _POST,
        "post.quote.create": _POST,
        "post.repost.create": _POST,
        "post.delete": _FREE,
        "follow.follow": _USER,
        "follow.unfollow": _USER,
        "profile.update": Decimal("0.005"),
        "mute": _RELATION,
        "block": _RELATION,
        "news.new": Decimal("0.005"),
        "spaces.start": Decimal("0.005"),
        "spaces.end": Decimal("0.005"),
        "chat.received": Decimal("0.010"),
        "chat.sent": _FREE,
        "chat.conversation_join": _FREE,
        "chat.conversation.join": _FREE,
        "dm.received": Decimal("0.010"),
        "dm.sent": _FREE,
        "dm.read": _FREE,
        "dm.indicate_typing": _FREE,
    }
)
"""For each delivered event, by its kind or by the group that the kind belongs to."""


def price_usd(request: Request, *, owned: bool = False) -> Decimal:
    """Return the most that a call can cost; 0 if X names no price for it.

    A read costs for each resource, so `request.resources` counts. X does not charge a resource
    twice on the same UTC day, so this is the upper end. `owned` means that the account reads about
    itself and owns the app, which is cheaper for some operations of the table.

    Raises:
        KeyError: The request's operation is not in the table.
    """
    called = operation(request.operation)
    if called.id == "createPosts":
        if request.has_link:
            return LINK_POST_USD
        if request.summoned:
            return SUMMONED_REPLY_USD
    price = called.price_usd
    if owned and called.owned_read_usd is not None:
        price = called.owned_read_usd
    if price is None:
        return _FREE
    return price * request.resources if called.price_per == "resource" else price


def event_price_usd(kind: str) -> Decimal | None:
    """Return the price of one delivered activity event; None if X lists none for the kind.

    X prices events that come by webhook and does not mention the stream: the same is assumed.
    """
    while kind:
        if kind in EVENT_PRICES_USD:
            return EVENT_PRICES_USD[kind]
        kind = kind.rpartition(".")[0]
    return None
