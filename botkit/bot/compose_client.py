"""Build the X client from the settings, for the bot and for each command.

`open_x` opens everything that speaks to X on behalf of the store's accounts; it starts nothing.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import structlog

from botkit.client.api.limiter import Limiter
from botkit.client.api.reader import CachedReader
from botkit.client.api.x_api import XApi
from botkit.client.http.connections import check_ca_file
from botkit.client.http.transport import AiohttpTransport
from botkit.client.logins.endpoints import AppKeys, Endpoints
from botkit.client.logins.rescue_file import RescueFile
from botkit.client.logins.rollback_guard import FileRollbackGuard
from botkit.client.refresh.refresh_leader import LeasedRole, NeverLeader
from botkit.client.refresh.refresh_lock import LeasedRefreshLock, Tenure
from botkit.client.refresh.token_keeper import TokenKeeper
from botkit.errors import ConfigError, VaultKeyError
from botkit.leases.owner import lives, this_process
from botkit.model.tokens import Secret
from botkit.protocol.rules.policy import PostRules
from botkit.runtime.writes.checks.budget import Budget, BudgetLimits
from botkit.runtime.writes.checks.open_reads import OpenReads
from botkit.storage.files import file_of
from botkit.storage.vault.key_files import key_path
from botkit.storage.vault.key_places import find_key, find_previous_key
from botkit.storage.vault.vault import open_vault
from botkit.system import SystemClock, SystemEntropy
from botkit.waiting.proven_time import ProvenTime

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping
    from pathlib import Path

    from pydantic import SecretStr

    from botkit.client.logins.oauth1_fallback import StandIn
    from botkit.client.logins.oauth2_login import LoginStatus
    from botkit.client.refresh.refresh_leader import LeaderRole
    from botkit.config import AppSettings, Settings
    from botkit.ports import Clock, Entropy, Store, Transport, VaultPort

__all__ = [
    "X",
    "apps_of",
    "endpoints_of",
    "keys_of",
    "limits_of",
    "open_the_vault",
    "open_transport",
    "open_x",
    "renew_the_vault",
    "rescue_of",
    "rules_of",
]

_log = structlog.get_logger(__name__)

_RESCUE_SUFFIX = ".rescue"
_ROLLBACK_GUARD_SUFFIX = "-witness"


class X(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the client of one store's accounts: it keeps logins, sends requests, reads from X."""

    keeper: TokenKeeper
    sender: XApi
    reader: CachedReader
    budget: Budget
    open_reads: OpenReads
    proven: ProvenTime
    post_rules: PostRules = PostRules()

    @property
    def store(self) -> Store:
        """Return the store that holds the accounts and their logins."""
        return self.keeper.context.store

    @property
    def clock(self) -> Clock:
        """Return the clock that all parts share."""
        return self.keeper.context.clock

    @property
    def entropy(self) -> Entropy:
        """Return the source of randomness that all parts share."""
        return self.keeper.context.entropy


@asynccontextmanager
async def open_x(
    settings: Settings,
    store: Store,
    vault: VaultPort,
    *,
    transport: Transport | None = None,
    clock: Clock | None = None,
    entropy: Entropy | None = None,
    on_login_change: Callable[[LoginStatus], None] | None = None,
    on_fallback: Callable[[StandIn], None] | None = None,
    owner: str | None = None,
    tenure: Tenure | None = None,
) -> AsyncGenerator[X]:
    """Open the client for X; a port that is not given is the system's.

    Other processes may have the same store open: one of them is the refresh leader, one at a time
    refreshes a login, and the others take over the new tokens. `owner` names this process;
    `tenure` says for how long it holds its leases.
    """
    async with open_transport(settings, transport) as chosen:
        time, chance = clock or SystemClock(), entropy or SystemEntropy()
        name = await asyncio.to_thread(this_process, chance) if owner is None else owner
        terms = tenure or Tenure()
        budget = Budget(store, time, limits_of(settings))
        rules = rules_of(settings)
        async with TokenKeeper(
            store,
            vault,
            chosen,
            time,
            chance,
            apps_of(settings),
            endpoints=endpoints_of(settings),
            lock=LeasedRefreshLock(
                store, clock=time, entropy=chance, owner=name, lives=lives, tenure=terms
            ),
            role=_role_of(settings, store, time, owner=name, tenure=terms),
            owner=name,
            lives=lives,
            grace_s=2 * terms.ttl_s,
            rescue=rescue_of(settings),
            rollback_guard=await asyncio.to_thread(_rollback_guard_of, settings, store),
            renew_key=partial(_renew_key, settings, store, vault),
            on_change=on_login_change,
            on_fallback=on_fallback,
            fallback=settings.run.fallback,
            on_spend=budget.note,
        ) as keeper:
            await keeper.bearers.read()
            try:
                yield _x_of(keeper, budget, ProvenTime(time), rules)
            finally:
                await budget.flush()


def _x_of(keeper: TokenKeeper, budget: Budget, proven: ProvenTime, rules: PostRules) -> X:
    store, time, chance = keeper.context.store, keeper.context.clock, keeper.context.entropy
    limiter = Limiter(clock=time, entropy=chance)
    open_reads = OpenReads(store, time, budget)
    sender = XApi(
        keeper, limiter=limiter, on_spend=budget.note, on_date=proven.note, reads=open_reads
    )
    reader = CachedReader(
        sender,
        store,
        clock=time,
        entropy=chance,
        allow=budget.check,
        booked=budget.flush,
    )
    return X(
        keeper=keeper,
        sender=sender,
        reader=reader,
        budget=budget,
        open_reads=open_reads,
        proven=proven,
        post_rules=rules,
    )


def _role_of(
    settings: Settings, store: Store, clock: Clock, *, owner: str, tenure: Tenure
) -> LeaderRole:
    if settings.run.keeper == "never":
        return NeverLeader()
    return LeasedRole(store, clock, owner=owner, lives=lives, tenure=tenure)


async def open_the_vault(settings: Settings, store: Store) -> VaultPort:
    """Open the store's vault with the key of the settings, else with the stored key.

    Raises:
        ConfigError: There is no key in any of the places; nothing was changed.
        VaultKeyError: The key is the wrong one, or its place cannot be used; nothing was changed.
    """
    key = await asyncio.to_thread(find_key, settings, store_id=store.store_id)
    try:
        previous = await asyncio.to_thread(find_previous_key, settings, store_id=store.store_id)
        return await open_vault(store, key, previous=previous)
    except VaultKeyError as wrong:
        if key is None:  # reported like any other missing setting
            raise ConfigError(wrong.message, hint=wrong.hint) from wrong
        raise


async def renew_the_vault(settings: Settings, store: Store, vault: VaultPort) -> None:
    """Go on with the new vault key if the store's key was rotated.

    Only a key that is read from its place is renewed; one from the settings is read at the start.
    """
    check = await store.vault_check()
    if settings.store.key is not None or check is None or vault.is_current(check):
        return
    key = await asyncio.to_thread(find_key, settings, store_id=store.store_id)
    if key is not None:
        previous = await asyncio.to_thread(find_previous_key, settings, store_id=store.store_id)
        vault.learn(key, previous=previous)
        _log.info("vault_key.renewed")


async def _renew_key(settings: Settings, store: Store, vault: VaultPort) -> None:
    """Make the vault seal with the key that the store has now.

    Raises:
        VaultKeyError: The key was changed, and this process was started with the previous one.
    """
    await renew_the_vault(settings, store, vault)
    check = await store.vault_check()
    if check is not None and not vault.is_current(check):
        raise VaultKeyError(
            f"The vault key of the store {store.url} was changed while this ran.",
            hint="Start it again with the new key.",
        )


def limits_of(settings: Settings) -> BudgetLimits:
    """Return the budget limits of the settings, where 0 stands for no limit."""
    return BudgetLimits(
        hour_usd=settings.budget.hour_usd or None,
        day_usd=settings.budget.day_usd or None,
        hearing_day_usd=settings.budget.hearing_day_usd or None,
    )


def rules_of(settings: Settings) -> PostRules:
    """Return the rules for posts that the settings ask for."""
    return PostRules(
        bare_links=settings.bot.links == "allow",
        answers_per_author=settings.bot.answers_per_author,
        answers_to_automated=settings.bot.answers_to_automated,
    )


def endpoints_of(settings: Settings) -> Endpoints:
    """Return X's addresses from the settings."""
    return Endpoints.at(
        settings.x.api_url,
        consent_url=settings.x.consent_url,
        token_url=settings.x.token_url,
        revoke_url=settings.x.revoke_url,
        app_token_url=settings.x.app_token_url,
        app_invalidate_url=settings.x.app_invalidate_url,
        request_token_url=settings.x.request_token_url,
        authorize_url=settings.x.authorize_url,
        access_token_url=settings.x.access_token_url,
        invalidate_url=settings.x.invalidate_url,
        issuer=settings.x.issuer,
    )


def apps_of(settings: Settings) -> Mapping[str, AppKeys]:
    """Return the keys of all apps, by the app's name."""
    named = {name: keys_of(app) for name, app in settings.apps.items()}
    return {"default": keys_of(settings.app_named()), **named}


def keys_of(app: AppSettings) -> AppKeys:
    """Return one app's keys in the form that the client takes."""
    return AppKeys(
        client_id=app.client_id or "",
        client_secret=_secret(app.client_secret),
        api_key=app.api_key or "",
        api_secret=_secret(app.api_secret),
        bearer_token=_secret(app.bearer_token),
    )


def _secret(value: SecretStr | None) -> Secret:
    return Secret("" if value is None else value.get_secret_value())


def rescue_of(settings: Settings) -> RescueFile | None:
    """Return the file that takes new tokens if the store cannot; None if the store is no file."""
    path = _beside_store(settings, _RESCUE_SUFFIX)
    return None if path is None else RescueFile(path)


def _rollback_guard_of(settings: Settings, store: Store) -> FileRollbackGuard | None:
    """Return the rollback guard, kept beside the vault key: a copy of the store leaves it behind.

    If the settings give the key, the guard lies beside the store.
    """
    if settings.store.key is None:
        with suppress(VaultKeyError):  # without a home folder the key lies beside the store
            keys = key_path(store.store_id).parent
            if os.path.isdir(keys):  # noqa: PTH112 - False also where it may not be looked for
                return FileRollbackGuard(keys / f"{store.store_id}.witness")
    folder = _beside_store(settings, _ROLLBACK_GUARD_SUFFIX)
    return None if folder is None else FileRollbackGuard(folder)


def _beside_store(settings: Settings, suffix: str) -> Path | None:
    path = file_of(settings.store_url)
    return None if path is None else path.with_name(path.name + suffix)


@asynccontextmanager
async def open_transport(
    settings: Settings, given: Transport | None = None
) -> AsyncGenerator[Transport]:
    """Open the transport that the settings describe; yield `given` unchanged if there is one."""
    if given is not None:
        yield given
        return
    if settings.x.ca_file is not None:
        await asyncio.to_thread(check_ca_file, settings.x.ca_file)
    async with AiohttpTransport(
        ca_file=settings.x.ca_file,
        extra_headers=settings.x.extra_headers,
        use_proxy=settings.x.use_proxy,
    ) as opened:
        yield opened
