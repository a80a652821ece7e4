"""Links of invitations: what was not made here is refused before anything is looked up."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botkit.errors import InvitationRefused
from botkit.protocol.oauth.invitations import (
    callback_url,
    fingerprint,
    invitation_link,
    make_token,
    read_query,
    read_token,
    secret_hash,
)

ID = "0123456789ab"
SECRET = bytes(range(32))


def sign(payload: bytes) -> bytes:
    return hmac.digest(b"key", payload, "sha256")


def verify(payload: bytes, tag: bytes) -> bool:
    return hmac.compare_digest(tag, sign(payload))


TOKEN = make_token(ID, SECRET, sign)


def test_a_link_says_which_invitation_it_is_and_proves_it() -> None:
    link = invitation_link("https://bot.example", TOKEN)
    assert link.startswith("https://bot.example/connect?invitation=")
    shown = read_token(read_query(link.partition("?")[2]), verify)
    assert shown.id == ID
    assert shown.opens(secret_hash(SECRET))
    assert not shown.opens(secret_hash(bytes(32)))


def test_every_changed_letter_is_noticed() -> None:
    for place in range(len(TOKEN)):
        other = "A" if TOKEN[place] != "A" else "B"
        with pytest.raises(InvitationRefused) as refused:
            read_token(TOKEN[:place] + other + TOKEN[place + 1 :], verify)
        assert refused.value.why == "forged"


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        TOKEN[:-1],
        TOKEN + "A",
        TOKEN + "=",
        TOKEN[:-4],
        " " + TOKEN,
        TOKEN + "\n",
        "\u00e9" * 98,
        "A" * 5000,
        "!" * 98,
    ],
    ids=repr,
)
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(InvitationRefused):
        read_token(token, lambda *_: True)


@given(st.text(max_size=200))
def test_no_text_at_all_passes_for_a_token(text: str) -> None:
    with pytest.raises(InvitationRefused):
        read_token(read_query(text), verify)
    with pytest.raises(InvitationRefused):
        read_token(text, verify)


def test_a_token_of_another_version_is_refused() -> None:
    payload = b"\x02" + bytes.fromhex(ID) + SECRET
    token = base64.urlsafe_b64encode(payload + sign(payload)).rstrip(b"=").decode()
    with pytest.raises(InvitationRefused):
        read_token(token, verify)


def test_what_a_chat_program_adds_is_left_aside() -> None:
    assert read_query("fbclid=1&invitation=abc&utm_source=") == "abc"


@pytest.mark.parametrize(
    "query",
    ["", "invitation=a&invitation=b", "&".join(f"a{n}=1" for n in range(40)), "invitation=%ff"],
)
def test_no_token_or_two_are_none(query: str) -> None:
    with pytest.raises(InvitationRefused):
        read_query(query)


def test_a_fingerprint_tells_links_apart_and_shows_nothing_of_them() -> None:
    assert fingerprint("a") != fingerprint("b")
    assert len(fingerprint(TOKEN)) == 10
    assert fingerprint("\ud800")


def test_the_callback_is_below_the_public_address() -> None:
    assert callback_url("https://bot.example") == "https://bot.example/connect/callback"


def test_what_is_kept_is_not_the_plain_hash_of_the_secret() -> None:
    assert secret_hash(SECRET) != hashlib.sha256(SECRET).digest()
