from __future__ import annotations

from typing import Any

import pytest

from botkit.errors import MalformedAnswer
from botkit.protocol.api.pagination import PageTrail
from botkit.protocol.api.responses import Response


def page(token: Any = None) -> Response:
    return Response(status=200, meta={} if token is None else {"next_token": token})


def test_tokens_are_followed_to_the_last_page() -> None:
    trail = PageTrail("GET /2/users/1/mentions")
    assert trail.next_token(page("a")) == "a"
    assert trail.next_token(page("b")) == "b"
    assert trail.next_token(page()) is None
    assert trail.next_token(page("")) is None


@pytest.mark.parametrize("tokens", [["a", "a"], ["a", "b", "a"]])
def test_a_token_that_comes_again_ends_the_read_with_a_word(tokens: list[str]) -> None:
    trail = PageTrail("GET /2/users/1/mentions")
    *first, again = tokens
    assert [trail.next_token(page(token)) for token in first] == first
    with pytest.raises(MalformedAnswer, match="came before; stopped reading on") as error:
        trail.next_token(page(again))
    assert error.value.request == "GET /2/users/1/mentions"


def test_pages_without_end_are_stopped() -> None:
    trail = PageTrail("GET /2/dm_events", most_pages=3)
    assert trail.next_token(page("a")) == "a"
    assert trail.next_token(page("b")) == "b"
    with pytest.raises(MalformedAnswer, match="more than 3 pages"):
        trail.next_token(page("c"))


@pytest.mark.parametrize("token", [5, ["a"], {"a": 1}, True])
def test_a_token_that_is_no_text_is_malformed(token: object) -> None:
    with pytest.raises(MalformedAnswer, match="no text"):
        PageTrail("GET /2/dm_events").next_token(page(token))
