"""The durable state: `open_store`, and the vault that seals tokens before they come there.

`botkit.storage.conformance` is the suite that every backend must pass.
"""

from __future__ import annotations

from botkit.storage.keys import (
    find_key,
    find_previous_key,
    key_path,
    make_key,
    parse_key,
    retire_previous,
    rotate_key,
)
from botkit.storage.opening import open_store
from botkit.storage.vault import Vault, open_vault

__all__ = [
    "Vault",
    "find_key",
    "find_previous_key",
    "key_path",
    "make_key",
    "open_store",
    "open_vault",
    "parse_key",
    "retire_previous",
    "rotate_key",
]
