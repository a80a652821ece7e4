"""The head of a sealed record: which form it has, and which key sealed it. No key is needed."""

from __future__ import annotations

__all__ = ["HEADER_BYTES", "KEY_NAME_BYTES", "MAGIC", "MAGIC_TWO", "sealed_alike"]

MAGIC = b"BKV1"
MAGIC_TWO = b"BKV2"
"""A record with two boxes: the second one holds the refresh token."""
KEY_NAME_BYTES = 4
HEADER_BYTES = len(MAGIC) + KEY_NAME_BYTES


def sealed_alike(one: bytes, other: bytes) -> bool:
    """Return True if both records were sealed with the same key, or one is no sealed record."""
    heads = [bytes(each[:HEADER_BYTES]) for each in (one, other)]
    if not all(head[:4] in {MAGIC, MAGIC_TWO} for head in heads):
        return True
    return heads[0][4:] == heads[1][4:]
