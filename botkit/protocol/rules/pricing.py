"""Compute the prices of calls, before and after they are made, and of events. All in USD.

The operations table holds the prices of operations. This module adds the variants that a table row
cannot hold, and the prices of activity events, read on 2026-08-22. Prices change: X's console is
the authority on them and on the sum spent.

Source: X API docs, "Pricing"; X API changelog of 2026-04-16.
"""

from __future__ import annotations

from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from msgspec import Struct

from botkit.errors import MalformedAnswer, TransportError
from botkit.model.events import ActivityEvent, DirectMessage, PostEvent
from botkit.protocol.api import requests
from botkit.protocol.api.ids import is_id
from botkit.protocol.api.operations import operation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botkit.errors import BotkitError
    from botkit.model.events import XEvent
    from botkit.protocol.api.requests import Request

__all__ = [
    "EVENT_PRICES_USD",
    "LINK_POST_USD",
    "PRICES_READ_ON",
    "SUMMONED_REPLY_USD",
    "Charge",
    "charge_of_answer",
    "charge_of_event",
    "charge_of_owner_check",
    "event_price_usd",
    "is_by_resource",
    "may_have_charged",
    "most_usd",
    "price_usd",
    "resources_of",
]

PRICES_READ_ON = "2026-08-22"

SUMMONED_REPLY_USD = Decimal("0.010")
"""A reply to a post whose author mentioned or quoted the account."""

LINK_POST_USD = Decimal("0.200")
"""A post with a link. The changelog can be read so that a summoned reply with a link costs less;
a budget assumes that it does not."""

_POSTS = "Posts: Read"
_MESSAGES = "DM Event: Read"
_FREE = Decimal(0)
_FULL_PAGE = 100
_NOTHING_SENT = frozenset({"dns", "connect", "tls"})
"""The kinds of `TransportError` after which X has surely not seen the call."""
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


class Charge(Struct, frozen=True, kw_only=True, gc=False):
    """Hold X's charge for an answer or a delivery.

    Attributes:
        each_usd: The price of each of the resources.
        resources: The names of the resources, such as `Posts: Read/123`. X charges each once for
            each app and UTC day; "" stands for one that X charges each time.
    """

    each_usd: Decimal = _FREE
    resources: tuple[str, ...] = ()


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


def most_usd(request: Request) -> Decimal:
    """Return the most that the answer to a call that only reads can cost; 0 for a write.

    Raises:
        KeyError: The request's operation is not in the table.
    """
    called = operation(request.operation)
    if request.method != "GET" or not called.price_usd:
        return _FREE
    if called.price_per != "resource":
        return called.price_usd
    if called.path.endswith(("}", "/me")):
        return called.price_usd
    given = dict(request.query)
    named = given.get("ids") or given.get("usernames")
    if named:
        return called.price_usd * len(named.split(","))
    asked = given.get("max_results", "")
    return called.price_usd * (int(asked) if asked.isdecimal() else _FULL_PAGE)


def may_have_charged(error: BotkitError) -> bool:
    """Return True if X may have charged for a read that failed so: its answer was lost."""
    if isinstance(error, TransportError):
        return error.kind not in _NOTHING_SENT
    return isinstance(error, MalformedAnswer)


def is_by_resource(request: Request) -> bool:
    """Return True if X charges the answer by resource, each once a day; else each call costs.

    Raises:
        KeyError: The request's operation is not in the table.
    """
    return operation(request.operation).price_per == "resource"


def resources_of(request: Request, *, account_id: str) -> tuple[str, ...]:
    """Return the resources that a read names by their ids; none if only the answer shows them.

    Raises:
        KeyError: The request's operation is not in the table.
    """
    called = operation(request.operation)
    match called.id:
        case "getUsersMe":
            ids = [account_id] if account_id else []
        case "getUsersById" | "getPostsById":
            ids = [request.path.rpartition("/")[2]]
        case "getUsersByIds" | "getPostsByIds":
            ids = dict(request.query).get("ids", "").split(",")
        case _:
            ids = []
    return tuple(_resource(called.price_class, one) for one in ids if is_id(one))


def charge_of_answer(request: Request, data: object) -> Charge:
    """Return X's charge for the successful answer to a call; `data` is the answer's `data`.

    The charge also names resources that were read or delivered earlier on the same UTC day: the
    caller knows which ones are paid for. X does not say whether it counts by app or by account,
    nor whether a delivered post counts as read. botkit assumes by app, and yes.

    Raises:
        KeyError: The request's operation is not in the table.
    """
    called = operation(request.operation)
    if called.price_per != "resource":
        return Charge(each_usd=price_usd(request), resources=("",))
    items = cast("list[object]", data) if isinstance(data, list) else [data]
    return Charge(
        each_usd=called.price_usd or _FREE,
        resources=tuple(
            _resource(called.price_class, _id_of(item)) for item in items if item is not None
        ),
    )


def charge_of_owner_check(user_id: str) -> Charge:
    """Return X's charge for a call of `users/me` that shows this user as the token's owner."""
    return charge_of_answer(requests.get_me(), {"id": user_id})


def charge_of_event(event: XEvent) -> Charge:
    """Return X's charge for the delivery of an activity event; nothing if X lists no price.

    A delivered post or message counts as the same resource as one that is read. This is assumed,
    because X says that it deduplicates deliveries as it does reads. Any other event is a resource
    named by its key.
    """
    match event:
        case PostEvent():
            return Charge(each_usd=_POST, resources=(_resource(_POSTS, event.post.id),))
        case DirectMessage():
            price = event_price_usd("dm.sent" if event.sent_by_me else "dm.received")
            return _charge(price, _resource(_MESSAGES, event.message.id))
        case ActivityEvent():
            is_post = event.kind.startswith("post.")
            resource = _resource(_POSTS, event.subject_id) if is_post else event.key
            return _charge(event_price_usd(event.kind), resource)
        case _:
            return Charge()


def event_price_usd(kind: str) -> Decimal | None:
    """Return the price of one delivered activity event; None if X lists none for the kind.

    X prices events that come by webhook and does not mention the stream: the same is assumed.
    """
    while kind:
        if kind in EVENT_PRICES_USD:
            return EVENT_PRICES_USD[kind]
        kind = kind.rpartition(".")[0]
    return None


def _charge(price_usd: Decimal | None, resource: str) -> Charge:
    return Charge(each_usd=price_usd, resources=(resource,)) if price_usd else Charge()


def _resource(price_class: str, resource_id: str) -> str:
    return f"{price_class}/{resource_id}" if resource_id else ""


def _id_of(item: object) -> str:
    """Return the id of an object in an answer, "" if it has none."""
    value = cast("dict[str, object]", item).get("id") if isinstance(item, dict) else None
    return value if isinstance(value, str) else ""
