"""Open the store of the settings for a command, with its vault key, its accounts and X."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, TypeVar

from botkit.cli.options import run_async
from botkit.cli.output import echo
from botkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from botkit.bot.compose_client import X
    from botkit.bot.keys.key_making import KeyWish
    from botkit.config import Settings
    from botkit.model.users import Account
    from botkit.ports import Store

__all__ = [
    "app_for",
    "open_store_with_key",
    "open_the_store",
    "open_x_of",
    "run_on_store",
    "the_account",
]

T = TypeVar("T")


@contextlib.asynccontextmanager
async def open_the_store(
    settings: Settings, *, create: bool = False, check: bool = True
) -> AsyncGenerator[Store]:
    """Open the store of the settings, and close it after the block.

    Args:
        settings: The settings that name the store.
        create: Make the store if there is none yet.
        check: Read the whole file once to find damage.

    Raises:
        StateError: The store cannot be opened.
        ConfigError: There is no store yet, and `create` is not set.
    """
    from botkit.storage import open_store
    from botkit.system import SystemClock

    url = settings.store_url
    if not create:
        await asyncio.to_thread(_must_exist, url)
    await asyncio.to_thread(_warn_of_key, settings)
    async with open_store(url, clock=SystemClock(), create=create, check=check) as store:
        yield store


@contextlib.asynccontextmanager
async def open_store_with_key(
    settings: Settings, wish: KeyWish, *, tell: Callable[[str], None]
) -> AsyncGenerator[Store]:
    """Open the store and make sure that it has a vault key; make what is missing of the two.

    If the key cannot be made, no store is made either.

    Raises:
        StateError: The store cannot be opened, or the key cannot be used.
        ConfigError: There is no key, and `wish` does not allow to make one where it would go.
    """
    from botkit.bot.keys.key_making import check_wish, provide_key
    from botkit.storage.opening import missing_file
    from botkit.storage.sqlite.database_file import check_place

    path = await asyncio.to_thread(missing_file, settings.store_url)
    if path is not None:
        await asyncio.to_thread(check_place, path)
        await asyncio.to_thread(check_wish, settings, wish)
    async with open_the_store(settings, create=True) as store:
        await provide_key(settings, store, wish, tell=tell)
        yield store


@contextlib.asynccontextmanager
async def open_x_of(settings: Settings, store: Store) -> AsyncGenerator[X]:
    """Open the vault of the store, then the connection to X for the store's accounts.

    Raises:
        VaultKeyError: There is no key, or it is not the key of this store.
    """
    from botkit.bot.compose_client import open_the_vault, open_x

    vault = await open_the_vault(settings, store)
    async with open_x(settings, store, vault) as x:
        yield x


def run_on_store(
    settings: Settings, work: Callable[[Store], Awaitable[T]], *, check: bool = True
) -> T:
    """Open the store in an event loop of its own, run `work` on it, and return the result."""

    async def run() -> T:
        async with open_the_store(settings, check=check) as store:
            return await work(store)

    return run_async(run())


async def app_for(settings: Settings, app: str | None, account: str) -> str:
    """Return `app` if it is given, else the app that the account was authorized through.

    Without either the app is `default`.
    """
    from botkit.storage.opening import missing_file, open_store
    from botkit.system import SystemClock

    if app is not None:
        return app
    url = settings.store_url
    if not account or await asyncio.to_thread(missing_file, url) is not None:
        return "default"
    async with open_store(url, clock=SystemClock(), check=False) as store:
        found = await store.accounts.get(account)
    return "default" if found is None else found.app


async def the_account(store: Store, wanted: str | None, settings: Settings) -> Account:
    """Return the account that was named, else the configured one, else the only one.

    Raises:
        ConfigError: There is no such account, or there are several and none is named.
    """
    name = wanted or settings.bot.account
    if name:
        found = await store.accounts.get(name)
        if found is not None:
            return found
    everyone = await store.accounts.listing()
    if not everyone:
        raise ConfigError("No account is authorized yet.", hint="Run `botkit setup`.")
    known = ", ".join(f"@{account.username}" for account in everyone)
    if name:
        raise ConfigError(f"There is no account {name!r} here.", hint=f"Known: {known}.")
    if len(everyone) > 1:
        raise ConfigError(f"Which account? There are {known}.", hint="Say --account NAME.")
    return everyone[0]


def _must_exist(url: str) -> None:
    from botkit.storage.opening import missing_file

    path = missing_file(url)
    if path is not None:
        raise ConfigError(
            f"There is no store at {path} yet.",
            hint="`botkit setup` makes it, or say where it is: --set store.url=sqlite:///PATH.",
        )


def _warn_of_key(settings: Settings) -> None:
    from botkit.storage.vault.key_places import warning_of_key

    warning = warning_of_key(settings)
    if warning:
        echo(f"botkit  careful: {warning}", err=True)
