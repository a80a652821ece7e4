"""A secret does not show itself, whatever it is asked."""

from __future__ import annotations

import json
import pickle
from typing import Any

import msgspec
import pytest

from botkit.model.tokens import Secret, TokenPair, TokenSet

CANARY = "canary-9f8e7d"


def shown_everywhere(value: Any) -> str:
    return f"{value} {value!r} {value!s} {[value]} { ({'a': value}) } %s" % (value,)


def test_no_way_of_showing_it_shows_it() -> None:
    secret = Secret(CANARY)
    assert CANARY not in shown_everywhere(secret)
    assert secret.reveal() == CANARY


def test_what_holds_a_secret_does_not_show_it_either() -> None:
    tokens = TokenSet(
        access_token=Secret(CANARY),
        refresh_token=Secret(CANARY),
        scopes=("tweet.read",),
        expires_in_s=7200,
    )
    pair = TokenPair(token=Secret(CANARY), token_secret=Secret(CANARY))
    assert CANARY not in shown_everywhere(tokens)
    assert CANARY not in shown_everywhere(pair)


@pytest.mark.parametrize("dump", [pickle.dumps, json.dumps, msgspec.json.encode])
def test_it_cannot_be_written_down_by_accident(dump: Any) -> None:
    with pytest.raises(TypeError):
        dump(Secret(CANARY))


def test_secrets_compare_by_what_they_hold_and_with_secrets_only() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


def test_an_empty_secret_is_none() -> None:
    assert not Secret("")
    assert Secret("a")
