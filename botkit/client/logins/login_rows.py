"""The one owner of a login's stored row: its seal, its generations and its state.

Every way in, every refresh, check, revocation and transfer changes a login through this class.
Each change is a compare-and-set on the generation, so that no process overwrites what another one
has stored meanwhile.
Source: docs/explanation/requirements.md, "The refresh of a login", F13 and S4.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import structlog
from msgspec import structs

from botkit.client.logins.rollback_guard import seen_of, verdict
from botkit.errors import StateError
from botkit.model.tokens import CredentialKind, LoginState, Secret, TokenPair

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from botkit.client.logins.endpoints import AppKeys
    from botkit.client.logins.rollback_guard import RollbackGuard
    from botkit.model.records import CredentialRow, Fence, Intent, NewEvent
    from botkit.model.users import Account
    from botkit.ports import Clock, Store, VaultPort

__all__ = ["LoginRows", "OpenRow", "fingerprint", "keys_fingerprint", "same_key"]

_log = structlog.get_logger(__name__)

_RESERVE_BYTES = 2048


def fingerprint(secret: Secret) -> str:
    """Return a short name for a secret, for logs and comparison; it does not give it away."""
    return hashlib.sha256(secret.reveal().encode()).hexdigest()[:16]


def keys_fingerprint(keys: AppKeys, kind: CredentialKind) -> str:
    """Return which keys of an app a login of this kind hangs on: others clear a CONFIG."""
    if kind is CredentialKind.OAUTH2:
        return fingerprint(Secret(f"{keys.client_id}\0{keys.client_secret.reveal()}"))
    return fingerprint(Secret(f"{keys.api_key}\0{keys.api_secret.reveal()}"))


async def same_key() -> None:
    """Keep the vault key: no other process changes it."""


class OpenRow:
    """A row whose tokens are unsealed when they are asked for, and only once."""

    __slots__ = ("_rows", "_tokens", "row")

    def __init__(self, rows: LoginRows, row: CredentialRow) -> None:
        self._rows = rows
        self._tokens: dict[str, Secret] | None = None
        self.row: CredentialRow = row

    @property
    def tokens(self) -> dict[str, Secret]:
        """All that is sealed in the row. Raises as `LoginRows.open`."""
        if self._tokens is None:
            self._tokens = self._rows.open(self.row)
        return self._tokens


class LoginRows:
    """The rows of one store's logins.

    Args:
        apps: The keys of each app, by its name in the settings.
        witness: Remembers outside the store how far each OAuth 2.0 login is.
        renew_key: Lets the vault learn the key that the store has now.
    """

    def __init__(
        self,
        store: Store,
        vault: VaultPort,
        clock: Clock,
        *,
        apps: Mapping[str, AppKeys] | None = None,
        witness: RollbackGuard | None = None,
        renew_key: Callable[[], Awaitable[None]] = same_key,
    ) -> None:
        self._store = store.credentials
        self._vault = vault
        self._clock = clock
        self._apps = apps or {}
        self._witness = witness
        self._renew_key = renew_key

    # ---- reading --------------------------------------------------------------------------------

    async def get(self, account_id: str, app: str, kind: CredentialKind) -> CredentialRow | None:
        """Return one login, None when there is none."""
        return await self._store.get(account_id, app, kind)

    async def again(self, row: CredentialRow) -> CredentialRow | None:
        """Return the login as the store has it now, None when it was removed."""
        return await self._store.get(row.account_id, row.app, row.kind)

    async def listing(self, account_id: str | None = None) -> list[CredentialRow]:
        """Return all logins, or those of one account."""
        return await self._store.listing(account_id)

    def open(self, row: CredentialRow) -> dict[str, Secret]:
        """Return all that is sealed in a row.

        Raises:
            VaultKeyError: It was sealed with a key that we do not have.
            Corrupt: It was damaged, or belongs to another row or deployment.
        """
        return self._vault.open(
            row.sealed, account_id=row.account_id, app=row.app, kind=row.kind, gen=row.gen
        )

    def access_token(self, row: CredentialRow) -> Secret:
        """Return the access token of an OAuth 2.0 login; its refresh token stays sealed."""
        tokens = self._vault.open_access(
            row.sealed, account_id=row.account_id, app=row.app, kind=row.kind, gen=row.gen
        )
        return tokens["access_token"]

    def token_pair(self, row: CredentialRow) -> TokenPair:
        """Return the token and secret of an OAuth 1.0a login."""
        tokens = self.open(row)
        return TokenPair(token=tokens["token"], token_secret=tokens["token_secret"])

    def bearer_token(self, row: CredentialRow) -> Secret:
        """Return the bearer token of an app."""
        return self.open(row)["bearer_token"]

    # ---- new logins -----------------------------------------------------------------------------

    async def make_ready(self) -> None:
        """Make sure that a new login can be stored, before X ends the one before it.

        Raises:
            StateError: The store cannot take it now, or there is no key for it.
        """
        await self._renew_key()
        await self._store.make_room()

    async def add(
        self,
        draft: CredentialRow,
        tokens: Mapping[str, Secret],
        *,
        keep: Callable[[CredentialRow], Awaitable[CredentialRow]] | None = None,
    ) -> CredentialRow:
        """Seal the tokens as the next generation of the draft's login, and store it.

        `keep` stores the sealed row, with what belongs to it; `put` by default.

        Raises:
            Conflict: Another process stored a generation, or changed the key, meanwhile.
            StateError: It could not be stored.
        """
        await self._renew_key()
        known = await self.again(draft)
        row = structs.replace(draft, gen=1 if known is None else known.gen + 1)
        row = await (keep or self.put)(self.sealed(row, tokens))
        if row.kind is CredentialKind.OAUTH2:
            await self.note(row, tokens)
        return row

    async def put(
        self,
        row: CredentialRow,
        *,
        account: Account | None = None,
        events: Sequence[NewEvent] = (),
    ) -> CredentialRow:
        """Store a sealed row with its account and events, all or nothing. Raises as `add`."""
        return await self._store.replace(row, account=account, events=events)

    def sealed(self, row: CredentialRow, tokens: Mapping[str, Secret]) -> CredentialRow:
        """Return the row with the tokens sealed into it, for its generation only."""
        sealed = self._vault.seal(
            tokens, account_id=row.account_id, app=row.app, kind=row.kind, gen=row.gen
        )
        return structs.replace(row, sealed=sealed)

    # ---- the refresh ----------------------------------------------------------------------------

    async def intend(self, row: CredentialRow, intent: Intent, fence: Fence | None) -> None:
        """Record that the refresh token is about to be spent, with room for its successor.

        Raises:
            StateError: It could not be recorded, or another refresh began: nothing may be sent.
        """
        room = len(row.sealed) + _RESERVE_BYTES
        await self._store.intend(row, intent, reserve_bytes=room, fence=fence)

    async def mark_sent(self, row: CredentialRow, intent: Intent, fence: Fence | None) -> None:
        """Record that the bytes leave now. Raises as `intend`."""
        await self._store.mark_sent(row, intent.id, fence=fence)

    async def clear_intent(self, row: CredentialRow, intent: Intent) -> None:
        """Record that the token was surely not spent."""
        try:
            await self._store.clear_intent(row, intent.id)
        except StateError as error:
            # The next intent replaces it. If the process ends first, UNCERTAIN is the safe guess.
            _log.warning("refresh_intent.not_cleared", account=row.account_id, why=str(error))

    async def store_result(
        self, row: CredentialRow, intent_id: str, *, fence: Fence | None = None
    ) -> bool:
        """Store the next generation and end the intent; return whether the fence still held.

        Raises:
            Conflict: The store has another generation than the one before.
            StateError: It could not be stored.
        """
        return await self._store.store_result(row, intent_id, fence=fence)

    async def expire(self, row: CredentialRow) -> None:
        """Let the process that refreshes know that X refuses this access token."""
        await self._store.expire(row, now=self._clock.now())

    # ---- the state ------------------------------------------------------------------------------

    async def set_state(
        self, row: CredentialRow, status: LoginState, reason: str, *, fence: Fence | None = None
    ) -> CredentialRow:
        """Store a state of this generation and return the row in it.

        Raises:
            StateError: It could not be stored.
        """
        changed = self._in_state(row, status, reason)
        await self._store.set_status(
            row,
            status,
            reason=reason,
            now=self._clock.now(),
            config_fingerprint=changed.config_fingerprint,
            fence=fence,
        )
        return changed

    async def mark(
        self, row: CredentialRow, status: LoginState, reason: str, *, fence: Fence | None = None
    ) -> CredentialRow:
        """Record a state; when the store cannot, memory knows it, and it is found again later.

        Under an old `fence` the store keeps the new holder's word.
        """
        if (row.status, row.reason) == (status, reason):
            return row
        try:
            return await self.set_state(row, status, reason, fence=fence)
        except StateError as error:
            _log.error(
                "login_state.not_stored", account=row.account_id, app=row.app, why=str(error)
            )
            return self._in_state(row, status, reason)

    async def note_level(self, row: CredentialRow, level: str) -> None:
        """Store the access level that an answer of X showed."""
        await self._store.note_level(row, level)

    def has_other_keys(self, row: CredentialRow) -> bool:
        """Return whether the app has other keys now than those that a CONFIG is about."""
        keys = self._apps.get(row.app)
        return keys is not None and keys_fingerprint(keys, row.kind) != row.config_fingerprint

    def _in_state(self, row: CredentialRow, status: LoginState, reason: str) -> CredentialRow:
        keys = self._apps.get(row.app)
        if row.kind is CredentialKind.APP_ONLY:
            about = row.config_fingerprint  # says where the token came from
        elif status is LoginState.CONFIG and keys is not None:
            about = keys_fingerprint(keys, row.kind)
        else:
            about = ""
        since = row.since if row.status is status else self._clock.now()
        return structs.replace(
            row, status=status, reason=reason, since=since, config_fingerprint=about
        )

    # ---- the guard against an old store ---------------------------------------------------------

    async def note(self, row: CredentialRow, tokens: Mapping[str, Secret] | None = None) -> None:
        """Note outside the store how far the login is; a failure costs a warning, not the login.

        Without `tokens` the row is opened.
        """
        if self._witness is None:
            return
        seen = seen_of(row, self.open(row) if tokens is None else tokens)
        try:
            await self._witness.note(row, seen)
        except OSError as error:
            _log.warning(
                "rollback_guard.not_written", account=row.account_id, why=str(error.strerror)
            )

    async def is_news(self, row: CredentialRow) -> bool:
        """Return whether the guard knows another generation of a live login, or none."""
        if self._witness is None or row.status is LoginState.DEAD:
            return False
        return await self._witness.recall(row) != seen_of(row, self.open(row))

    async def why_old(self, opened: OpenRow) -> str:
        """Return why the row is of an old store; "" when it is not, and the guard is healed."""
        row = opened.row
        if self._witness is None or row.status is LoginState.DEAD:
            return ""
        here = seen_of(row, opened.tokens)
        seen = await self._witness.recall(row)
        reason = verdict(row, here, seen)
        if not reason and seen != here:
            known = "none" if seen is None else str(seen.gen)
            _log.warning("rollback_guard.behind", account=row.account_id, gen=row.gen, known=known)
            await self.note(row, opened.tokens)
        return reason

    # ---- the end, and another key ---------------------------------------------------------------

    async def remove(self, row: CredentialRow) -> None:
        """Delete the login here; X is not asked."""
        await self._store.remove(row.account_id, row.app, row.kind)
        if self._witness is not None and row.kind is CredentialKind.OAUTH2:
            await self._witness.forget(row)

    def is_sealed_with_newest_key(self, row: CredentialRow) -> bool:
        """Return whether the row needs no other seal."""
        return self._vault.is_current(row.sealed)

    async def reseal(self, row: CredentialRow) -> bool:
        """Seal the same tokens with the newest key; False when there is no need any more."""
        found = await self.again(row)
        if found is None or self.is_sealed_with_newest_key(found):
            return False
        fresh = self.sealed(found, self.open(found))
        return await self._store.reseal(found, fresh.sealed)
