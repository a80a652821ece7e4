"""Find the vault key: in the settings, in a file, or in the system's keyring.

The file lies outside the folder of the store, or beside the store if the operator asked for that.
A key is made on request only, never by `run`: a bot that cannot find its key must report that, not
make another one.
Source: docs/explanation/requirements.md, S4.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from botkit.errors import ConfigError, VaultKeyError
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
    """A place that holds the vault key. Its methods block, so async code calls them in a thread.

    Each method raises `VaultKeyError` if the place cannot be used, and changes nothing then.
    """

    @property
    def name(self) -> str:
        """The place in words, for a person."""
        ...

    def read(self) -> list[bytes]:
        """Return the key, then the previous one if it is still needed; [] without a key."""
        ...

    def make(self) -> None:
        """Make a key. There must be none yet."""
        ...

    def rotate(self) -> bool:
        """Put a new key before the present one. Return False if there are two keys already."""
        ...

    def retire_previous(self) -> None:
        """Remove the previous key."""
        ...


class FilePlace:
    """A key file that only this user may read."""

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
    """Return the place of a store's key, for settings that do not hold the key themselves.

    It is the file beside the store with `beside_store`, or if only that file exists.

    Raises:
        ConfigError: The package for the keyring is not installed, or the settings and
            `beside_store` ask for two places.
        VaultKeyError: There is neither a key beside the store nor a home folder for one.
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
    try:
        usual = key_path(store_id)
    except VaultKeyError:
        if (lying := key_beside_store(settings)) is None:
            raise
        return FilePlace(lying)
    lying = None if os.path.lexists(usual) else key_beside_store(settings)
    return FilePlace(lying or usual)


def key_beside_store(settings: _Settings) -> Path | None:
    """Return the path of the key file beside the store; None if there is no such file."""
    beside = _beside(settings.store_url)
    return beside if beside is not None and os.path.lexists(beside) else None


def warning_of_key(settings: _Settings) -> str:
    """Return the warning for each start while a key lies beside the store; "" without one."""
    path = key_beside_store(settings)
    if path is None:
        return ""
    return (
        f"the vault key lies beside the store ({path}): whoever has this folder, or a copy of it, "
        "has the logins"
    )


def find_key(settings: _Settings, *, store_id: str = "") -> bytes | None:
    """Return the key from the settings (`BOTKIT_STORE__KEY` or its `_FILE`), else from its place.

    Return None if there is neither; no key is made.

    Raises:
        ConfigError: The package for the keyring is not installed.
        VaultKeyError: The text is no key, other users may read the key file, or the keyring is
            locked or missing.
    """
    if settings.store.key is not None:
        return parse_key(settings.store.key.get_secret_value(), origin="BOTKIT_STORE__KEY")
    keys = key_place(settings, store_id=store_id).read() if store_id else []
    return keys[0] if keys else None


def find_previous_key(settings: _Settings, *, store_id: str = "") -> bytes | None:
    """Return the key from before the last rotation, or None.

    It comes from the settings (`BOTKIT_STORE__PREVIOUS_KEY` or its `_FILE`), or from the place of
    the key if the settings hold neither key.
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
