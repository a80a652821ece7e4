"""How X weighs and reads a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botkit.model.posts import MentionEntity
from botkit.protocol.text.weighted_length import (
    cashtags_in,
    leading_names,
    mentions_in,
    normalise,
    text_hash,
    usernames_in,
    weighted_length,
    without_leading_names,
)

GENERAL_PUNCTUATION = (
    "This is a tweet with general punctuation characters: "
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u200c\u200d "
    "\u2010 \u2011 \u2012 \u2013 \u2014 \u2015 \u2016  \u2017 \u2018 \u2019 \u201a \u201b \u201c \u201d "
    "\u201e \u201f \u2032 \u2033 \u2034 \u2035 \u2036 \u2037"
)


@pytest.mark.parametrize(
    ("text", "weight"),
    [
        ("", 0),
        ("Hello, world! \U0001f44b", 16),
        ("This is a test.", 15),
        ("Hi http://test.co", 26),
        ("test.com", 23),
        ("Test https://test.com test https://test.com test.com test", 86),
        ("\u6545\u4eba\u897f\u8f9e\u9ec4\u9e64\u697c", 14),
        ("A\u0301B", 2),
        (GENERAL_PUNCTUATION, 112),
        ("\U0001f637\U0001f47e\U0001f621\U0001f525\U0001f4a9", 10),
        ("\u2026", 2),
        ("\u00a9 2026", 6),
        ("\u00a9\ufe0f", 2),
        ("\u2764\ufe0e", 4),
    ],
)
def test_a_text_weighs_what_x_says(text: str, weight: int) -> None:
    assert weighted_length(text) == weight


@pytest.mark.parametrize(
    "emoji",
    [
        "\U0001f44b",
        "\u2764\ufe0f",
        "1\ufe0f\u20e3",
        "\U0001f1e9\U0001f1ea",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",
        "\U0001f64b\U0001f3fd\u200d\u2640\ufe0f",
        "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "\U0001f3f3\ufe0f\u200d\U0001f308",
        "\u270c\U0001f3fe",
        "\U0001fae9",
        "\U0001f426\u200d\U0001f525",
        "\U0001f642\u200d\u2194\ufe0f",
        "\U0001f9d1\U0001f3fb\u200d\U0001fa70",
    ],
)
def test_an_emoji_weighs_two_whatever_its_sequence(emoji: str) -> None:
    assert weighted_length(f"a{emoji}b{emoji}") == 6


def test_the_names_that_x_puts_before_a_reply_weigh_nothing() -> None:
    assert weighted_length("@Ada @bob hi", auto_mentions=["ada", "bob"]) == 2
    assert weighted_length("@ada @bob hi", auto_mentions=["ada"]) == 7
    assert weighted_length("hi @ada", auto_mentions=["ada"]) == 7
    assert weighted_length("@ada hi") == 7


@given(st.text(max_size=40))
def test_a_text_weighs_at_least_nothing_and_nothing_raises(text: str) -> None:
    assert 0 <= weighted_length(text, auto_mentions=["a"]) <= 23 * len(text) + 2


@given(st.text())
def test_normalising_twice_is_normalising_once(text: str) -> None:
    once = normalise(text)

    assert normalise(once) == once


def test_what_looks_the_same_has_the_same_hash() -> None:
    assert text_hash(" caf\u0065\u0301\n\u00a0ole ") == text_hash("caf\u00e9 ole")
    assert text_hash("a") != text_hash("b")
    assert len(text_hash("\ud800")) == 64


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("hey @ada, .@bob and @Ada", ("ada", "bob")),
        ("\uff20ada @h's (@i) RT @j: x", ("ada", "h", "i", "j")),
        ("me@ada.com @a@b https://x.com/@c @d://e @user/list", ()),
        ("@toolongausernameisnotone RT@bob: rt @eve", ("toolongausernameisno", "bob", "eve")),
        ("@caf\u00e9 @@x #@y", ()),
    ],
)
def test_names_are_found_as_x_finds_them(text: str, names: tuple[str, ...]) -> None:
    assert usernames_in(text) == names


def test_a_mention_says_where_it_stands() -> None:
    assert mentions_in("\U0001f600 @ada") == (MentionEntity(username="ada", start=2, end=6),)


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("$TSLA and $aapl, $BRK.A!", ("TSLA", "aapl", "BRK.A")),
        ("$5 a$b $toolongtag costs $", ()),
    ],
)
def test_cashtags_are_found_as_x_finds_them(text: str, tags: tuple[str, ...]) -> None:
    assert cashtags_in(text) == tags


def test_the_run_of_names_at_the_start_ends_at_the_first_word() -> None:
    assert without_leading_names(" @a @b  hello @c") == "hello @c"
    assert without_leading_names("hello @a") == "hello @a"
    assert leading_names("@a @b c", among=["B", "a"]) == 6
    assert leading_names("@a @b c", among=["b"]) == 0
    assert without_leading_names("@a@b c") == "@a@b c"
