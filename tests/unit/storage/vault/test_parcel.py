"""What is sealed with a passphrase opens with that passphrase, and with nothing else."""

from __future__ import annotations

import base64

import pytest

from botkit.errors import ConfigError
from botkit.storage.vault.parcel import open_parcel, seal_parcel

WORDS = "correct horse battery"


def test_what_was_sealed_opens_also_after_mail_broke_its_lines() -> None:
    text = seal_parcel(b"content \x00", WORDS)
    assert text.isascii()
    assert open_parcel(text, WORDS) == b"content \x00"
    title, body = text.split()
    broken = "\r\n".join(body[at : at + 20] for at in range(0, len(body), 20))
    assert open_parcel(f"\n{title}\r\n{broken}\r\n\r\n", WORDS) == b"content \x00"


def test_two_parcels_of_the_same_content_differ() -> None:
    assert seal_parcel(b"content", WORDS) != seal_parcel(b"content", WORDS)


@pytest.mark.parametrize("at", [0, 20, 40, -1])
def test_a_flipped_byte_is_refused(at: int) -> None:
    title, body = seal_parcel(b"content", WORDS).split()
    raw = bytearray(base64.b64decode(body))
    raw[at] ^= 1
    with pytest.raises(ConfigError, match="does not open"):
        open_parcel(f"{title}\n{base64.b64encode(raw).decode()}", WORDS)


@pytest.mark.parametrize("text", ["", "botkit-login-1", "botkit-login-1\n", "botkit-login-1\n!!"])
def test_what_is_cut_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        open_parcel(text, WORDS)


def test_what_is_something_else_is_refused() -> None:
    with pytest.raises(ConfigError, match="not a login"):
        open_parcel("-----BEGIN KEY-----\nAAAA", WORDS)


@pytest.mark.parametrize("short", ["nine-char", "", " " * 10, "  abcdef  ", "\t" * 40])
def test_a_short_passphrase_seals_nothing(short: str) -> None:
    with pytest.raises(ConfigError, match="too short"):
        seal_parcel(b"content", short)


@pytest.mark.parametrize(
    "simple", ["aaaaaaaaaaaa", "abababababab", "1111 1111 1111", "a b a b a b"]
)
def test_a_passphrase_of_few_characters_repeated_seals_nothing(simple: str) -> None:
    with pytest.raises(ConfigError, match="too simple"):
        seal_parcel(b"content", simple)
