"""Authors count, cut and split as X reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botkit.model.events import Mention
from botkit.model.posts import Post
from botkit.model.users import User
from botkit.protocol.text.links import link_spans
from botkit.text import keep_from_linking, shorten, split, weighted_length

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
TEXTS = st.text(alphabet="ab .,@\n\u65e5\u00e9\U0001f600\U0001f1e9\u200d:/htps", max_size=120)


def test_a_text_that_fits_stays_as_it_is() -> None:
    assert shorten("short enough") == "short enough"
    assert split("short enough") == ["short enough"]
    assert split(" \n ") == []


def test_a_text_is_cut_after_a_word_with_a_sign_that_it_goes_on() -> None:
    assert shorten("one two three", 9) == "one two\u2026"
    assert shorten("one two three", 10, end="...") == "one two..."
    assert shorten("\u65e5\u672c\u8a9e", 5) == "\u65e5\u2026"


def test_a_thread_holds_every_word_in_order() -> None:
    assert split("one two\nthree four", 9) == ["one two", "three", "four"]
    assert split("abcdefgh", 3) == ["abc", "def", "gh"]


def test_neither_a_link_nor_an_emoji_is_cut() -> None:
    link = "https://example.com/" + "x" * 300

    assert split("https://a.comx", 23) == ["https://a.comx"]
    assert split("\U0001f600https://a.com\U0001f600", 25) == [
        "\U0001f600https://a.com",
        "\U0001f600",
    ]
    assert split(f"see {link} now", 26) == ["see", f"{link}", "now"]
    assert split(f"ab{FAMILY}{FAMILY}", 4) == [f"ab{FAMILY}", FAMILY]
    assert split("\U0001f1e9\U0001f1ea" * 2, 2) == ["\U0001f1e9\U0001f1ea"] * 2
    assert split("\U0001f44d\U0001f3fda", 2) == ["\U0001f44d\U0001f3fd", "a"]


def test_what_cannot_fit_is_said() -> None:
    with pytest.raises(ValueError, match="weighs"):
        shorten("long text", 1)
    with pytest.raises(ValueError, match="weighs"):
        split("https://a.com", 22)


@given(TEXTS, st.integers(min_value=30, max_value=60))
def test_every_part_is_one_that_x_takes(text: str, limit: int) -> None:
    assert weighted_length(shorten(text, limit)) <= limit
    parts = split(text, limit)
    assert all(0 < weighted_length(part) <= limit for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())


def test_words_that_x_would_link_are_kept_from_it_and_addresses_are_not() -> None:
    text = "Use asyncio.run and see e.g. node.js, foo.co.uk/x.md, https://a.com/b.md"
    kept = keep_from_linking(text)

    assert kept.replace("\u200b", "") == text
    assert weighted_length(kept) - weighted_length("https://a.com") == len(kept) - len(
        "https://a.com/b.md"
    )
    assert "https://a.com/b.md" in kept
    assert keep_from_linking("no link") == "no link"


def test_a_bare_domain_is_one_whatever_its_path_holds() -> None:
    text = "see asyncio.run/?to=http://a and x.com/#https://b"
    kept = keep_from_linking(text)

    assert [span for span in link_spans(kept) if span.is_bare] == []
    assert kept.replace("\u200b", "") == text


def test_a_part_is_looked_for_at_the_start_of_the_text_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weighed: list[int] = []

    def weigh(text: str) -> int:
        weighed.append(len(text))
        return weighted_length(text)

    monkeypatch.setattr("botkit.text.weighted_length", weigh)
    assert len("".join(split("word " * 2_000))) >= 9_000
    assert max(weighed) < 1_000
    assert len(split("x" * 20_000)) == 72
    assert max(weighed) <= 8_192


def test_an_event_has_its_text_without_the_names_it_starts_with() -> None:
    post = Post(id="1", text="@ada @bot  hello @bob", author_id="2")
    event = Mention(
        account_id="9", at=None, source="x", post=post, author=User(id="2", username="a", name="A")
    )

    assert event.text_without_names == "hello @bob"
