"""The bill of an app for the events that X delivers to it, by X's price list.

Source: X API docs, "Pricing", "Post cap" and "X Activity API", read on 2026-08-22. That a delivery
by the stream costs as much as one by webhook, and that a delivered post counts as one that was
read, is assumed.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from botkit.sandbox.world.world import Happening
from botkit.sandbox.x.pricing import StreamLine, charge_delivery
from botkit.sandbox.x.push.envelopes import EVENT_TYPES

USD = {
    "post.create": "0.005",
    "post.mention.create": "0.005",
    "post.reply.create": "0.005",
    "post.quote.create": "0.005",
    "post.repost.create": "0.005",
    "follow.follow": "0.010",
    "follow.unfollow": "0.010",
    "dm.received": "0.010",
}


@pytest.mark.parametrize("kind", sorted(EVENT_TYPES))
def test_a_delivery_costs_what_xs_page_says_for_its_kind(peer, kind):
    happening = Happening(kind="follow", actor_id="1", target_id="2")

    charge_delivery(peer.world, peer.app, StreamLine.of(b"{}", kind, happening))

    assert peer.app.spent_usd == Decimal(USD.get(kind, "0"))


async def test_a_post_is_charged_once_a_day_however_it_comes(peer):
    post = peer.world.add_post(peer.ada.id, "@greeter hi")
    happening = Happening(kind="post", post=post, actor_id=peer.ada.id)
    path = f"/2/users/{peer.greeter.id}/mentions"

    for kind in ("post.mention.create", "post.reply.create"):
        charge_delivery(peer.world, peer.app, StreamLine.of(b"{}", kind, happening))
    await peer.call("GET", path, token=peer.token())
    assert peer.app.spent_usd == Decimal("0.005")

    await peer.clock.advance(24 * 3600)
    await peer.call("GET", path, token=peer.token())
    charge_delivery(peer.world, peer.app, StreamLine.of(b"{}", "post.create", happening))
    assert peer.app.spent_usd == Decimal("0.010")


async def test_the_usage_route_counts_posts_and_nothing_else(peer, read):
    peer.world.add_post(peer.ada.id, "@greeter hi")
    token = peer.token()
    await peer.call("GET", f"/2/users/{peer.greeter.id}/mentions", token=token)
    await peer.call("GET", "/2/users/me", token=token)

    answer = await peer.call("GET", "/2/usage/tweets", token=peer.app.bearer)

    assert read(answer)["data"]["project_usage"] == "1"
