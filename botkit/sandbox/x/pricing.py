"""Charge an app for its calls and for the events that are delivered to it, by X's price list.

A resource that is read or delivered again on the same UTC day is free, and so are failed calls. X
does not say whether it counts by app or by account, nor whether a delivery counts as a read. The
sandbox and the product both assume by app, and yes, each in code of its own.
Source: X API docs, "Pricing", "Post cap" and "X Activity API"; the prices of calls come from the
operations table.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from botkit.sandbox.wire.exchange import as_object

if TYPE_CHECKING:
    from botkit.protocol.api.operations import Operation
    from botkit.sandbox.wire.exchange import Answer, Call
    from botkit.sandbox.world.grants import App
    from botkit.sandbox.world.limits import ApiCaller
    from botkit.sandbox.world.world import Happening, PostRecord, World

__all__ = ["StreamLine", "charge", "charge_delivery", "pay", "posts_read"]

_SUCCESS = range(200, 300)
_POSTS = "Posts: Read"
_MESSAGES = "DM Event: Read"
_PER_EVENT_USD = {
    "post.create": Decimal("0.005"),
    "post.mention.create": Decimal("0.005"),
    "post.reply.create": Decimal("0.005"),
    "post.quote.create": Decimal("0.005"),
    "post.repost.create": Decimal("0.005"),
    "follow.follow": Decimal("0.010"),
    "follow.unfollow": Decimal("0.010"),
    "dm.received": Decimal("0.010"),
}
"""The kinds of events that the sandbox delivers and for which X lists a price."""
_STREAMED_USD = Decimal("0.005")
_LINK_USD = Decimal("0.200")
_SUMMONED_USD = Decimal("0.010")


class StreamLine(NamedTuple):
    """Hold a line of a stream, and what X charges for it: resource class, resource id, price."""

    content: bytes
    resource: tuple[str, str] = ("", "")
    usd: Decimal = Decimal(0)

    @classmethod
    def of(cls, content: bytes, event_type: str, happening: Happening) -> StreamLine:
        """Return the line that delivers an action's event."""
        price = _PER_EVENT_USD.get(event_type, Decimal(0))
        if happening.post is not None:
            return cls(content, (_POSTS, happening.post.id), price)
        if happening.message is not None:
            return cls(content, (_MESSAGES, happening.message.id), price)
        return cls(content, (event_type, f"{happening.actor_id} {happening.target_id}"), price)

    @classmethod
    def of_post(cls, content: bytes, post: PostRecord) -> StreamLine:
        """Return the line of the filtered stream that delivers a post."""
        return cls(content, (_POSTS, post.id), _STREAMED_USD)


def charge_delivery(world: World, app: App, line: StreamLine) -> None:
    """Charge the app for an event that leaves X."""
    if line.usd and _is_new(world, app, *line.resource):
        pay(app, line.usd)


def posts_read(app: App) -> int:
    """Return the number of posts charged to the app; one read on two days counts twice."""
    return sum(price_class == _POSTS for _, price_class, _ in app.billed)


def charge(world: World, operation: Operation, who: ApiCaller, call: Call, answer: Answer) -> None:
    """Charge the app for a successful call."""
    if operation.price_usd is None or answer.status not in _SUCCESS or answer.stream is not None:
        return
    items = _items(answer)
    if operation.id == "createPosts":
        pay(who.app, _post_price(world, items[0]["id"], operation.price_usd))
    elif operation.price_per == "resource":
        each = _read_price(operation, who, call)
        pay(
            who.app,
            each
            * sum(
                _is_new(world, who.app, operation.price_class, str(one.get("id"))) for one in items
            ),
        )
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
    answered = world.posts.get(post.reply_to_id or "")
    return _SUMMONED_USD if answered and _has_summoned(answered, post.author_id) else price


def _has_summoned(answered: PostRecord, account_id: str) -> bool:
    """Return True if the author names the account in the post's text, or quotes it there.

    X does not say if the name that it puts before an answer is enough: the higher price holds.
    """
    if answered.author_id == account_id:
        return False
    return answered.quoted_user_id == account_id or answered.mentions(account_id, explicit=True)


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


def _is_new(world: World, app: App, price_class: str, resource_id: str) -> bool:
    mark = (world.time_on_x().date().isoformat(), price_class, resource_id)
    if mark in app.billed:
        return False
    app.billed.add(mark)
    return True
