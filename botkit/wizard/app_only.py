"""`botkit setup --app-only`: fetch the app's bearer token, prove it by a read, store it sealed.

Source: X API docs, "Application-only authentication"; docs/explanation/requirements.md, C15.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botkit.bot.accounts.authorized import run_authorized
from botkit.bot.compose_client import keys_of, open_the_vault, open_x
from botkit.client.api.limiter import Limiter
from botkit.client.api.x_api import XApi
from botkit.config.app_names import section_of
from botkit.errors import (
    BotkitError,
    ConfigError,
    InvalidClient,
    Parked,
    StoreUnavailable,
    TransportError,
    Unauthorized,
)
from botkit.model.events import Authorized
from botkit.model.records import CredentialRow, WritePolicy
from botkit.model.tokens import CredentialKind
from botkit.model.users import Account
from botkit.protocol.api import requests

if TYPE_CHECKING:
    from collections.abc import Callable

    from botkit.bot.compose_client import X
    from botkit.bot.definition import Bot
    from botkit.client.logins.endpoints import AppKeys
    from botkit.config import Settings
    from botkit.ports import Store, Transport

__all__ = ["AppOnly", "check_app_only", "set_up_app_only"]


@dataclass(frozen=True, kw_only=True, slots=True)
class AppOnly:
    """The result. `row` is None if the settings hold the bearer token: then it is not stored."""

    app: str
    row: CredentialRow | None


def check_app_only(settings: Settings, app: str) -> None:
    """Check that the settings hold a bearer token, or the keys to fetch one with.

    Raises:
        ConfigError: They hold neither; nothing was sent.
    """
    if not keys_of(settings.app_named(app)).can_act_as_app:
        raise ConfigError(
            f"[{section_of(app)}] has no api_key and api_secret to fetch a bearer token with.",
            hint="They are the API Key and Secret on the app's Keys and tokens page in X's console"
            " (not the client id and secret). Set api_key, and api_secret by its _FILE.",
        )


async def set_up_app_only(
    settings: Settings,
    store: Store,
    bot: Bot | None,
    *,
    app: str,
    tell: Callable[[str], None],
    transport: Transport | None = None,
) -> AppOnly:
    """Fetch, prove and store an app's bearer token, and run the bot's `Authorized` handlers.

    X returns the same token until it is invalidated, so fetching it harms no other process.

    Raises:
        InvalidClient: X refuses key and secret, or the bearer token.
        XError: X could not be asked.
        StateError: The token could not be stored.
    """
    vault = await open_the_vault(settings, store)
    keys = keys_of(settings.app_named(app))
    async with open_x(settings, store, vault, transport=transport) as x:
        await x.keeper.context.rows.check_origin()
        await _prove(x, app, keys)
        if keys.bearer_token:
            tell("the bearer token of the settings works; it stays there and is not stored")
            return AppOnly(app=app, row=None)
        row = await store.credentials.get("", app, CredentialKind.APP_ONLY)
        if row is None:
            raise StoreUnavailable("The bearer token works, and could not be stored.")
        tell(f"app {app!r}: bearer token fetched, proven by a read, kept sealed")
        if bot is not None and bot.plan.handles(Authorized):
            # The credential belongs to the app, so there is no account behind it.
            nobody = Account(id="", username="", name=app, app=app)
            policy = WritePolicy(settings.run.write_policy)
            for handler, outcome in await run_authorized(bot.plan, x, nobody, row, policy=policy):
                tell(f"{handler}: {outcome}")
        return AppOnly(app=app, row=row)


async def _prove(x: X, app: str, keys: AppKeys) -> None:
    """Read the app's usage: only an app may do that, and it costs nothing."""
    context = x.keeper.context
    limiter = Limiter(clock=context.clock, entropy=context.entropy)
    try:
        await XApi(x.keeper, limiter=limiter, app=app).send(requests.get_usage())
    except Unauthorized as refused:
        what = "bearer_token" if keys.bearer_token else "api_key and api_secret"
        raise InvalidClient(
            f"X does not take the bearer token of app {app!r} for a read.",
            hint=f"Compare {what} with the app's Keys and tokens page in X's console.",
        ) from refused
    except Parked as parked:
        if isinstance(parked.__cause__, BotkitError):
            raise parked.__cause__ from None
        raise TransportError(f"X cannot be read now, it waits for {parked}.") from None
