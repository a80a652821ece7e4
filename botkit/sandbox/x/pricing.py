"""Charges an app for its calls, by X's price list.

A resource that is read again on the same UTC day is free, and so are failed calls.
Source: X API docs, "Pricing" and "Post cap"; the prices come from the operations table.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from botkit.sandbox.wire.exchange import as_object

if TYPE_CHECKING:
    from botkit.protocol.api.operations import Operation
    from botkit.sandbox.wire.exchange import Answer, Call
    from botkit.sandbox.world.grants import App
    from botkit.sandbox.world.limits import ApiCaller
    from botkit.sandbox.world.world import World

__all__ = ["charge", "pay"]

_SUCCESS = range(200, 300)
_LINK_USD = Decimal("0.200")
_SUMMONED_USD = Decimal("0.010")


def charge(world: World, operation: Operation, who: ApiCaller, call: Call, answer: Answer) -> None:
    """Charge the app for a successful call."""
    if operation.price_usd is None or answer.status not in _SUCCESS or answer.stream is not None:
        return
    items = _items(answer)
    if operation.id == "createPosts":
        pay(who.app, _post_price(world, items[0]["id"], operation.price_usd))
    elif operation.price_per == "resource":
        each = _read_price(operation, who, call)
        pay(who.app, each * sum(_is_new(world, who.app, operation, one) for one in items))
    else:
        pay(who.app, operation.price_usd)


def pay(app: App, amount: Decimal) -> None:
    """Charge the app this amount."""
    app.spent_usd += amount
    if app.credits_usd is not None:
        app.credits_usd -= amount


def _post_price(world: World, post_id: str, price: Decimal) -> Decimal:
    post = world.posts[post_id]
    if post.links:
        return _LINK_USD
    if post.reply_to_id and post.reply_to_user_id != post.author_id:
        return _SUMMONED_USD
    return price


def _read_price(operation: Operation, who: ApiCaller, call: Call) -> Decimal:
    owned = operation.owned_read_usd
    own = who.user is not None and f"/users/{who.user.id}/" in call.path
    if owned is not None and own and who.user is not None and who.app.owner_id == who.user.id:
        return owned
    return operation.price_usd or Decimal(0)


def _items(answer: Answer) -> list[dict[str, Any]]:
    """Return the resources in an answer's `data`, which is one resource or a list."""
    data: Any = (as_object(answer.body) or {}).get("data") or []
    return cast("list[dict[str, Any]]", data if isinstance(data, list) else [data])


def _is_new(world: World, app: App, operation: Operation, item: dict[str, Any]) -> bool:
    day = world.clock.now().date().isoformat()
    mark = f"{day} {operation.price_class} {item.get('id')}"
    if mark in app.billed:
        return False
    app.billed.add(mark)
    return True
