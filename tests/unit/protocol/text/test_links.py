"""What X turns into a link."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botkit.protocol.text.links import LinkSpan, link_spans, links_in


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("", ()),
        ("no link at all", ()),
        ("see http://test.co now", ("http://test.co",)),
        ("HTTPS://www.ExaMPLE.COM/index.html", ("HTTPS://www.ExaMPLE.COM/index.html",)),
        ("see example.com.", ("example.com",)),
        ("read README.md first", ("README.md",)),
        ("foo.co.jp t.co/abcde bit.ly/x?y=1&z=2", ("foo.co.jp", "t.co/abcde", "bit.ly/x?y=1&z=2")),
        (
            "(https://a.io/x?y=1). https://b.io:8080/a#b!",
            ("https://a.io/x?y=1", "https://b.io:8080/a#b"),
        ),
        (
            "https://en.wikipedia.org/wiki/Foo_(bar) x",
            ("https://en.wikipedia.org/wiki/Foo_(bar)",),
        ),
        (
            "twitter.com\u3053\u308c\u306f\u3002example.com\u4e2d\u56fd\u8a9et.co/abcde\ud55c\uad6d",
            ("twitter.com", "example.com", "t.co/abcde"),
        ),
        ("me@example.com @x.com $a.com #b.com -c.com", ()),
        ("hi.there e.g. 3.5 1.2.3.4 foo.baz a..com", ()),
        ("http://foo.whatever/x https://app.test http://server.local:8080/x", ()),
        (
            "http://m\u00fcller.de https://xn--fsq.xn--p1ai/a",
            ("http://m\u00fcller.de", "https://xn--fsq.xn--p1ai/a"),
        ),
        ("ftp://example", ()),
    ],
)
def test_links_are_found_as_x_finds_them(text: str, links: tuple[str, ...]) -> None:
    assert links_in(text) == links


def test_a_label_has_63_characters_at_most_with_the_dots_of_other_scripts_in_it() -> None:
    longest = f"https://{'a' * 30}\u3002{'b' * 32}.com"
    assert links_in(longest) == (longest,)
    assert links_in(longest.replace("aa", "aaa", 1)) == ()
    encoded = f"https://{'a' * 30}\u3002{'b' * 24}\u0436.com"  # xn--, the b's, and four
    assert links_in(encoded) == (encoded,)
    assert links_in(encoded.replace("bb", "bbb", 1)) == ()
    hidden = f"https://{'a' * 57}\x01.com"  # a control character is encoded too
    assert links_in(hidden) == (hidden,)
    assert links_in(hidden.replace("aa", "aaa", 1)) == ()


def test_positions_count_code_points() -> None:
    assert link_spans("\U0001f600 a.com b") == [LinkSpan(2, 7, "a.com")]


@given(st.text(alphabet="ab.c/om:htps@#?()- ", max_size=60))
def test_links_never_overlap_and_stand_where_they_say(text: str) -> None:
    end = 0
    for span in link_spans(text):
        assert span.start >= end
        assert text[span.start : span.end] == span.url
        end = span.end


def test_a_long_text_without_a_link_costs_no_more_than_it_must() -> None:
    assert links_in("a-" * 12_000 + ".") == ()
    assert links_in("a." * 12_000) == ()
    assert links_in("https://a.com/" + "(" * 12_000) == ("https://a.com/",)
