"""Keep every login alive: return an access token that works, or raise why there is none.

One refresh task runs for each login; all callers wait for the same task, and none can cancel it.
A refresh starts with about a quarter of the token's life left, so that a lost answer causes a
warning and no outage. One heap and one task time the refreshes of all logins.
Source: docs/explanation/requirements.md, "The refresh of a login".
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
from botkit.client.logins.oauth2_login import is_asked_again
from botkit.client.logins.rescue_file import RescueRestorer
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
from botkit.protocol.rules import pricing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

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
    from botkit.ports import Clock, Entropy, OnSpend, Store, Transport, VaultPort

__all__ = ["TokenKeeper"]

_log = structlog.get_logger(__name__)

_CLOSE_S = 8.0


async def _nobody_else(name: str) -> bool | None:
    del name
    return False


class TokenKeeper:
    """Provide one process with the access tokens of its logins, and refresh them.

    Use it in `async with`, and run `run()` to refresh ahead of time. Without `run()`, as in a
    short command, a token is refreshed when it is asked for.

    Args:
        apps: The keys of each app, by its name in the settings.
        lock: Keeps other processes from refreshing the same login.
        role: The role of the refresh leader. A process that does not get it waits for the tokens
            that the leader stores. None for a process that always has it.
        owner: The name of this process, "" for a random one.
        lives: Returns whether the process of a given name lives; by default no other lives.
        grace_s: The seconds for which a token that another process sent is left to that process.
        rescue: Keeps a token that the store cannot save.
        rollback_guard: Keeps each login's newest generation outside the store.
        renew_key: Gives the vault the key that the store uses now.
        on_change: Called with each login when it is loaded, and on each change of its state.
        on_spend: Called with each charge for asking X to which user a login belongs.
        on_fallback: Called when an OAuth 1.0a token begins to stand in for an OAuth 2.0 login, and
            when that ends.
        fallback: True to allow an OAuth 1.0a token to stand in.
        check_owner: True to ask X after each refresh to which user the new token belongs.
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
        rollback_guard: RollbackGuard | None = None,
        renew_key: Callable[[], Awaitable[None]] = same_key,
        on_change: Callable[[LoginStatus], None] | None = None,
        on_spend: OnSpend | None = None,
        on_fallback: Callable[[StandIn], None] | None = None,
        fallback: bool = True,
        check_owner: bool = True,
    ) -> None:
        context = LoginContext(
            store=store,
            vault=vault,
            transport=transport,
            clock=clock,
            entropy=entropy,
            apps=apps,
            endpoints=endpoints or Endpoints(),
            rollback_guard=rollback_guard,
            renew_key=renew_key,
        )
        self.context: LoginContext = context
        self._clock = clock
        self.lock = lock
        role = self._role = role or Alone()
        name = owner or f"{entropy.token_bytes(6).hex()}/{entropy.token_bytes(6).hex()}"
        refresher = self._refresher = Refresher(
            context, owner=name, lock=lock, lives=lives, grace_s=grace_s
        )
        self._on_change = on_change
        self._book = LoginBook(
            context, refresher, role=role, on_change=self._changed, on_asked=self._asked
        )
        self.oauth1_logins: OAuth1Logins = self._book.oauth1_logins
        self.fallback = Fallback(self._book, clock, allowed=fallback, on_change=on_fallback)
        self._restorer = RescueRestorer(rescue, context.rows)
        self.bearers: BearerKeeper = BearerKeeper(context, on_change=self._bearer_changed)
        self._on_spend = on_spend
        self._restoring = asyncio.Lock()
        self._is_restored = False
        self._refresh_tasks = RefreshTasks(
            context,
            book=self._book,
            refresher=refresher,
            restorer=self._restorer,
            role=role,
            prepare=self._restore,
            on_asked=self._asked if check_owner else None,
        )

    async def __aenter__(self) -> Self:
        """Return the keeper; the first call of another method, or `run`, reads the store."""
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close the keeper with the default deadline."""
        await self.close()

    def fresh_token(self, account_id: str) -> Secret | None:
        """Return the access token if no refresh is due, else None: then call `access_token`."""
        grant = self._book.oauth2_logins.get(account_id)
        if grant is not None and self._clock.monotonic() < grant.fresh_until_s:
            return grant.access
        return None

    async def access_token(self, account_id: str) -> Secret:
        """Return an OAuth 2.0 access token of the account that works for a minute or more.

        Return the present token at once while it lives; a refresh that is due runs in the
        background. Wait for the refresh if the token has expired or is about to.

        Raises:
            InvalidGrant: There is no login, or it is DEAD: a person must authorize again.
            InvalidClient: The login is CONFIG and its access token has expired.
            TransportError: The token has expired, and X's token endpoint cannot be reached now.
            Parked: `login`, with the time: the token has expired, and the next try is later.
        """
        grant = await self._grant(account_id)
        left_s = grant.left_s(self._clock)
        status = grant.row.status
        if left_s > grant.urgent_s and status is not LoginState.DEAD:
            if left_s < grant.margin_s and status is LoginState.OK:
                self._refresh_tasks.start(grant)
            return grant.access
        refresh_task = self._refresh_tasks.start(grant)
        if refresh_task is not None:
            await asyncio.shield(refresh_task)
        return self._usable(grant)

    async def settled(self, account_id: str) -> LoginStatus:
        """Return the login's status; first wait for a refresh if one is due.

        Raises:
            InvalidGrant: There is no OAuth 2.0 login.
        """
        grant = await self._grant(account_id)
        is_due = grant.left_s(self._clock) < grant.margin_s
        if is_due or is_asked_again(grant.row):
            refresh_task = self._refresh_tasks.start(grant)
            if refresh_task is not None:
                await asyncio.shield(refresh_task)
        return self._book.status(grant)

    async def report_unauthorized(self, account_id: str, used: Secret) -> Secret | None:
        """Return another token to try once after X's 401 to `used`, None if there is none.

        Refresh at most once a minute for this reason, and less often while it does not help.

        Raises:
            InvalidGrant: The login is DEAD, X refuses its refresh token too, or it was removed.
            InvalidClient: The login is CONFIG: the client id and secret are wrong.
        """
        grant = await self._grant(account_id)
        if grant.access == used:
            refresh_task = grant.refresh_task
            if refresh_task is None and grant.may_follow_401(self._clock.monotonic()):
                refresh_task = self._refresh_tasks.start(grant, rejected=True)
            if refresh_task is not None:
                await asyncio.shield(refresh_task)
        self._raise_final(grant)
        return None if grant.access == used else grant.access

    async def bearer(self, app: str = "default") -> Secret:
        """Return the app's bearer token. Raises the same errors as `BearerKeeper.bearer`."""
        return await self.bearers.bearer(app)

    async def report_bearer_unauthorized(self, app: str, used: Secret) -> Secret | None:
        """Return another bearer token to try once after X's 401 to `used`, None for none."""
        return await self.bearers.report_unauthorized(app, used)

    async def token_pair(self, account_id: str) -> TokenPair:
        """Return the account's OAuth 1.0a token.

        Raises the same errors as `OAuth1Logins.check_usable`.
        """
        await self._load(account_id)
        return self.oauth1_logins.check_usable(account_id).tokens

    def signs_only(self, account_id: str) -> bool:
        """Return True if a loaded account has an OAuth 1.0a token and no OAuth 2.0 login."""
        return (
            self.oauth1_logins.get(account_id) is not None
            and account_id not in self._book.oauth2_logins
        )

    async def holdings(self, account_id: str) -> dict[CredentialKind, tuple[str, ...]]:
        """Return the credentials of the account and its app, by kind.

        The values are the scopes for OAuth 2.0, (level,) for OAuth 1.0a if it is known, and () for
        the app.
        """
        await self._load(account_id)
        held: dict[CredentialKind, tuple[str, ...]] = {}
        grant = self._book.oauth2_logins.get(account_id)
        if grant is not None:
            held[CredentialKind.OAUTH2] = grant.row.scopes
        pair = self.oauth1_logins.get(account_id)
        if pair is not None:
            held[CredentialKind.OAUTH1] = (pair.row.level,) if pair.row.level else ()
        app = self._book.app_of(account_id)
        if app is not None and self.bearers.can_serve(app):
            held[CredentialKind.APP_ONLY] = ()
        return held

    def has_left(self, account_id: str) -> bool:
        """Return True if the account's logins were removed while this process ran."""
        return self._book.has_left(account_id)

    @property
    def version(self) -> int:
        """A number that grows whenever any account's logins may have changed."""
        return self._book.version

    async def check_alive(self, account_id: str) -> None:
        """Check that the account's OAuth 2.0 login has not ended.

        Raises:
            Parked: `login`: it is DEAD, or there is none.
        """
        await self._load(account_id)
        grant = self._book.oauth2_logins.get(account_id)
        if grant is None or grant.row.status is LoginState.DEAD:
            raise Parked("login")

    async def app_of(self, account_id: str) -> str:
        """Return the app that the account acts through."""
        await self._load(account_id)
        return self._book.app_of(account_id) or "default"

    def app_can_serve(self, app: str) -> bool:
        """Return True if the app has a bearer token or the keys to fetch one."""
        return self.bearers.can_serve(app)

    async def row_of(self, account_id: str, kind: CredentialKind) -> CredentialRow | None:
        """Return the account's login of a kind, without its secrets; None if it has none."""
        await self._load(account_id)
        grant = self._book.oauth2_logins.get(account_id)
        if kind is CredentialKind.OAUTH2 and grant is not None:
            return grant.row
        pair = self.oauth1_logins.get(account_id)
        return pair.row if kind is CredentialKind.OAUTH1 and pair is not None else None

    async def revoked(self, account_id: str, reason: str) -> None:
        """Handle X's notice that the user revoked the app's access.

        Mark the OAuth 2.0 login DEAD, and check the OAuth 1.0a token at once.
        """
        await self.mark_dead(account_id, reason)
        await self.oauth1_logins.suspect(account_id, reason)

    async def mark_dead(self, account_id: str, reason: str) -> None:
        """Mark the account's OAuth 2.0 login, if it has one, DEAD, so that it is not used."""
        await self._load(account_id)
        grant = self._book.oauth2_logins.get(account_id)
        if grant is not None:
            await self._refresh_tasks.withdraw(grant, reason)

    def statuses(self) -> tuple[LoginStatus, ...]:
        """Return the status of each OAuth 2.0 login that is loaded."""
        return tuple(self._book.status(grant) for grant in self._book.oauth2_logins.values())

    async def reload(self) -> None:
        """Read the store again, after another process has changed it, and plan the refreshes."""
        await self._restore()
        await self.bearers.read()
        await self._book.load_all()
        for grant in self._book.oauth2_logins.values():
            self._refresh_tasks.schedule(grant)

    async def run(self) -> None:
        """Refresh every login ahead of time, until cancelled."""
        await self.reload()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._role.stay(self.reload), name="keeper")
            await self._refresh_tasks.run()

    def stop(self) -> None:
        """Start no more refreshes; those that run go on."""
        self._refresh_tasks.stop()

    async def close(self, *, deadline_s: float = _CLOSE_S) -> None:
        """Stop, wait for running refreshes, store rescued tokens if possible, give up the role."""
        await self._refresh_tasks.close(deadline_s=deadline_s)
        await self._role.close()

    async def _restore(self) -> None:
        """Store, once, the tokens that the store could not save before the last process ended.

        Do nothing yet if another process leads the refresh, or the leader cannot be known now.
        """
        if self._is_restored:
            return
        with suppress(StoreUnavailable):
            async with self._role() as holds_role, self._restoring:
                if not holds_role or self._is_restored:
                    return
                for entry in await self._restorer.restore():
                    await self._book.take_rescued(entry)
                self._is_restored = True

    async def _load(self, account_id: str) -> None:
        """Read an account's logins; before the first read, restore the rescued tokens."""
        if self._book.app_of(account_id) is None:
            await self._restore()
        await self._book.load(account_id)

    async def _grant(self, account_id: str) -> OAuth2Login:
        await self._restore()
        await self._book.load(account_id)
        grant = self._book.oauth2_logins.get(account_id)
        if grant is None:
            raise InvalidGrant(
                f"The account {account_id} has no OAuth 2.0 login.",
                hint=f"Run `botkit setup --account {account_id}`.",
            )
        return grant

    def _usable(self, grant: OAuth2Login) -> Secret:
        """Return the access token in memory, or raise why there is none."""
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
        """Raise if only a person can make the login work again."""
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
        """Report the charge for an owner check, which is a call of `users/me`."""
        if self._on_spend is not None:
            app = self._book.app_of(account_id) or "default"
            self._on_spend(account_id, pricing.charge_of_owner_check(account_id), app=app)
