"""Where the vault key is: in the settings, in a file, or in the system's keyring.

The file lies outside the store, or beside it where that was asked for. A key is made on request
only, never by `run`: a bot that cannot find its key must say so, not start anew.
Source: docs/explanation/requirements.md, S4.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from botkit.errors import ConfigError
from botkit.storage.files import file_of
from botkit.storage.vault.key_files import (
    key_path,
    make_key,
    parse_key,
    read_keys,
    retire_previous,
)
from botkit.storage.vault.key_files import rotate_key as rotate_file

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import SecretStr

__all__ = [
    "KeyPlace",
    "find_key",
    "find_previous_key",
    "key_beside_store",
    "key_place",
    "warning_of_key",
]

_SUFFIX = ".key"


class _StoreSettings(Protocol):
    @property
    def key_from(self) -> str: ...
    @property
    def key(self) -> SecretStr | None: ...
    @property
    def previous_key(self) -> SecretStr | None: ...


class _Settings(Protocol):
    @property
    def store(self) -> _StoreSettings: ...
    @property
    def store_url(self) -> str: ...


class KeyPlace(Protocol):
    """A place that botkit keeps a key in. Its calls block: the loop asks from a thread.

    Each of them raises `VaultKeyError` when the place cannot be used; nothing was changed then.
    """

    @property
    def name(self) -> str:
        """Where that is, for a person."""
        ...

    def read(self) -> list[bytes]:
        """The key, and the one before if it is still needed; empty when there is none."""
        ...

    def make(self) -> None:
        """Make a new key where there is none."""
        ...

    def rotate(self) -> bool:
        """Put a new key before the one that is there; False when there are two already."""
        ...

    def retire_previous(self) -> None:
        """Leave only the newest key."""
        ...


class FilePlace:
    """A file of this user's, closed to everybody else."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        """The file's path."""
        return str(self._path)

    def read(self) -> list[bytes]:
        """See `KeyPlace`."""
        return read_keys(self._path)

    def make(self) -> None:
        """See `KeyPlace`."""
        make_key(self._path)

    def rotate(self) -> bool:
        """See `KeyPlace`."""
        return rotate_file(self._path)

    def retire_previous(self) -> None:
        """See `KeyPlace`."""
        retire_previous(self._path)


def key_place(settings: _Settings, *, store_id: str, beside_store: bool = False) -> KeyPlace:
    """Where the key of that store is kept when the settings do not give it.

    A file beside the store counts where there is none outside, or with `beside_store`.

    Raises:
        ConfigError: The keyring is wanted and not installed, or two places are asked for.
    """
    beside = _beside(settings.store_url)
    if settings.store.key_from == "keyring":
        if beside_store:
            raise ConfigError(
                'The key cannot lie beside the store: [store] key_from is "keyring".',
                hint="Take one of the two away.",
            )
        from botkit.storage.vault.keyring import KeyringPlace

        return KeyringPlace(store_id, turn=key_path(store_id))
    if beside_store:
        if beside is None:
            raise ConfigError("The key can lie beside a store that is a file, and this is none.")
        return FilePlace(beside)
    lying = None if os.path.lexists(key_path(store_id)) else key_beside_store(settings)
    return FilePlace(lying or key_path(store_id))


def key_beside_store(settings: _Settings) -> Path | None:
    """The key file that lies beside the store; None when there is none."""
    beside = _beside(settings.store_url)
    return beside if beside is not None and os.path.lexists(beside) else None


def warning_of_key(settings: _Settings) -> str:
    """What is said at each start while a key lies beside the store; "" when none does."""
    path = key_beside_store(settings)
    if path is None:
        return ""
    return (
        f"the vault key lies beside the store ({path}): whoever has this folder, or a copy of it, "
        "has the logins"
    )


def find_key(settings: _Settings, *, store_id: str = "") -> bytes | None:
    """The key from the settings (`BOTKIT_STORE__KEY` or its `_FILE`), else from its place.

    None when there is neither; nothing is made.

    Raises:
        ConfigError: The keyring is wanted and not installed.
        VaultKeyError: The text is no key, or others may read the key file, or the keyring is
            locked or missing.
    """
    if settings.store.key is not None:
        return parse_key(settings.store.key.get_secret_value(), origin="BOTKIT_STORE__KEY")
    keys = key_place(settings, store_id=store_id).read() if store_id else []
    return keys[0] if keys else None


def find_previous_key(settings: _Settings, *, store_id: str = "") -> bytes | None:
    """The key before the last rotation.

    From the settings (`BOTKIT_STORE__PREVIOUS_KEY` or its `_FILE`); else from the key's place, if
    the key comes from there too.
    """
    if settings.store.previous_key is not None:
        return parse_key(
            settings.store.previous_key.get_secret_value(), origin="BOTKIT_STORE__PREVIOUS_KEY"
        )
    if settings.store.key is not None or not store_id:
        return None
    keys = key_place(settings, store_id=store_id).read()
    return keys[1] if len(keys) > 1 else None


def _beside(url: str) -> Path | None:
    path = file_of(url)
    return None if path is None else path.with_name(path.name + _SUFFIX)
