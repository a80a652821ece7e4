from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from botkit.errors import BotkitError, MalformedAnswer, ServerError, TransportError
from botkit.model.events import DirectMessage, GrantRevoked, Mention, UnknownEvent, XEvent
from botkit.model.messages import Message
from botkit.model.posts import Post
from botkit.model.users import User
from botkit.protocol.api import push_requests, requests
from botkit.protocol.api.operations import all_operations
from botkit.protocol.api.raw_calls import raw_call
from botkit.protocol.api.requests import Request
from botkit.protocol.rules import pricing
from botkit.protocol.rules.pricing import (
    Charge,
    charge_of_answer,
    charge_of_event,
    charge_of_owner_check,
    event_price_usd,
    price_usd,
)


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
        (push_requests.create_subscription("dm.received", user_id="1", tag="t"), "0"),
        (push_requests.activity_stream(), "0"),
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


@pytest.mark.parametrize(
    ("request_", "data", "usd", "resources"),
    [
        (requests.get_mentions("1"), [{"id": "7"}, {"id": "8"}], "0.005", ("7", "8")),
        (requests.get_post("7"), {"id": "7"}, "0.005", ("7",)),
        (requests.get_mentions("1"), None, "0.005", ()),
        (requests.get_mentions("1"), [], "0.005", ()),
    ],
)
def test_a_read_is_charged_by_the_posts_that_came(
    request_: Request, data: object, usd: str, resources: tuple[str, ...]
) -> None:
    assert charge_of_answer(request_, data) == Charge(
        each_usd=Decimal(usd), resources=tuple(f"Posts: Read/{one}" for one in resources)
    )


@pytest.mark.parametrize("item", ["7", {}, {"id": 7}])
def test_an_object_without_an_id_is_charged_each_time(item: object) -> None:
    charge = charge_of_answer(requests.get_users(["7"]), [item])
    assert charge == Charge(each_usd=Decimal("0.010"), resources=("",))


def test_a_call_that_is_charged_as_a_whole_is_charged_each_time() -> None:
    assert charge_of_answer(requests.delete_post("1"), {"deleted": True}) == Charge(
        each_usd=Decimal("0.005"), resources=("",)
    )
    assert charge_of_answer(requests.get_usage(), {"project_id": "1"}) == Charge(
        each_usd=Decimal(0), resources=("",)
    )


def test_whose_a_token_is_costs_one_user() -> None:
    charge = Charge(each_usd=Decimal("0.010"), resources=("User: Read/7",))
    assert charge_of_owner_check("7") == charge


AT = datetime(2026, 11, 30, tzinfo=UTC)
POST = Mention(
    account_id="1",
    at=AT,
    post=Post(id="7", text="hi"),
    author=User(id="2", username="ada", name="Ada"),
)


def message(sender: str) -> DirectMessage:
    sent = Message(id="9", conversation_id="1-2", text="hi", sender_id=sender)
    return DirectMessage(
        account_id="1", at=AT, message=sent, sender=User(id=sender, username="u", name="U")
    )


def unknown(kind: str, subject_id: str = "7") -> UnknownEvent:
    return UnknownEvent(account_id="1", at=AT, kind=kind, subject_id=subject_id, actor_id="2")


@pytest.mark.parametrize(
    ("event", "charge"),
    [
        # X's activity events page bills a mention, reply or quote "as a Post".
        (POST, ("0.005", "Posts: Read/7")),
        (message("2"), ("0.010", "DM Event: Read/9")),
        (message("1"), None),
        (unknown("post.repost.create"), ("0.005", "Posts: Read/7")),
        (unknown("post.repost.create", ""), ("0.005", "")),
        (unknown("follow.follow"), ("0.010", "follow.follow/7/2")),
        (unknown("post.delete"), None),
        (unknown("like.create"), None),
        (GrantRevoked(account_id="1", at=AT, user_id="1"), None),
    ],
)
def test_a_delivery_is_charged_as_its_post_or_message_is(
    event: XEvent, charge: tuple[str, str] | None
) -> None:
    expected = Charge()
    if charge is not None:
        expected = Charge(each_usd=Decimal(charge[0]), resources=(charge[1],))
    assert charge_of_event(event) == expected


def test_the_prices_of_events_are_those_of_xs_page() -> None:
    """X API docs, "Pricing", read 2026-08-22; 0 stands for what X lists as free."""
    told = {kind: str(price) for kind, price in pricing.EVENT_PRICES_USD.items()}
    assert told == {
        "post.create": "0.005",
        "post.mention.create": "0.005",
        "post.reply.create": "0.005",
        "post.quote.create": "0.005",
        "post.repost.create": "0.005",
        "post.delete": "0",
        "follow.follow": "0.010",
        "follow.unfollow": "0.010",
        "profile.update": "0.005",
        "mute": "0.001",
        "block": "0.001",
        "news.new": "0.005",
        "spaces.start": "0.005",
        "spaces.end": "0.005",
        "chat.received": "0.010",
        "chat.sent": "0",
        "chat.conversation_join": "0",
        "chat.conversation.join": "0",
        "dm.received": "0.010",
        "dm.sent": "0",
        "dm.read": "0",
        "dm.indicate_typing": "0",
    }


@pytest.mark.parametrize(
    ("request_", "most"),
    [
        (requests.get_mentions("1", max_results=50), "0.250"),
        (requests.get_users(["7", "8"]), "0.020"),
        (requests.get_users_by(["ada", "bob", "carl"]), "0.030"),
        (requests.get_me(), "0.010"),
        (requests.get_post("7"), "0.005"),
        (raw_call("getUsersFollowers", path={"id": "7"}, query=None), "1.000"),
        (raw_call("getPostsCountsRecent", path=None, query={"query": "cats"}), "0.005"),
        (requests.get_usage(), "0"),
        (requests.create_post("hi"), "0"),
    ],
)
def test_the_most_that_a_read_can_cost_is_that_of_a_full_answer(
    request_: Request, most: str
) -> None:
    assert pricing.most_usd(request_) == Decimal(most)


@pytest.mark.parametrize(
    ("request_", "names"),
    [
        (requests.get_me(), ("User: Read/1",)),
        (requests.get_post("7"), ("Posts: Read/7",)),
        (raw_call("getUsersById", path={"id": "7"}, query=None), ("User: Read/7",)),
        (requests.get_users(["7", "8"]), ("User: Read/7", "User: Read/8")),
        (
            raw_call("getPostsByIds", path=None, query={"ids": ["7", "8"]}),
            ("Posts: Read/7", "Posts: Read/8"),
        ),
        (requests.get_users_by(["ada"]), ()),
        (requests.get_mentions("1", max_results=50), ()),
    ],
)
def test_the_resources_of_a_read_are_known_before_it_if_it_names_their_ids(
    request_: Request, names: tuple[str, ...]
) -> None:
    assert pricing.resources_of(request_, account_id="1") == names


def test_who_an_app_token_belongs_to_is_not_known_before() -> None:
    assert pricing.resources_of(requests.get_me(), account_id="") == ()


@pytest.mark.parametrize(
    ("error", "may"),
    [
        (TransportError("no", kind="dns"), False),
        (TransportError("no", kind="connect"), False),
        (TransportError("no", kind="tls"), False),
        (TransportError("no", kind="timeout"), True),
        (TransportError("no", kind="reset"), True),
        (MalformedAnswer("no", request="", status=200), True),
        (ServerError("no", request="", status=503), False),
    ],
)
def test_a_read_may_have_been_charged_if_its_answer_was_lost(
    error: BotkitError, *, may: bool
) -> None:
    assert pricing.may_have_charged(error) is may
