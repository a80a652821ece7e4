"""Texts are read as people wrote them, not as X escapes them.

That X escapes, and counts positions in the escaped text: Twitter4J issue 349, pull request 263. The
filters are those of a trial of 2026-11-30.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from botkit.filters import contains
from botkit.model.events import Mention
from botkit.model.posts import MentionEntity
from botkit.protocol.api.objects import read_message, read_post
from botkit.protocol.events.activity import decode_line
from botkit.protocol.text.escapes import decoded_text

ROCK: dict[str, Any] = {
    "id": "7",
    "text": "a &lt; b &amp; @bot I &lt;3 rock &amp; roll https://t.co/1 &gt;",
    "author_id": "22",
    "created_at": "2026-11-30T10:00:00.000Z",
    "display_text_range": [0, 63],
    "entities": {
        "mentions": [{"start": 15, "end": 19, "username": "bot", "id": "11"}],
        "urls": [
            {"start": 44, "end": 58, "url": "https://t.co/1", "expanded_url": "http://a.de"},
        ],
    },
}


def _heard(**payload: Any) -> Mention:
    data = {"event_type": "post.mention.create", "filter": {"user_id": "11"}}
    line = json.dumps({"data": {**data, "payload": {**ROCK, **payload}}}).encode()
    event = decode_line(line)
    assert isinstance(event, Mention)
    return event


@pytest.mark.parametrize("more", [{}, {"author": {"id": "22", "username": "ada"}}])
def test_a_post_is_decoded_with_its_positions_whichever_reader_takes_it(more: Any) -> None:
    post = _heard(**more).post

    assert post.text == "a < b & @bot I <3 rock & roll https://t.co/1 >"
    assert post.mentions == (MentionEntity(username="bot", start=8, end=12, id="11"),)
    assert post.link_spans == ((30, 44),)
    assert post.text[30:44] == "https://t.co/1"
    assert post.display_text_range == (0, len(post.text))
    assert read_post(ROCK) == post


def test_filters_see_what_people_wrote() -> None:
    event = _heard()

    assert contains("rock & roll")(event)
    assert contains("<3")(event)
    assert not contains("amp")(event)


def test_a_text_is_decoded_once() -> None:
    assert decoded_text("&amp;lt; &copy; &quot; &") == "&lt; &copy; &quot; &"
    assert decoded_text("plain") == "plain"
    for text in ("plain", "R&D &copy;"):
        assert read_post({"id": "1", "text": text}).text == text


def test_a_message_is_decoded_too() -> None:
    assert read_message({"id": "1", "text": "I &lt;3 you"}).text == "I <3 you"


def test_a_link_without_a_position_leaves_all_links_without() -> None:
    urls = [*ROCK["entities"]["urls"], {"url": "https://t.co/2"}]
    entities = {**ROCK["entities"], "urls": urls}

    for post in (_heard(entities=entities).post, read_post({**ROCK, "entities": entities})):
        assert post.links == ("http://a.de", "https://t.co/2")
        assert post.link_spans == ()
