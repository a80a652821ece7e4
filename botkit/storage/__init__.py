"""The durable state: `open_store`, and the vault that seals tokens before they come there.

`tests.storage.conformance` is the suite that every backend must pass.
"""

from __future__ import annotations

from botkit.storage.opening import open_store
from botkit.storage.vault.key_files import key_path, parse_key
from botkit.storage.vault.key_places import (
    KeyPlace,
    find_key,
    find_previous_key,
    key_beside_store,
    key_place,
    warning_of_key,
)
from botkit.storage.vault.vault import Vault, open_vault

__all__ = [
    "KeyPlace",
    "Vault",
    "find_key",
    "find_previous_key",
    "key_beside_store",
    "key_path",
    "key_place",
    "open_store",
    "open_vault",
    "parse_key",
    "warning_of_key",
]
