"""Texts are read as X's own published rules read them (tests/wire/text)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from botkit.protocol.text.links import link_spans, links_in
from botkit.protocol.text.weighted_length import (
    cashtags_in,
    mentions_in,
    names_in,
    weighted_length,
)

WIRE = Path(__file__).parents[3] / "wire/text"
JUDGED: list[dict[str, Any]] = json.loads((WIRE / "oracle.json").read_bytes())["texts"]
CASES: list[dict[str, Any]] = json.loads((WIRE / "cases.json").read_bytes())


def _differing(read: Any, name: str) -> list[tuple[str, Any, Any]]:
    got = [(row["text"], row[name], read(row["text"])) for row in JUDGED]
    return [one for one in got if one[1] != one[2]]


def test_links_are_those_of_x_to_the_character() -> None:
    def read(text: str) -> list[list[object]]:
        return [[span.url, span.start, span.end] for span in link_spans(text)]

    assert _differing(read, "links") == []


def test_texts_weigh_what_x_weighs() -> None:
    assert _differing(weighted_length, "weight") == []


def test_mentions_are_those_of_x_to_the_character() -> None:
    def read(text: str) -> list[list[object]]:
        return [[name.username, name.start, name.end] for name in mentions_in(text)]

    assert _differing(read, "names") == []


def test_cashtags_are_those_of_x() -> None:
    assert _differing(lambda text: list(cashtags_in(text)), "cashtags") == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.get("kind", "made by chance"))
def test_a_case_is_read_as_the_reference_reads_it(case: dict[str, Any]) -> None:
    text = case["text"]

    assert weighted_length(text) == case["weight"]
    assert list(links_in(text)) == case["links"]
    assert [name.username for name in names_in(text)] == case["names"]
    if "cashtags" in case:
        assert list(cashtags_in(text)) == case["cashtags"]


def test_an_address_of_more_than_4096_characters_is_no_link() -> None:
    assert links_in("https://a.com/" + "a" * 4074)
    assert not links_in("https://a.com/" + "a" * 4075)


def test_a_character_of_two_units_parts_two_links() -> None:
    assert links_in("http://a.com:1\U0001f600-b.com") == ("http://a.com:1", "-b.com")
    assert links_in("@\U0001f600b.com") == ("b.com",)
