"""Choose the accounts of the store that a bot acts for when it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from botkit.errors import ConfigError

if TYPE_CHECKING:
    from botkit.config import Settings
    from botkit.model.users import Account
    from botkit.ports import Store

__all__ = ["TWO_WAYS", "accounts_at_start", "the_accounts"]

_log = structlog.get_logger(__name__)

TWO_WAYS = (
    "Two ways on: `botkit setup` authorizes an account of X;"
    " `botkit dev MODULE:BOT` tries the bot without one."
)


async def accounts_at_start(settings: Settings, store: Store) -> tuple[Account, ...]:
    """Return the same as `the_accounts`; () is allowed if accounts join by invitation."""
    try:
        return await the_accounts(settings, store)
    except ConfigError as none:
        if not settings.connect.on:
            raise
        _log.warning("account.none_yet", next_step="botkit accounts invite", why=none.message)
        return ()


async def the_accounts(settings: Settings, store: Store) -> tuple[Account, ...]:
    """Return the accounts that the bot acts for: the one named in the settings, else all.

    Raises:
        ConfigError: The store has no such account, or none at all.
    """
    if settings.bot.account:
        account = await store.accounts.get(settings.bot.account)
        if account is None:
            raise ConfigError(
                f"The account {settings.bot.account!r} is not authorized.",
                hint=f"Run `botkit setup --account {settings.bot.account}`.",
            )
        return (account,)
    accounts = tuple(await store.accounts.listing())
    if not accounts:
        raise ConfigError("No account is authorized yet.", hint=TWO_WAYS)
    return accounts
