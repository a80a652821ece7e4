"""What can be seen of keys without asking X."""

from __future__ import annotations

import pytest

from botkit.protocol.oauth.key_shapes import look_at

KEY, SECRET = "xvz1evFS4wEEPTGEFPHBog", "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw"
BEARER = "AAAAAAAAAAAAAAAAAAAAAMLheAAAAAAA0"
TOKEN = "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb"


def test_keys_as_x_gives_them_are_not_odd() -> None:
    keys = {
        "client_id": "VnJXWWZ0bE9hbFB6",
        "client_secret": "d9aT_-x",
        "api_key": KEY,
        "api_secret": SECRET,
        "bearer_token": BEARER,
        "redirect_uri": " not a key ",
    }
    assert look_at(keys) == []
    assert look_at(dict.fromkeys(keys, "")) == []


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("bearer_token", f"{BEARER}\n", "white space"),
        ("bearer_token", f" {BEARER}", "white space"),
        ("api_secret", f"{SECRET} x", "blank"),
        ("client_secret", f"{SECRET[:5]}\x00x", "a letter that no key has"),
        ("client_id", "schlüssel", "a letter that no key has"),
        ("api_secret", f'"{SECRET}"', "quotes"),
        ("api_secret", f"'{SECRET}", "quotes"),
        ("api_key", "<your key>", "blank"),
        ("api_key", "<key>", "quotes"),
        ("bearer_token", f"Bearer {BEARER}", "'Bearer'"),
        ("client_secret", f"Basic {SECRET}", "'Basic'"),
    ],
)
def test_what_no_key_can_hold_is_surely_wrong(name: str, value: str, words: str) -> None:
    (oddity,) = look_at({name: value})
    assert oddity.sure
    assert oddity.fields == (name,)
    assert words in oddity.text
    assert SECRET not in oddity.text


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("api_secret", BEARER, "begins with AAAA"),
        ("client_id", BEARER, "begins with AAAA"),
        ("bearer_token", SECRET, "does not begin with AAAA"),
        ("api_key", TOKEN, "access token"),
        ("client_secret", f"{SECRET}\n", "white space"),
        ("client_secret", f"{SECRET} x", "blank"),
    ],
)
def test_what_only_looks_odd_is_a_hint(name: str, value: str, words: str) -> None:
    (oddity,) = look_at({name: value})
    assert not oddity.sure
    assert words in oddity.text
    assert value not in oddity.text


def test_a_users_token_for_the_apps_is_odd_twice() -> None:
    assert len(look_at({"bearer_token": TOKEN})) == 2


def test_one_text_cannot_be_two_things() -> None:
    (oddity,) = look_at({"client_id": KEY, "client_secret": SECRET, "api_key": KEY})
    assert oddity.fields == ("client_id", "api_key")
    assert oddity.sure
