"""Hold the store's logins in memory, with their access tokens, and report their changes.

A newer generation in the store (setup ran, or another process refreshed) replaces the one in
memory; an older one never does. Source:
docs/explanation/requirements.md, "The refresh of a login", F14 and G5.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog
from msgspec import structs

from botkit.client.logins.login_states import next_step, tell_state
from botkit.client.logins.oauth1_logins import OAuth1Logins
from botkit.client.logins.oauth2_login import LoginStatus, OAuth2Login, life_s
from botkit.errors import StoreUnavailable
from botkit.model.tokens import CredentialKind, LoginState, Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from botkit.client.logins.context import LoginContext
    from botkit.client.logins.rescue_file import Rescued
    from botkit.client.refresh.refresh_leader import LeaderRole
    from botkit.client.refresh.refresher import Refresher
    from botkit.model.records import CredentialRow

__all__ = ["LoginBook", "status_of"]

_log = structlog.get_logger(__name__)

_REMOVED = "it was removed here"


class LoginBook:
    """Hold the logins in memory, and read them from the store again on request.

    `on_change` is called with each login that is loaded and with each change. A process that
    leads the refresh may also correct a login's state: if an intent is marked as sent and no
    process holds the login's lock, then the process that sent the token has ended.

    Attributes:
        oauth2_logins: The OAuth 2.0 logins, by account id.
        oauth1_logins: The OAuth 1.0a tokens.
        version: A number that grows whenever any account's logins may have changed.
    """

    def __init__(
        self,
        context: LoginContext,
        refresher: Refresher,
        *,
        role: LeaderRole,
        on_change: Callable[[LoginStatus], None] | None = None,
        on_asked: Callable[[str], None] | None = None,
    ) -> None:
        self._context = context
        self._rows = context.rows
        self._refresher = refresher
        self._on_change = on_change
        self._role = role
        self._apps: dict[str, str] = {}
        self._loaded: set[str] = set()
        self._reading = asyncio.Lock()
        self.oauth2_logins: dict[str, OAuth2Login] = {}
        self.oauth1_logins: OAuth1Logins = OAuth1Logins(
            context,
            on_change=self._pair_changed,
            on_asked=on_asked,
            judges=role.can_be_had,
        )
        self.version: int = 0
        self._left: set[str] = set()

    async def load(self, account_id: str) -> None:
        """Read one account's logins from the store, unless they are loaded."""
        if account_id in self._loaded:
            return
        async with self._reading:
            if account_id in self._loaded:
                return
            rows = await self._rows.listing(account_id)
            account = await self._context.store.accounts.get(account_id)
            if account is not None:
                self._apps[account_id] = account.app
                self.version += 1
                await self._take_all(rows)
                self._loaded.add(account_id)

    async def load_all(self) -> None:
        """Read all accounts and logins from the store again."""
        async with self._reading:
            await self._load_all()

    async def _load_all(self) -> None:
        accounts = await self._context.store.accounts.listing()
        rows = await self._rows.listing()
        self._apps = {account.id: account.app for account in accounts}
        self.version += 1
        self._leave_apps()
        await self._take_all(rows)
        self._loaded = {*self._apps}
        mine = [row for row in rows if row.app == self._apps.get(row.account_id)]
        held = {row.account_id for row in mine if row.kind is CredentialKind.OAUTH2}
        for gone in self.oauth2_logins.keys() - held:
            _log.info("login.gone", account=gone)
            self.drop(self.oauth2_logins[gone])
        signing = {row.account_id for row in mine if row.kind is CredentialKind.OAUTH1}
        for gone in set(self.oauth1_logins.accounts) - signing:
            row = self.oauth1_logins.drop(gone)
            if row is not None:
                self._tell_gone(row)

    async def look_again(self, grant: OAuth2Login) -> None:
        """Read a login again that another process was refreshing; take over its new state."""
        row = await self._rows.again(grant.row)
        if row is not None:
            await self._take_grant(row)

    async def take_rescued(self, entry: Rescued) -> None:
        """Use a rescued generation that the store could not save yet."""
        await self.load(entry.row.account_id)
        grant = self.oauth2_logins.get(entry.row.account_id)
        if grant is not None and entry.row.gen == grant.row.gen + 1:
            grant.unsaved = entry
            row = self._rows.as_of_here(entry.row)
            self.renew(grant, row, self.access_of(row))
            grant.next_try_s = 0.0  # to store it, not to refresh it

    def drop(self, grant: OAuth2Login) -> None:
        """Forget a login that was removed from the store, and report that."""
        grant.is_gone = True
        self.oauth2_logins.pop(grant.row.account_id, None)
        self._tell_gone(grant.row)

    def app_of(self, account_id: str) -> str | None:
        """Return the app that an account acts through, None for an unknown account."""
        return self._apps.get(account_id)

    def has_left(self, account_id: str) -> bool:
        """Return True if all logins of a known account were removed while this process ran."""
        if account_id not in self._left or account_id not in self._apps:
            return False
        return account_id not in self.oauth2_logins and self.oauth1_logins.get(account_id) is None

    def renew(self, grant: OAuth2Login, row: CredentialRow, access: Secret) -> None:
        """Use this generation and its access token from now on, and report that."""
        before = grant.row
        self._use(grant, row, access)
        if row.gen > before.gen:
            _log.info(
                "login.renewed",
                account=row.account_id,
                gen=row.gen,
                good_for_s=round(grant.left_s(self._context.clock)),
            )
        self.announce(grant, before)

    def change(self, grant: OAuth2Login, row: CredentialRow) -> None:
        """Take over another state of the same generation, and report it."""
        before = grant.row
        grant.keep(row)
        self.announce(grant, before)

    def announce(self, grant: OAuth2Login, before: CredentialRow | None) -> None:
        """Log a change of state, and call `on_change`."""
        self.version += 1
        tell_state(grant.row, before)
        if self._on_change is not None:
            self._on_change(self.status(grant))

    def status(self, grant: OAuth2Login) -> LoginStatus:
        """Return the login's description for the operator."""
        return status_of(
            grant.row, left_s=grant.left_s(self._context.clock), saved=grant.unsaved is None
        )

    def _pair_changed(self, row: CredentialRow, before: CredentialRow | None) -> None:
        self.version += 1
        tell_state(row, before)
        if self._on_change is not None:
            self._on_change(status_of(row))

    def _tell_gone(self, row: CredentialRow) -> None:
        """Report a login that a person removed from the store."""
        self.version += 1
        self._left.add(row.account_id)
        now = self._context.clock.now()
        row = structs.replace(row, status=LoginState.DEAD, reason=_REMOVED, since=now)
        if self._on_change is not None:
            self._on_change(status_of(row, is_gone=True))

    def _leave_apps(self) -> None:
        """Drop the logins of accounts that moved to another app: they use that app's logins."""
        for grant in [*self.oauth2_logins.values()]:
            row = grant.row
            if self._apps.get(row.account_id, row.app) != row.app:
                _log.info("login.left_with_app", account=row.account_id, app=row.app)
                grant.is_gone = True
                del self.oauth2_logins[row.account_id]
        for account_id in [*self.oauth1_logins.accounts]:
            pair = self.oauth1_logins.get(account_id)
            if pair is not None and self._apps.get(account_id, pair.row.app) != pair.row.app:
                self.oauth1_logins.drop(account_id)

    async def _take_all(self, rows: Iterable[CredentialRow]) -> None:
        for row in rows:
            if row.app != self._apps.get(row.account_id):
                continue
            if row.kind is CredentialKind.OAUTH1:
                await self.oauth1_logins.take(row)
            elif row.kind is CredentialKind.OAUTH2:
                await self._take_grant(row)

    async def _take_grant(self, row: CredentialRow) -> None:
        grant = self.oauth2_logins.get(row.account_id)
        doubt = False
        if grant is None or grant.refresh_task is None:
            first = grant is None or grant.row.gen < row.gen
            judged = await self._judge(row, first=first)
            doubt = judged is None
            row = judged or row
        grant = self.oauth2_logins.get(row.account_id)
        if grant is None:
            grant = self.oauth2_logins[row.account_id] = OAuth2Login(row)
            self._use(grant, row, self.access_of(row))
            self.announce(grant, None)
        elif row.gen > grant.row.gen:
            self.renew(grant, row, self.access_of(row))
        elif row.gen == grant.row.gen and grant.refresh_task is None and _differs(row, grant.row):
            if row.access_until != grant.row.access_until:  # X refused another process
                grant.shorten(life_s(row, self._context.clock.now()), self._context.clock)
            self.change(grant, row)
        grant.doubt = doubt

    def access_of(self, row: CredentialRow) -> Secret:
        """Return the access token; an empty one if the login is not for these settings."""
        return Secret("") if self._rows.why_foreign(row) else self._rows.access_token(row)

    def _use(self, grant: OAuth2Login, row: CredentialRow, access: Secret) -> None:
        clock = self._context.clock
        left_s = life_s(row, clock.now()) if access else 0.0
        grant.take(row, access, left_s=left_s, clock=clock, entropy=self._context.entropy)

    async def _judge(self, row: CredentialRow, *, first: bool) -> CredentialRow | None:
        """Return the row, corrected if this process leads; None if it must be read again later."""
        try:
            async with self._role() as holds_role:
                return await self._refresher.judge(row, first=first) if holds_role else row
        except StoreUnavailable:
            return None


def _differs(one: CredentialRow, other: CredentialRow) -> bool:
    pair = (one, other)
    first, second = ((row.status, row.reason, row.access_until) for row in pair)
    return first != second


def status_of(
    row: CredentialRow, *, left_s: float | None = None, saved: bool = True, is_gone: bool = False
) -> LoginStatus:
    """Return the description of a row for the operator."""
    return LoginStatus(
        account_id=row.account_id,
        username=row.username,
        app=row.app,
        status=row.status,
        since=row.since,
        gen=row.gen,
        left_s=left_s,
        last_success=row.last_success,
        reason=row.reason,
        saved=saved,
        next_step=next_step(row),
        kind=row.kind,
        is_gone=is_gone,
    )
