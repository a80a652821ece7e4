"""What a post is to an account."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from botkit.model.events import Mention, PostEvent, PostSeen, Quote, Reply, Repost
from botkit.model.posts import MentionEntity, Post
from botkit.model.users import User
from botkit.protocol.api.objects import PostPage
from botkit.protocol.events.post_events import (
    EPOCH,
    classify,
    event_from_post,
    events_of_page,
    mentions_account,
)

ME = "1111"
ADA = User(id="22", username="ada", name="Ada")


def me(start: int, end: int = 0) -> MentionEntity:
    return MentionEntity(username="Greeter", start=start, end=end or start + 8, id=ME)


def post(text: str, **fields: object) -> Post:
    return replace(Post(id="9", text=text, author_id="22"), **fields)


def event(
    of: Post, *, quoted: Post | None = None, username: str = "", account_id: str = ME
) -> PostEvent:
    return event_from_post(
        of, account_id=account_id, source="test", author=ADA, quoted=quoted, username=username
    )


def test_naming_the_account_in_the_text_is_a_mention() -> None:
    found = event(post("hey @greeter", mentions=(me(4),)))

    assert type(found) is Mention
    assert found.mentions_me
    assert found.is_summoned
    assert not found.is_reply_to_me


def test_a_mention_is_a_mention_even_in_a_reply_or_a_quote_of_the_account() -> None:
    both = post(
        "hey @greeter",
        mentions=(me(4),),
        in_reply_to_user_id=ME,
        quoted_post_id="5",
        quoted_user_id=ME,
    )

    found = event(both)

    assert type(found) is Mention
    assert found.is_reply_to_me
    assert found.quotes_me


def test_the_hidden_names_of_a_reply_are_no_mention() -> None:
    answer = post(
        "@greeter thanks", mentions=(me(0),), display_text_range=(9, 15), in_reply_to_user_id=ME
    )

    assert type(event(answer)) is Reply
    assert not event(answer).is_summoned


def test_a_name_that_the_author_wrote_at_the_start_of_a_reply_is_a_mention() -> None:
    answer = post(
        "@bob @greeter look",
        mentions=(me(5),),
        display_text_range=(5, 18),
        in_reply_to_user_id="33",
    )

    assert type(event(answer)) is Mention


@pytest.mark.parametrize(("end", "expected"), [(3, PostSeen), (4, PostSeen), (5, Mention)])
def test_a_mention_after_the_shown_text_is_none(end: int, expected: type[PostEvent]) -> None:
    found = event(post("hey @greeter", mentions=(me(4),), display_text_range=(0, end)))
    assert type(found) is expected


@pytest.mark.parametrize(
    ("text", "start", "expected"),
    [
        ("@greeter hi", 0, Reply),
        ("@bob @greeter hi", 5, Reply),
        ("@bob hi @greeter", 8, Mention),
        (".@greeter hi", 1, Mention),
    ],
)
def test_without_a_range_the_run_of_names_that_starts_a_reply_is_hidden(
    text: str, start: int, expected: type[PostEvent]
) -> None:
    answer = post(text, mentions=(me(start),), in_reply_to_post_id="8", in_reply_to_user_id=ME)

    assert type(event(answer)) is expected


def test_without_a_range_a_name_at_the_start_of_no_reply_is_a_mention() -> None:
    assert type(event(post("@greeter hi", mentions=(me(0),)))) is Mention


def test_a_quote_of_the_account_is_known_by_the_quoted_posts_author() -> None:
    quote = post("look", quoted_post_id="5")

    assert type(event(quote, quoted=Post(id="5", text="", author_id=ME))) is Quote
    assert type(event(replace(quote, quoted_user_id=ME))) is Quote
    assert type(event(quote, quoted=Post(id="5", text="", author_id="33"))) is PostSeen
    assert event(replace(quote, quoted_user_id=ME)).is_summoned


def test_a_quote_that_nobody_can_tell_is_named_as_missing_the_quoted_post() -> None:
    quote = post("look", quoted_post_id="5", links=("https://x.com/i/status/5", "https://a.com"))

    assert (type(event(quote)), event(quote).missing) == (PostSeen, ("quoted",))
    assert event(quote, username="greeter").missing == ("quoted",)


@pytest.mark.parametrize(("name", "expected"), [("GREETER", Quote), ("bob", PostSeen)])
def test_the_link_to_the_quoted_post_tells_whose_it_is(
    name: str, expected: type[PostEvent]
) -> None:
    quote = post("look", quoted_post_id="5", links=(f"https://twitter.com/{name}/status/5",))

    found = event(quote, username="greeter")

    assert (type(found), found.missing) == (expected, ())


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"reposted_post_id": "5"}, Repost),
        ({"reposted_post_id": "5", "in_reply_to_user_id": ME, "quoted_user_id": ME}, Repost),
        ({}, PostSeen),
    ],
)
def test_a_repost_says_nothing_to_the_account(
    fields: dict[str, object], expected: type[PostEvent]
) -> None:
    """Its text starts with RT and the name of the account, which is no mention."""
    found = event(post("RT @greeter: hello @greeter", mentions=(me(3), me(19)), **fields))

    assert type(found) is expected
    assert not found.mentions_me
    assert not found.is_summoned


@pytest.mark.parametrize(
    ("text", "start", "whose"), [("RT @greeter: a", 3, True), ("RT @ada: @greeter", 9, False)]
)
def test_a_repost_tells_if_it_is_of_a_post_of_the_account(
    text: str, start: int, *, whose: bool
) -> None:
    found = event(post(text, reposted_post_id="5", mentions=(me(start),)))
    assert isinstance(found, Repost)
    assert found.reposts_me is whose


def test_a_repost_does_not_ask_for_the_quoted_post() -> None:
    assert event(post("RT @a: x", reposted_post_id="5", quoted_post_id="6")).missing == ()


def test_the_accounts_own_posts_are_only_seen() -> None:
    own = post("@greeter and on", author_id=ME, mentions=(me(0),), in_reply_to_user_id=ME)

    found = event_from_post(
        own, account_id=ME, source="test", author=User(id=ME, username="greeter", name="G")
    )

    assert type(found) is PostSeen
    assert found.is_reply_to_me


def test_an_own_quote_does_not_ask_for_the_quoted_post() -> None:
    own = post("look", author_id=ME, quoted_post_id="5")

    found = event_from_post(
        own, account_id=ME, source="test", author=User(id=ME, username="greeter", name="G")
    )

    assert found.missing == ()


def test_for_no_account_a_post_is_only_seen() -> None:
    found = event(
        post("hey @greeter", mentions=(MentionEntity(username="greeter"),)), account_id=""
    )

    assert (type(found), found.quotes_me, found.mentions_me) == (PostSeen, False, False)


def test_a_mention_without_an_id_is_known_by_the_username() -> None:
    nameless = post("hey @Greeter", mentions=(MentionEntity(username="Greeter", start=4, end=12),))

    assert mentions_account(nameless, ME, username="greeter")
    assert not mentions_account(nameless, ME)
    assert not mentions_account(nameless, ME, username="bob")


def test_a_post_without_entities_is_searched_for_the_username() -> None:
    bare = post("hey @Greeter")

    assert classify(bare, ME, None, username="greeter") is Mention
    assert classify(bare, ME, None) is PostSeen
    assert classify(post("nothing"), ME, None, username="greeter") is PostSeen


def test_a_missing_author_is_named_and_keeps_the_id() -> None:
    found = event_from_post(post("hi"), account_id=ME, source="test", author=None)

    assert found.author == User(id="22", username="", name="")
    assert found.missing == ("author",)


def test_an_author_without_a_username_is_missing_too() -> None:
    nameless = User(id="22", username="", name="Ada")

    found = event_from_post(post("hi"), account_id=ME, source="test", author=nameless)

    assert (found.author, found.missing) == (nameless, ("author",))


def test_a_post_of_nobody_has_an_author_without_an_id() -> None:
    found = event_from_post(Post(id="9", text="hi"), account_id=ME, source="test", author=None)

    assert found.author.id == ""


def test_when_it_happened_is_what_x_says_or_what_the_id_says() -> None:
    time = datetime(2026, 1, 1, tzinfo=UTC)

    assert event(post("hi", created_at=time)).at == time
    assert event(post("hi", id="2080765813578191303")).at.year == 2026
    assert event(post("hi")).at == EPOCH


def test_a_page_gives_events_oldest_first_with_what_it_included() -> None:
    page = PostPage(
        posts=(
            Post(id="3", text="look", author_id="22", quoted_post_id="5"),
            Post(id="2", text="hi", author_id="33"),
        ),
        users={"22": ADA},
        included={"5": Post(id="5", text="", author_id=ME)},
    )

    events = events_of_page(page, account_id=ME, source="mentions")

    assert [(type(one), one.id, one.missing) for one in events] == [
        (PostSeen, "2", ("author",)),
        (Quote, "3", ()),
    ]
    assert {one.source for one in events} == {"mentions"}
