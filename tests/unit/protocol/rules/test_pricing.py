from __future__ import annotations

from decimal import Decimal

import pytest

from botkit.protocol.api import requests
from botkit.protocol.api.operations import all_operations
from botkit.protocol.api.requests import Request
from botkit.protocol.rules.pricing import event_price_usd, price_usd


@pytest.mark.parametrize(
    ("request_", "usd"),
    [
        (requests.create_post("hi"), "0.015"),
        (requests.create_post("hi", in_reply_to="1"), "0.015"),
        (requests.create_post("hi", in_reply_to="1", summoned=True), "0.010"),
        (requests.create_post("hi a.example", has_link=True), "0.200"),
        (requests.create_post("hi", in_reply_to="1", summoned=True, has_link=True), "0.200"),
        (requests.send_message(participant_id="1", text="hi"), "0.015"),
        (requests.delete_post("1"), "0.005"),
        (requests.get_me(), "0.010"),
        (requests.get_post("1"), "0.005"),
        (requests.get_users(["1", "2"]), "0.020"),
        (requests.get_mentions("1"), "0.500"),
        (requests.get_mentions("1", max_results=5), "0.025"),
        (requests.get_dm_events(max_results=10), "0.100"),
        (requests.create_subscription("dm.received", user_id="1", tag="t"), "0"),
        (requests.activity_stream(), "0"),
        (requests.get_usage(), "0"),
    ],
)
def test_a_call_costs_what_xs_page_says(request_: Request, usd: str) -> None:
    assert price_usd(request_) == Decimal(usd)


def test_reading_about_oneself_as_the_apps_owner_costs_less_where_x_says_so() -> None:
    assert price_usd(requests.get_mentions("1"), owned=True) == Decimal("0.100")
    assert price_usd(requests.get_user_posts("1", max_results=5), owned=True) == Decimal("0.005")
    assert price_usd(requests.get_me(), owned=True) == Decimal("0.010")
    assert price_usd(requests.create_post("hi"), owned=True) == Decimal("0.015")


def test_owned_reads_are_the_twelve_lists_that_x_names() -> None:
    owned = {found.path for found in all_operations() if found.owned_read_usd is not None}
    lists = [
        "tweets",
        "mentions",
        "liked_tweets",
        "bookmarks",
        "followers",
        "following",
        "blocking",
        "muting",
        "owned_lists",
        "followed_lists",
        "list_memberships",
        "pinned_lists",
    ]
    assert owned == {f"/2/users/{{id}}/{name}" for name in lists}
    assert {
        found.owned_read_usd for found in all_operations() if found.owned_read_usd is not None
    } == {Decimal("0.001")}


def test_a_call_that_the_table_does_not_have_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        price_usd(Request(operation="createTweets", method="POST", path="/2/tweets"))


@pytest.mark.parametrize(
    ("kind", "usd"),
    [
        ("post.create", "0.005"),
        ("post.mention.create", "0.005"),
        ("post.delete", "0"),
        ("follow.follow", "0.010"),
        ("profile.update.bio", "0.005"),
        ("mute.unmute", "0.001"),
        ("block.block", "0.001"),
        ("dm.received", "0.010"),
        ("dm.sent", "0"),
        ("chat.conversation_join", "0"),
        ("spaces.start", "0.005"),
        ("like.create", None),
        ("something.new", None),
        ("", None),
    ],
)
def test_an_event_costs_what_xs_page_says(kind: str, usd: str | None) -> None:
    assert event_price_usd(kind) == (None if usd is None else Decimal(usd))
