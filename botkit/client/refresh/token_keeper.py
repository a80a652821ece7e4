"""Keeps every login alive: who asks for an access token gets one that works, or hears why not.

One flight a login, shared by all who wait and cancelled by none of them; refreshed with a quarter
of its life left, so that a lost answer is a warning and not an outage. One heap, one task, for
all logins. Source: docs/explanation/requirements.md, "The refresh of a login".
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Self

import structlog

from botkit.client.logins.app_tokens import BearerKeeper
from botkit.client.logins.context import LoginContext
from botkit.client.logins.endpoints import Endpoints
from botkit.client.logins.login_book import LoginBook, status_of
from botkit.client.logins.login_rows import same_key
from botkit.client.logins.oauth1_fallback import Fallback
from botkit.client.logins.rescue_file import Salvager
from botkit.client.refresh.refresh_leader import Alone
from botkit.client.refresh.refresh_lock import in_process
from botkit.client.refresh.refresh_tasks import RefreshTasks
from botkit.client.refresh.refresher import Refresher
from botkit.errors import (
    InvalidClient,
    InvalidGrant,
    Parked,
    StoreUnavailable,
    TransportError,
)
from botkit.model.tokens import CredentialKind, LoginState, Secret, TokenPair
from botkit.protocol.api import requests
from botkit.protocol.rules import pricing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from decimal import Decimal

    from botkit.client.logins.endpoints import AppKeys
    from botkit.client.logins.oauth1_fallback import StandIn
    from botkit.client.logins.oauth1_logins import OAuth1Logins
    from botkit.client.logins.oauth2_login import LoginStatus, OAuth2Login
    from botkit.client.logins.rescue_file import RescuePlace
    from botkit.client.logins.rollback_guard import RollbackGuard
    from botkit.client.refresh.refresh_leader import LeaderRole
    from botkit.client.refresh.refresh_lock import RefreshLock
    from botkit.leases.owner import Lives
    from botkit.model.records import CredentialRow
    from botkit.ports import Clock, Entropy, Store, Transport, VaultPort
    from botkit.protocol.api.requests import Request

__all__ = ["TokenKeeper"]

_log = structlog.get_logger(__name__)

_CLOSE_S = 8.0


async def _nobody_else(name: str) -> bool | None:
    del name
    return False


class TokenKeeper:
    """The logins of one process. Use it in `async with`; run `run()` to refresh ahead of time.

    Without `run()`, as in a short command, tokens are refreshed when somebody asks for them.

    Args:
        apps: The keys of each app, by its name in the settings.
        lock: Keeps other processes from refreshing the same login.
        role: Whether this process may refresh; who may not waits for what the keeper gets.
        owner: The name of this process, "" for one that is made up.
        lives: Whether a process of that name lives; without it there is no other.
        grace_s: For how long a token that another process sent is its own.
        rescue: Where a token goes that the store cannot take.
        witness: Remembers outside the store how far each login is.
        renew_key: Lets the vault learn the key that the store has now.
        on_change: Told of each login when it is loaded, and of each change of its state.
        on_spend: Told of each call that costs money: account id, call, price.
        on_fallback: Told when an OAuth 1.0a token begins to stand in for an OAuth 2.0 login, and
            when that ends.
        fallback: Whether it may.
        check_owner: Ask X after each refresh whose token it is.
    """

    fallback: Fallback

    def __init__(
        self,
        store: Store,
        vault: VaultPort,
        transport: Transport,
        clock: Clock,
        entropy: Entropy,
        apps: Mapping[str, AppKeys],
        *,
        endpoints: Endpoints | None = None,
        lock: RefreshLock = in_process,
        role: LeaderRole | None = None,
        owner: str = "",
        lives: Lives = _nobody_else,
        grace_s: float = 120.0,
        rescue: RescuePlace | None = None,
        witness: RollbackGuard | None = None,
        renew_key: Callable[[], Awaitable[None]] = same_key,
        on_change: Callable[[LoginStatus], None] | None = None,
        on_spend: Callable[[str, Request, Decimal], None] | None = None,
        on_fallback: Callable[[StandIn], None] | None = None,
        fallback: bool = True,
        check_owner: bool = True,
    ) -> None:
        around = LoginContext(
            store=store,
            vault=vault,
            transport=transport,
            clock=clock,
            entropy=entropy,
            apps=apps,
            endpoints=endpoints or Endpoints(),
            witness=witness,
            renew_key=renew_key,
        )
        self.around: LoginContext = around
        self._clock = clock
        self.lock = lock
        role = self._role = role or Alone()
        name = owner or f"{entropy.token_bytes(6).hex()}/{entropy.token_bytes(6).hex()}"
        refresher = self._refresher = Refresher(
            around, owner=name, lock=lock, lives=lives, grace_s=grace_s
        )
        self._on_change = on_change
        self._book = LoginBook(
            around, refresher, role=role, on_change=self._changed, on_asked=self._asked
        )
        self.pairs: OAuth1Logins = self._book.pairs
        self.fallback = Fallback(self._book, clock, allowed=fallback, on_change=on_fallback)
        self._salvager = Salvager(rescue, around.rows)
        self.bearers: BearerKeeper = BearerKeeper(around, on_change=self._bearer_changed)
        self._on_spend = on_spend
        self._restoring = asyncio.Lock()
        self._is_restored = False
        self._flights = RefreshTasks(
            around,
            book=self._book,
            refresher=refresher,
            salvager=self._salvager,
            role=role,
            prepare=self._restore,
            on_asked=self._asked if check_owner else None,
        )

    async def __aenter__(self) -> Self:
        """Nothing is read yet: `run` or the first question does."""
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close with the default deadline."""
        await self.close()

    def fresh_token(self, account_id: str) -> Secret | None:
        """The access token when there is nothing to think about, else None: ask `access_token`."""
        grant = self._book.grants.get(account_id)
        if grant is not None and self._clock.monotonic() < grant.fresh_until_s:
            return grant.access
        return None

    async def access_token(self, account_id: str) -> Secret:
        """An OAuth 2.0 access token of the account that works for a minute or more.

        Nobody waits while the one in hand lives: a refresh that is due goes on in the background.

        Raises:
            InvalidGrant: There is no login, or it is DEAD: a person must authorize again.
            InvalidClient: It is CONFIG and the access token is over.
            TransportError: It is over, and X's token endpoint cannot be reached now.
            Parked: `login`, with the time: it is over, and the next try is later.
        """
        grant = await self._grant(account_id)
        left_s = grant.left_s(self._clock)
        status = grant.row.status
        if left_s > grant.urgent_s and status is not LoginState.DEAD:
            if left_s < grant.margin_s and status is LoginState.OK:
                self._flights.start(grant)
            return grant.access
        flight = self._flights.start(grant)
        if flight is not None:
            await asyncio.shield(flight)
        return self._usable(grant)

    async def settled(self, account_id: str) -> LoginStatus:
        """How the login is, after the refresh that is due has come to an end.

        Raises:
            InvalidGrant: There is no OAuth 2.0 login.
        """
        grant = await self._grant(account_id)
        if grant.left_s(self._clock) < max(grant.margin_s, grant.urgent_s):
            flight = self._flights.start(grant)
            if flight is not None:
                await asyncio.shield(flight)
        return self._book.status(grant)

    async def report_unauthorized(self, account_id: str, used: Secret) -> Secret | None:
        """X said 401 to that access token: gives another one to try once, None when there is none.

        Refreshes at most once a minute for this reason, less often while it does not help.

        Raises:
            InvalidGrant: The refresh token is dead too.
            InvalidClient: The client id and secret are wrong.
        """
        grant = await self._grant(account_id)
        if grant.access == used:
            flight = grant.flight
            if flight is None and grant.may_follow_401(self._clock.monotonic()):
                flight = self._flights.start(grant, rejected=True)
            if flight is not None:
                await asyncio.shield(flight)
        if grant.row.status in {LoginState.DEAD, LoginState.CONFIG}:
            self._raise_final(grant)
        return None if grant.access == used else grant.access

    async def bearer(self, app: str = "default") -> Secret:
        """The app's bearer token. Raises as `BearerKeeper.bearer`."""
        return await self.bearers.bearer(app)

    async def report_bearer_unauthorized(self, app: str, used: Secret) -> Secret | None:
        """X said 401 to that bearer token: gives another to try once, None if there is none."""
        return await self.bearers.report_unauthorized(app, used)

    async def token_pair(self, account_id: str) -> TokenPair:
        """The account's OAuth 1.0a token. Raises as `Pairs.check_usable`."""
        await self._load(account_id)
        return self.pairs.check_usable(account_id).tokens

    def signs_only(self, account_id: str) -> bool:
        """Whether the account, once loaded, holds an OAuth 1.0a token and no OAuth 2.0 login."""
        return self.pairs.get(account_id) is not None and account_id not in self._book.grants

    async def holdings(self, account_id: str) -> dict[CredentialKind, tuple[str, ...]]:
        """What the account and its app hold: scopes (OAuth 2.0), the level (1.0a), nothing."""
        await self._load(account_id)
        held: dict[CredentialKind, tuple[str, ...]] = {}
        grant = self._book.grants.get(account_id)
        if grant is not None:
            held[CredentialKind.OAUTH2] = grant.row.scopes
        pair = self.pairs.get(account_id)
        if pair is not None:
            held[CredentialKind.OAUTH1] = (pair.row.level,) if pair.row.level else ()
        app = self._book.app_of(account_id)
        if app is not None and self.bearers.can_serve(app):
            held[CredentialKind.APP_ONLY] = ()
        return held

    def has_left(self, account_id: str) -> bool:
        """Whether the account's logins were removed while this ran: a setup brings a new one."""
        return self._book.has_left(account_id)

    @property
    def version(self) -> int:
        """Grows whenever what anybody holds may have changed."""
        return self._book.version

    async def check_alive(self, account_id: str) -> None:
        """Return unless the account's OAuth 2.0 login has ended.

        Raises:
            Parked: `login`: it has.
        """
        await self._load(account_id)
        grant = self._book.grants.get(account_id)
        if grant is None or grant.row.status is LoginState.DEAD:
            raise Parked("login")

    async def app_of(self, account_id: str) -> str:
        """The app that the account acts through."""
        await self._load(account_id)
        return self._book.app_of(account_id) or "default"

    def app_can_serve(self, app: str) -> bool:
        """Whether the app has a bearer token or the keys to fetch one."""
        return self.bearers.can_serve(app)

    async def row_of(self, account_id: str, kind: CredentialKind) -> CredentialRow | None:
        """The account's login of a kind, without its secrets; None when it has none."""
        await self._load(account_id)
        grant = self._book.grants.get(account_id)
        if kind is CredentialKind.OAUTH2 and grant is not None:
            return grant.row
        pair = self.pairs.get(account_id)
        return pair.row if kind is CredentialKind.OAUTH1 and pair is not None else None

    async def revoked(self, account_id: str, reason: str) -> None:
        """X said that the user took the app's access back: that ends whatever the user granted."""
        await self.mark_dead(account_id, reason)
        await self.pairs.suspect(account_id, reason)

    async def mark_dead(self, account_id: str, reason: str) -> None:
        """Stop using an OAuth 2.0 login that has ended. Nothing when there is none."""
        await self._load(account_id)
        grant = self._book.grants.get(account_id)
        if grant is not None:
            await self._flights.ground(grant, reason)

    def statuses(self) -> tuple[LoginStatus, ...]:
        """All OAuth 2.0 logins that are loaded."""
        return tuple(self._book.status(grant) for grant in self._book.grants.values())

    async def reload(self) -> None:
        """Read the store again: something else has written to it."""
        await self._restore()
        await self.bearers.read()
        await self._book.load_all()
        for grant in self._book.grants.values():
            self._flights.schedule(grant)

    async def run(self) -> None:
        """Refresh every login ahead of time, until cancelled."""
        await self.reload()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._role.stay(self.reload), name="keeper")
            await self._flights.run()

    def stop(self) -> None:
        """Start no refresh any more; those in flight go on."""
        self._flights.stop()

    async def close(self, *, deadline_s: float = _CLOSE_S) -> None:
        """Stop, wait for what is in flight, and try every place for a token that is not stored."""
        await self._flights.close(deadline_s=deadline_s)
        await self._role.close()

    async def _restore(self) -> None:
        """Once, first of all that the keeper does: what the store could not take at the last end.

        Not now when another process is the keeper, or it cannot be known: then before the first
        refresh.
        """
        if self._is_restored:
            return
        with suppress(StoreUnavailable):
            async with self._role() as is_keeper, self._restoring:
                if not is_keeper or self._is_restored:
                    return
                for entry in await self._salvager.restore():
                    await self._book.take_rescued(entry)
                self._is_restored = True

    async def _load(self, account_id: str) -> None:
        """Read an account's logins; before the first time, what the store could not take."""
        if self._book.app_of(account_id) is None:
            await self._restore()
        await self._book.load(account_id)

    async def _grant(self, account_id: str) -> OAuth2Login:
        await self._restore()
        await self._book.load(account_id)
        grant = self._book.grants.get(account_id)
        if grant is None:
            raise InvalidGrant(
                f"The account {account_id} has no OAuth 2.0 login.",
                hint=f"Run `botkit setup --account {account_id}`.",
            )
        return grant

    def _usable(self, grant: OAuth2Login) -> Secret:
        """The access token in hand, or why there is none."""
        left_s = grant.left_s(self._clock)
        if left_s > 0 and grant.row.status is not LoginState.DEAD:
            return grant.access
        self._raise_final(grant)
        error = grant.error
        if isinstance(error, TransportError):
            raise TransportError(
                f"The access token is over, and no new one can be had: {error.message}",
                request=error.request,
                kind=error.kind,
            )
        wait_s = max(grant.next_try_s - self._clock.monotonic(), 1.0)
        raise Parked("login", until=self._clock.now() + timedelta(seconds=wait_s))

    def _raise_final(self, grant: OAuth2Login) -> None:
        status = self._book.status(grant)
        if status.status is LoginState.DEAD or grant.is_gone:
            raise InvalidGrant(
                f"The login of @{status.username} is dead: {status.reason or 'it was removed'}.",
                hint=f"Run `botkit setup --account {status.username}`.",
            )
        if status.status is LoginState.CONFIG:
            raise InvalidClient(
                f"The login of @{status.username} waits for settings: {status.reason}",
                hint=f"Then {status.next_step}.",
            )

    def _bearer_changed(self, row: CredentialRow) -> None:
        self._changed(status_of(row))

    def _changed(self, status: LoginStatus) -> None:
        self.fallback.look(status.account_id)
        if self._on_change is not None:
            self._on_change(status)

    def _asked(self, account_id: str) -> None:
        """A check of the owner costs what looking oneself up costs."""
        if self._on_spend is not None:
            ask = requests.get_me()
            self._on_spend(account_id, ask, pricing.price_usd(ask))
