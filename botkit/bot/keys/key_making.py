"""Make the vault key when a person makes a login: in setup and import, never in `run`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botkit.errors import ConfigError
from botkit.storage.vault.key_places import find_key, key_beside_store, key_place, warning_of_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from botkit.config import Settings
    from botkit.ports import Store
    from botkit.storage.vault.key_places import KeyPlace

__all__ = ["KeyWish", "check_wish", "provide_key"]


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyWish:
    """Hold the operator's options for a vault key.

    Attributes:
        may_make: A key may be made: a person reads where it is put, or said `--make-key`.
        beside_store: Put the key beside the store.
    """

    may_make: bool
    beside_store: bool = False


def check_wish(settings: Settings, wish: KeyWish) -> None:
    """Check that a store that is about to be made will have a key; may read files.

    Raises:
        ConfigError: As `provide_key` raises it.
        VaultKeyError: The key in the settings is not a valid key.
    """
    _check_beside(settings, wish)
    if wish.beside_store:
        key_place(settings, store_id="", beside_store=True)
    if find_key(settings) is None and not (wish.may_make or key_beside_store(settings)):
        raise _no_key(settings.store_url)


async def provide_key(
    settings: Settings, store: Store, wish: KeyWish, *, tell: Callable[[str], None]
) -> None:
    """Make a key if the store has none and holds nothing sealed yet.

    Raises:
        ConfigError: A key is missing and may not be made, or cannot be put where asked.
        VaultKeyError: The key's place cannot be used.
    """
    _check_beside(settings, wish)
    if settings.store.key is not None:
        return
    place, there = await asyncio.to_thread(_look, settings, store.store_id, wish)
    if there:
        if wish.beside_store:
            tell("there is a vault key already; none is made beside the store")
        return
    if await store.vault_check() is not None:
        return  # a lost key is not replaced; opening the vault raises the error
    if not wish.may_make:
        raise _no_key(store.url)
    name = await asyncio.to_thread(_make, place)
    tell(f"vault key made: {name} (keep a copy; the sealed logins need it)")
    if wish.beside_store:
        tell(f"careful: {await asyncio.to_thread(warning_of_key, settings)}")


def _check_beside(settings: Settings, wish: KeyWish) -> None:
    if wish.beside_store and settings.store.key is not None:
        raise ConfigError(
            "The vault key is given by BOTKIT_STORE__KEY; none is made beside the store."
        )


def _no_key(url: str) -> ConfigError:
    return ConfigError(
        f"There is no vault key for the store {url}, and no terminal to say where one was made.",
        hint="Say --make-key to make one all the same, or give it by BOTKIT_STORE__KEY_FILE.",
    )


def _look(settings: Settings, store_id: str, wish: KeyWish) -> tuple[KeyPlace, bool]:
    """Return the place for the key, and True if there is a key in any place."""
    place = key_place(settings, store_id=store_id, beside_store=wish.beside_store)
    return place, find_key(settings, store_id=store_id) is not None


def _make(place: KeyPlace) -> str:
    place.make()
    return place.name
