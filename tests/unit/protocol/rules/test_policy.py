"""What X allows an automated account to send, and what proves that it was sent."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from msgspec.structs import replace

from botkit.errors import (
    LinkNotAllowed,
    NotSummoned,
    TextTooLong,
    TooManyCashtags,
    UnsolicitedMention,
)
from botkit.model.events import Mention, PostSeen, Quote, Reply
from botkit.model.posts import MentionEntity, Post
from botkit.model.records import StoredWrite, WriteState
from botkit.model.users import User
from botkit.protocol.rules.policy import (
    PostRules,
    check_post,
    shows_write,
    summons_of,
)
from botkit.text import keep_from_linking

ME = "1111"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ADA = User(id="22", username="ada", name="Ada")
NAMED = MentionEntity(username="greeter", start=4, end=12, id=ME)
POST = Post(id="9", text="hey @greeter", author_id="22", mentions=(NAMED,))
MENTION = Mention(account_id=ME, at=NOW, post=POST, author=ADA, mentions_me=True)
ANSWER = Post(id="9", text="thanks", author_id="22", in_reply_to_user_id=ME)


def test_who_is_summoned_may_reply_and_name_who_summoned() -> None:
    assert check_post("Hello @Ada! I am @greeter.", account_id=ME, event=MENTION) == "yes"


def test_a_post_of_its_own_needs_no_summons() -> None:
    assert check_post("good morning", account_id=ME) == ""


@pytest.mark.parametrize(
    ("event", "summons"),
    [
        (MENTION, "yes"),
        (
            Quote(
                account_id=ME, at=NOW, post=replace(POST, mentions=()), author=ADA, quotes_me=True
            ),
            "yes",
        ),
        (Reply(account_id=ME, at=NOW, post=ANSWER, author=ADA), "assumed"),
    ],
)
def test_an_event_says_who_summoned(event: Mention | Quote | Reply, summons: str) -> None:
    assert check_post("hi", account_id=ME, event=event) == summons


@pytest.mark.parametrize(
    ("post", "summons"),
    [
        (POST, "yes"),
        (replace(POST, mentions=(), quoted_user_id=ME), "yes"),
        (ANSWER, "assumed"),
        (Post(id="9", text="mine", author_id=ME), "own"),
        (Post(id="9", text="hi", author_id="22"), ""),
    ],
)
def test_a_bare_post_says_who_summoned(post: Post, summons: str) -> None:
    assert summons_of(post, account_id=ME) == summons


def test_who_is_not_summoned_is_refused_with_the_cure() -> None:
    stranger = PostSeen(
        account_id=ME, at=NOW, post=Post(id="9", text="x", author_id="22"), author=ADA
    )

    with pytest.raises(NotSummoned, match="post 9 neither mentioned nor quoted") as refused:
        check_post("hi", account_id=ME, event=stranger)

    assert "answer a Mention" in refused.value.hint


def test_a_text_over_the_limit_is_refused_with_both_numbers() -> None:
    assert check_post("x" * 280, account_id=ME) == ""
    with pytest.raises(TextTooLong, match="weighs 281, X takes 280"):
        check_post("x" * 281, account_id=ME)
    assert check_post("x" * 281, account_id=ME, rules=PostRules(limit=25_000)) == ""


def test_the_name_of_who_is_answered_weighs_nothing_at_the_start() -> None:
    assert check_post("@ada " + "x" * 280, account_id=ME, event=MENTION) == "yes"


def test_a_second_cashtag_is_refused() -> None:
    assert check_post("$A is up", account_id=ME) == ""
    with pytest.raises(TooManyCashtags, match=r"2 cashtags \(\$A \$B\)"):
        check_post("$A and $B", account_id=ME)


def test_naming_a_stranger_is_refused() -> None:
    with pytest.raises(UnsolicitedMention, match="@bob"):
        check_post("hi @ada and @bob", account_id=ME, event=MENTION)
    with pytest.raises(UnsolicitedMention, match="@bob"):
        check_post("hi @bob", account_id=ME)
    assert (
        check_post("hi @Bob", account_id=ME, rules=PostRules(may_mention=frozenset({"bob"}))) == ""
    )
    assert (
        check_post("hi @bob", account_id=ME, rules=PostRules(may_mention=frozenset({"Bob"}))) == ""
    )


def test_a_bare_post_hides_its_authors_name_so_that_one_name_is_let_pass() -> None:
    assert check_post("hi @ada", account_id=ME, answers=POST) == "yes"
    with pytest.raises(UnsolicitedMention, match="@bob"):
        check_post("hi @ada @bob", account_id=ME, answers=POST)


def test_an_author_without_a_name_yet_allows_none() -> None:
    nameless = replace(MENTION, author=User(id="22", username="", name=""))

    with pytest.raises(UnsolicitedMention):
        check_post("hi @ada", account_id=ME, event=nameless)


@pytest.mark.parametrize(
    "text",
    ["Use asyncio.run and see e.g. node.js", "README.md", "x.com/a?to=https://b"],
)
def test_a_domain_that_x_would_link_is_refused_with_its_price_and_cure(text: str) -> None:
    rules = PostRules(bare_links=False)

    with pytest.raises(LinkNotAllowed, match=r"0\.200 USD") as refused:
        check_post(text, account_id=ME, rules=rules)
    assert "keep_from_linking" in (refused.value.hint or "")
    assert check_post("see https://a.com/node.js", account_id=ME, rules=rules) == ""
    assert check_post(keep_from_linking(text), account_id=ME, rules=rules) == ""


def test_links_can_be_switched_off() -> None:
    assert check_post("see a.com", account_id=ME) == ""
    assert check_post("see", account_id=ME, rules=PostRules(links=False)) == ""
    with pytest.raises(LinkNotAllowed, match=r"a\.com"):
        check_post("see a.com", account_id=ME, rules=PostRules(links=False))


def write(text: str = "Hello!", *, target: str = "9", **body: object) -> StoredWrite:
    return StoredWrite(
        id="w",
        account_id=ME,
        operation="createPosts",
        target=target,
        body=msgspec.json.encode({"text": text, **body}),
        state=WriteState.UNCERTAIN,
        text=text,
        created_at=NOW,
    )


def shown(text: str, **fields: object) -> Post:
    return replace(Post(id="10", text=text, author_id=ME, in_reply_to_post_id="9"), **fields)


def test_the_same_text_in_answer_to_the_same_post_is_the_write() -> None:
    assert shows_write(write(), shown("@ada Hello!"))
    assert shows_write(write("@ada Hello!"), shown("@ada @bob  Hello! "))
    assert shows_write(write(), replace(shown("Hello!"), author_id=None))


@pytest.mark.parametrize(
    "fields",
    [
        {"in_reply_to_post_id": "8"},
        {"in_reply_to_post_id": None},
        {"author_id": "22"},
        {"reposted_post_id": "5"},
        {"media_count": 1},
    ],
)
def test_another_target_author_or_picture_is_another_post(fields: dict[str, object]) -> None:
    assert not shows_write(write(), shown("Hello!", **fields))


@pytest.mark.parametrize(
    ("sent", "count", "shows"),
    [
        ((), 0, True),
        ((), 1, False),
        (("5",), 1, True),
        (("5",), 2, False),
        (("5", "6"), 1, False),
        (("5", "6"), 2, True),
        (("5",), 0, True),  # X's answer does not tell of media: that proves nothing
    ],
)
def test_a_post_shows_the_write_if_it_has_as_many_pictures(
    sent: tuple[str, ...], count: int, *, shows: bool
) -> None:
    media = {"media": {"media_ids": list(sent)}} if sent else {}
    assert shows_write(write(**media), shown("Hello!", media_count=count)) is shows


@pytest.mark.parametrize("text", ["Hello?", "", "Hello!\ufffc"])
def test_another_text_is_another_post(text: str) -> None:
    assert not shows_write(write(), shown(text))


def test_a_character_that_stands_for_links_fools_nobody() -> None:
    assert not shows_write(write("a \ufffc b"), shown("a https://a.com b", links=()))


def test_a_post_of_its_own_keeps_the_names_it_starts_with() -> None:
    own = write("@ada Hello!", target="")

    assert shows_write(own, shown("@ada Hello!", in_reply_to_post_id=None))
    assert not shows_write(own, shown("@bob Hello!", in_reply_to_post_id=None))


def test_a_text_is_found_as_x_rewrites_it() -> None:
    sent = write("a < b & c: example.com/%C3%A4?x=1 or HTTPS://A.com/")
    post = shown(
        "@ada a < b & c: https://t.co/1 or https://t.co/2",
        links=("http://example.com/\u00e4?x=1", "https://a.com"),
    )

    assert shows_write(sent, post)
    assert not shows_write(sent, replace(post, links=("http://example.com/b", "https://a.com")))
    assert shows_write(sent, replace(post, links=()))


@pytest.mark.parametrize(
    ("written", "link"),
    [
        ("\u8a73\u3057\u304f\u306f https://example.com\u3092\u3054\u89a7", "https://example.com"),
        ("tagesschau.berlin", "http://tagesschau.berlin"),
        ("use d3.select(node)", "http://d3.select"),
        ("see https://a.de/x.", "https://a.de/x"),
        ("a.de and b", "http://a.de"),
    ],
)
def test_a_post_is_found_by_the_links_that_x_says_it_has(written: str, link: str) -> None:
    shown_link = link if link in written else link.removeprefix("http://")
    start = written.index(shown_link)
    text = "@ada " + written.replace(shown_link, "https://t.co/1")
    span = (start + 5, start + 5 + len("https://t.co/1"))
    post = shown(text, links=(link,), link_spans=(span,))

    assert shows_write(write(written), post)
    assert shows_write(write(written), replace(post, link_spans=()))
    assert shows_write(write(written), replace(post, link_spans=(), links=()))
    assert not shows_write(write(written + "!"), post)
    assert not shows_write(write(written), replace(post, links=(f"{link}x",)))


def test_a_link_that_x_does_not_name_is_text() -> None:
    post = shown("server.local https://t.co/1", links=("http://a.de",), link_spans=((13, 27),))

    assert shows_write(write("server.local a.de"), post)
    assert shows_write(write("server.local https://t.co/1"), post)
    assert not shows_write(write("server.remote a.de"), post)
    assert not shows_write(write("server.local word"), post)


def test_the_link_that_x_adds_for_media_or_a_quote_does_not_count() -> None:
    added = shown(
        "Hello! https://t.co/1", links=("https://x.com/greeter/status/10/photo/1",), media_count=1
    )

    assert shows_write(write(media={"media_ids": ["5"]}), added)
    assert shows_write(write(media={"media_ids": ["5"]}), replace(added, links=()))
    assert not shows_write(write(media={"media_ids": ["5", "6"]}), added)
    assert not shows_write(write(), shown("Hello! https://t.co/1", links=("https://a.com",)))
    assert not shows_write(write(), shown("Hello! https://t.co/1 more", links=()))


def test_a_link_that_x_does_not_tell_ends_at_white_space() -> None:
    assert shows_write(write("a.de c"), shown("https://t.co/1 c", links=()))
    assert not shows_write(write("a.de b c"), shown("https://t.co/1 c", links=()))


def test_a_link_more_or_less_in_the_middle_is_another_text() -> None:
    assert not shows_write(write("a https://a.com b"), shown("a b"))


def test_a_quote_is_the_write_only_for_the_quoted_post() -> None:
    quote = write("look", target="", quote_tweet_id="7")
    post = shown("look", in_reply_to_post_id=None, quoted_post_id="7")

    assert shows_write(quote, post)
    assert not shows_write(quote, replace(post, quoted_post_id="8"))


def test_a_post_that_x_shows_as_a_quote_for_its_link_is_the_write_still() -> None:
    post = shown("look https://t.co/1", links=("https://x.com/ada/status/7",), quoted_post_id="7")

    assert shows_write(write("look https://x.com/ada/status/7"), post)


def test_a_long_text_that_x_cut_is_compared_as_far_as_it_goes() -> None:
    long = "word " * 100
    cut = shown("word " * 40 + "wo\u2026 https://t.co/1", links=())

    assert shows_write(write(long), cut)
    assert not shows_write(write("other " * 100), cut)
    assert not shows_write(write("word " * 40 + "other"), cut)
    assert not shows_write(write("Hello"), shown("Hel\u2026"))
    assert shows_write(write("x" * 300), shown("x" * 99 + "\u2026"))
    assert not shows_write(write("x" * 300), shown("x" * 98 + "\u2026"))


@pytest.mark.parametrize("body", [b"", b"[1]", b'{"text":null,"media":5}'])
def test_a_body_that_does_not_say_is_compared_by_the_rows_text(body: bytes) -> None:
    assert shows_write(replace(write(), body=body), shown("Hello!"))
