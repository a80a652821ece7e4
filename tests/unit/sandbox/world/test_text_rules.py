"""The simulated X reads texts as X does, by rules of its own (tests/wire/text)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from botkit.sandbox.world.text_rules import (
    cashtags_of,
    hashtags_of,
    links_of,
    names_of,
    same_text,
    weight_of,
)

ORACLE = Path(__file__).parents[3] / "wire/text/oracle.json"
JUDGED = json.loads(ORACLE.read_bytes())["texts"]


def _spans(found):
    return [[span.value, span.start, span.end] for span in found]


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("links", lambda text: _spans(links_of(text))),
        ("names", lambda text: _spans(names_of(text))),
        ("weight", weight_of),
        ("cashtags", lambda text: [span.value for span in cashtags_of(text)]),
        ("hashtags", lambda text: _spans(hashtags_of(text))),
    ],
)
def test_the_simulated_x_reads_what_x_reads(name, read):
    got = [(row["text"], row[name], read(row["text"])) for row in JUDGED]

    assert [one for one in got if one[1] != one[2]] == []


@pytest.mark.parametrize(
    "emoji", ["\U0001fae9", "\U0001f426\u200d\U0001f525", "\U0001f9d1\U0001f3fb\u200d\U0001fa70"]
)
def test_an_emoji_newer_than_the_reference_weighs_two(emoji):
    assert weight_of(f"a{emoji}b") == 4


def test_white_space_makes_no_other_text():
    assert same_text("a  b\n", "a b")
    assert not same_text("a b", "ab")
