"""Replace a store's vault key while bots run on the store.

First the new key is put before the old one in the key's place, so that every process finds both.
Then each login is sealed again under its refresh lock, so that no refresh holds an older record.
Then the old key is removed. A rotation that is cut off at any point continues where it stopped.
Source: docs/explanation/requirements.md, S4 and S10.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from botkit.bot.compose_client import open_the_vault, rescue_of
from botkit.client.logins.login_rows import LoginRows
from botkit.errors import ConfigError
from botkit.model.tokens import CredentialKind
from botkit.storage.vault.key_places import find_previous_key, key_place
from botkit.system import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from botkit.client.refresh.refresh_lock import RefreshLock
    from botkit.config import Settings
    from botkit.ports import Store, VaultPort

__all__ = ["begin_rekey", "finish_rekey"]

_MOST_ROUNDS = 10


async def begin_rekey(
    settings: Settings, store: Store, *, tell: Callable[[str], None]
) -> VaultPort:
    """Make the new key, or continue a rotation; return a vault that has both keys.

    Raises:
        ConfigError: The settings give the new key, but not the previous one.
        VaultKeyError: There is no key, or its place cannot be used; nothing was changed.
    """
    await open_the_vault(settings, store)  # raises for a wrong key before anything is changed
    if settings.store.key is not None:
        if find_previous_key(settings) is None:
            raise ConfigError(
                "The vault key is given by BOTKIT_STORE__KEY; the one before is not given.",
                hint="Give a new key there and the present one by BOTKIT_STORE__PREVIOUS_KEY, to "
                "the bot too (restart it), then run this again.",
            )
    else:
        made, name = await asyncio.to_thread(_rotate, settings, store.store_id)
        tell(f"new key made: {name}" if made else f"going on with the new key: {name}")
    return await open_the_vault(settings, store)


async def finish_rekey(
    settings: Settings,
    store: Store,
    vault: VaultPort,
    lock: RefreshLock,
    *,
    tell: Callable[[str], None],
) -> bool:
    """Seal every login again and drop the old key; return False if the old key is still needed.

    Raises:
        StoreUnavailable: Another process holds a login's lock and does not release it.
    """
    sealed = 0
    rows = LoginRows(store, vault, SystemClock())
    for _ in range(_MOST_ROUNDS):
        left = [row for row in await rows.listing() if not rows.is_sealed_with_newest_key(row)]
        if not left:
            break
        for row in left:
            async with AsyncExitStack() as stack:
                if row.kind is CredentialKind.OAUTH2:
                    await stack.enter_async_context(lock(row))
                sealed += await rows.reseal(row)
    else:
        tell("some logins change all the time; both keys stay: run this again")
        return False
    tell(f"{sealed} login(s) sealed with the new key")
    rescue = rescue_of(settings)
    if rescue is not None and await rescue.load():
        tell("the rescue file still needs the old key, which stays; run this again later")
        return False
    if settings.store.key is not None:
        tell("BOTKIT_STORE__PREVIOUS_KEY is not needed any more")
    else:
        await asyncio.to_thread(_retire, settings, store.store_id)
        tell("the old key is dropped; backups of the store from before need it, if you have it")
    return True


def _rotate(settings: Settings, store_id: str) -> tuple[bool, str]:
    place = key_place(settings, store_id=store_id)
    return place.rotate(), place.name


def _retire(settings: Settings, store_id: str) -> None:
    key_place(settings, store_id=store_id).retire_previous()
