"""How a text is read."""

from __future__ import annotations

from botkit.sandbox.world.entities import read_text

USERS = {"ada": ("1", "Ada"), "bob": ("2", "bob")}


def _read(written, answered=()):
    return read_text(written, answered=answered, find_user=lambda name: USERS.get(name.lower()))


def test_only_names_of_users_that_exist_are_mentions():
    reading = _read("@ADA and @nobody, @bob")

    assert [(name.user_id, name.username) for name in reading.names] == [
        ("1", "Ada"),
        ("2", "bob"),
    ]
    assert [reading.text[name.start : name.end] for name in reading.names] == ["@ADA", "@bob"]


def test_a_reply_begins_with_names_that_are_not_displayed():
    reading = _read("hi @bob", answered=["Ada"])

    assert reading.text == "@Ada hi @bob"
    assert reading.display_start == 5
    assert [name.start for name in reading.names] == [0, 8]


def test_positions_count_code_points():
    reading = _read("👋🏽 @ada https://example.com/ü")

    assert reading.text[reading.names[0].start : reading.names[0].end] == "@ada"
    assert reading.text[reading.links[0].start : reading.links[0].end] == reading.links[0].url


def test_the_same_address_has_the_same_short_link_and_a_short_link_stays():
    reading = _read("https://example.com https://example.com https://t.co/abc")

    first, second, third = reading.links
    assert first.url == second.url
    assert third.url == "https://t.co/abc"
