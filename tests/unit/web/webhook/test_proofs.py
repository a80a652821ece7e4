"""X's challenges and signatures, by the vectors that were computed from X's description."""

from __future__ import annotations

import hashlib

import pytest

from botkit.web.webhook.proofs import challenge_in, signature_of

KEY = b"test_consumer_secret"
BODY = b'{"data":{"event_type":"post.mention.create","event_uuid":"1"}}'


@pytest.mark.parametrize(
    ("message", "signature"),
    [
        (b"challenge_string", b"sha256=583uAmerwtjpykYEAEm+CEIRm6dOywK4QKRr0ha/Pd4="),
        (BODY, b"sha256=YZAhshCNOGQL+1akQjmJNZVxr0TBdmI/zDXh1EifkRE="),
    ],
)
def test_a_signature_is_that_of_xs_description(message: bytes, signature: bytes) -> None:
    # Source: X API docs, "Webhooks" (HMAC-SHA256 in base64); computed with another program.
    assert signature_of(KEY, message) == signature


@pytest.mark.parametrize(
    ("query", "token"),
    [
        ("crc_token=challenge_string", "challenge_string"),
        ("crc_token=6e7b63a1-5a8c-4bd0-a1b8-3ab9f4d8c1e5", "6e7b63a1-5a8c-4bd0-a1b8-3ab9f4d8c1e5"),
        ("crc_token=a%2Bb%2Fc%3D%3D", "a+b/c=="),
        ("crc_token=a+b/c==", "a+b/c=="),
        ("crc_token=" + "a" * 256, "a" * 256),
        # Source: docs/explanation/x-facts.md, 19.3: X has sent a nonce beside the token.
        ("crc_token=a&nonce=b", "a"),
        ("nonce=%7B%7D&crc_token=a", "a"),
    ],
)
def test_a_challenge_is_read_from_the_query(query: str, token: str) -> None:
    assert challenge_in(query) == token


@pytest.mark.parametrize(
    "query",
    [
        "",
        "crc_token=",
        "crc_token",
        "CRC_TOKEN=a",
        "crc%5Ftoken=a",
        "crc_token=a;b=1",
        "crc_token=a&crc_token=b",
        "crc_token=a%20b",
        "crc_token=a%00",
        "crc_token=a%0A",
        "crc_token=%C3%A4",
        "crc_token=%FF",
        "crc_token={}",
        "crc_token=%7B%22data%22%3A%7B%7D%7D",
        "crc_token=%5B1%5D",
        "crc_token=%22a%22",
        "crc_token=" + "a" * 257,
        "crc_token=" + "%61" * 400,
    ],
)
def test_what_can_be_no_challenge_or_could_be_a_delivery_is_not_read(query: str) -> None:
    assert challenge_in(query) is None


def test_a_signature_is_a_whole_sha256_in_base64() -> None:
    signature = signature_of(KEY, BODY)
    assert len(signature) == len("sha256=") + 44
    assert hashlib.sha256().digest_size == 32
