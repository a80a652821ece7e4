"""The one owner of a login's stored row: its seal, its generations, its origin and its state.

Every sign-in, refresh, check, revocation and transfer changes a login through `LoginRows`. Each
change is a compare-and-set on the generation, so that no process overwrites a generation that
another one has stored in the meantime. A login is used only with the X and the app it came from: a
row of another origin or client is CONFIG while these settings last, and its tokens stay sealed.
Source: docs/explanation/requirements.md, "The refresh of a login", F13 and S4.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import structlog
from msgspec import structs

from botkit.client.logins.endpoints import API_URL, AppKeys, Endpoints
from botkit.client.logins.rollback_guard import seen_of, verdict
from botkit.errors import ConfigError, StateError
from botkit.model.tokens import CredentialKind, LoginState, Secret, TokenPair

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from botkit.client.logins.rollback_guard import RollbackGuard
    from botkit.model.records import CredentialRow, Fence, Intent, NewEvent
    from botkit.model.users import Account
    from botkit.ports import Clock, Store, VaultPort
    from botkit.ports.vault import SealedFor

__all__ = [
    "OTHER_CLIENT",
    "OTHER_X",
    "LoginRows",
    "OpenRow",
    "fingerprint",
    "keys_fingerprint",
    "same_key",
    "sealed_for",
]

_log = structlog.get_logger(__name__)

OTHER_X = "it came from"
"""The first words of the reason why a login of another origin is CONFIG."""
OTHER_CLIENT = "it belongs to"
"""The first words of the reason why a login of another client is CONFIG."""
_RESERVE_BYTES = 2048
_PUBLIC_KEYS = {CredentialKind.OAUTH2: "client id"}


def fingerprint(secret: Secret) -> str:
    """Return a short hash of a secret, for logs and comparison; it does not reveal the secret."""
    return hashlib.sha256(secret.reveal().encode()).hexdigest()[:16]


def keys_fingerprint(keys: AppKeys, kind: CredentialKind) -> str:
    """Return the fingerprint of the app keys that a login of this kind depends on.

    A login that is CONFIG is tried again when this fingerprint changes.
    """
    if kind is CredentialKind.OAUTH2:
        return fingerprint(Secret(f"{keys.client_id}\0{keys.client_secret.reveal()}"))
    return fingerprint(Secret(f"{keys.api_key}\0{keys.api_secret.reveal()}"))


async def same_key() -> None:
    """Do nothing: the `renew_key` for a vault key that no other process changes."""


class OpenRow:
    """Hold a row, and unseal its tokens at most once, when they are first read."""

    __slots__ = ("_rows", "_tokens", "row")

    def __init__(self, rows: LoginRows, row: CredentialRow) -> None:
        self._rows = rows
        self._tokens: dict[str, Secret] | None = None
        self.row: CredentialRow = row

    @property
    def tokens(self) -> dict[str, Secret]:
        """Return all tokens sealed in the row. Raises the same errors as `LoginRows.open`."""
        if self._tokens is None:
            self._tokens = self._rows.open(self.row)
        return self._tokens


class LoginRows:
    """Read and change the login rows of one store.

    Args:
        apps: The keys of each app, by its name in the settings.
        endpoints: The addresses to which tokens are sent.
        rollback_guard: Keeps each OAuth 2.0 login's newest generation outside
            the store; None for none.
        renew_key: Gives the vault the key that the store uses now.
    """

    def __init__(
        self,
        store: Store,
        vault: VaultPort,
        clock: Clock,
        *,
        apps: Mapping[str, AppKeys] | None = None,
        endpoints: Endpoints | None = None,
        rollback_guard: RollbackGuard | None = None,
        renew_key: Callable[[], Awaitable[None]] = same_key,
    ) -> None:
        self._store = store.credentials
        self._vault = vault
        self._clock = clock
        self._apps = apps or {}
        self._origin = (endpoints or Endpoints()).origin
        self._rollback_guard = rollback_guard
        self._renew_key = renew_key

    # ---- reading --------------------------------------------------------------------------------

    async def get(self, account_id: str, app: str, kind: CredentialKind) -> CredentialRow | None:
        """Return one login, None if there is none.

        Like every method here that reads a row, it returns a login that these settings must not
        use in the state CONFIG.
        """
        row = await self._store.get(account_id, app, kind)
        return None if row is None else self.as_of_here(row)

    async def again(self, row: CredentialRow) -> CredentialRow | None:
        """Read the login again from the store and return it, None if it was removed."""
        return await self.get(row.account_id, row.app, row.kind)

    async def listing(self, account_id: str | None = None) -> list[CredentialRow]:
        """Return all logins, or those of one account."""
        return [self.as_of_here(row) for row in await self._store.listing(account_id)]

    def why_foreign(self, row: CredentialRow) -> str:
        """Return why these settings must not use the login, "" if they may.

        Its tokens would go to another X than the one that granted them, or would be used with the
        keys of another app. A row without an origin is of an older botkit, and came from X itself.
        """
        origin = row.origin or API_URL
        if origin != self._origin:
            return f"{OTHER_X} {origin}, and the settings name {self._origin}"
        here = self._client_of(row)
        if row.client_id and here and row.client_id != here:
            named = _PUBLIC_KEYS.get(row.kind, "API key")
            return (
                f"{OTHER_CLIENT} the {named} {row.client_id}, and that of app {row.app!r} here"
                f" begins with {here[:6]}"  # the setting may hold a secret by mistake
            )
        return ""

    async def check_origin(self) -> None:
        """Check that this store is one for the X that the settings name.

        Raises:
            ConfigError: Every login in it came from another X; nothing was sent.
        """
        rows = [row for row in await self.listing() if row.status is not LoginState.DEAD]
        if rows and all(self.why_foreign(row).startswith(OTHER_X) for row in rows):
            row = rows[-1]  # rows of an app's own token come first
            again = f"--account {row.username}" if row.account_id else "--app-only"
            raise ConfigError(
                f"The login of {_who(row)} in this store is not used: {self.why_foreign(row)}."
                " Nothing was sent.",
                hint="Give each X a store of its own (BOTKIT_STORE__URL), or set x.api_url back;"
                " if X itself is reached by that address from now on, authorize each account"
                f" again: botkit setup {again}",
            )

    def open(self, row: CredentialRow) -> dict[str, Secret]:
        """Return all tokens that are sealed in a row.

        Raises:
            ConfigError: These settings must not use the login.
            VaultKeyError: They were sealed with a key that we do not have.
            Corrupt: The bytes are damaged, or belong to another row or deployment.
        """
        self._refuse_foreign(row)
        return self._unsealed(row)

    def access_token(self, row: CredentialRow) -> Secret:
        """Return the access token of an OAuth 2.0 login; its refresh token stays sealed.

        Raises the same errors as `open`.
        """
        self._refuse_foreign(row)
        return self._vault.open_access(row.sealed, **sealed_for(row))["access_token"]

    def token_pair(self, row: CredentialRow) -> TokenPair:
        """Return the token and secret of an OAuth 1.0a login."""
        tokens = self.open(row)
        return TokenPair(token=tokens["token"], token_secret=tokens["token_secret"])

    def bearer_token(self, row: CredentialRow) -> Secret:
        """Return the bearer token of an app."""
        return self.open(row)["bearer_token"]

    # ---- new logins -----------------------------------------------------------------------------

    async def make_ready(self) -> None:
        """Check that a new login can be stored, before X grants it and so ends the old one.

        Raises:
            StateError: The store cannot save it now, or there is no key to seal it with.
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
        """Seal the tokens as the next generation of the draft's login, store it and return it.

        `keep` stores the sealed row and all that has to be stored with it; `put` by default.

        Raises:
            Conflict: Another process stored a generation or changed the key in the meantime.
            StateError: The login could not be stored.
        """
        await self._renew_key()
        known = await self.again(draft)
        row = structs.replace(draft, gen=1 if known is None else known.gen + 1)
        row = self.bound(row)
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
        """Store a sealed row with its account and events, all or nothing; return the row.

        Raises the same errors as `add`.
        """
        return await self._store.replace(row, account=account, events=events)

    def sealed(self, row: CredentialRow, tokens: Mapping[str, Secret]) -> CredentialRow:
        """Return the row with the tokens sealed into it, for its generation and origin only."""
        return structs.replace(row, sealed=self._vault.seal(tokens, **sealed_for(row)))

    def bound(self, row: CredentialRow) -> CredentialRow:
        """Return the row marked as granted by the X and the app of these settings."""
        return structs.replace(row, origin=self._origin, client_id=self._client_of(row))

    async def bind(self, row: CredentialRow) -> None:
        """Bind a row of an older botkit to these settings, after X has accepted its token."""
        found = await self.again(row)
        if found is None or found.origin or found.gen != row.gen:
            return
        fresh = self.sealed(self.bound(found), self.open(found))
        await self._store.reseal(found, fresh)

    # ---- the refresh ----------------------------------------------------------------------------

    async def intend(self, row: CredentialRow, intent: Intent, fence: Fence | None) -> None:
        """Record that the refresh token is about to be spent, with room for its successor.

        Raises:
            StateError: The intent could not be recorded, or another refresh began: nothing may
                be sent.
        """
        room = len(row.sealed) + _RESERVE_BYTES
        await self._store.intend(row, intent, reserve_bytes=room, fence=fence)

    async def mark_sent(self, row: CredentialRow, intent: Intent, fence: Fence | None) -> None:
        """Record that the token's bytes leave now. Raises the same errors as `intend`."""
        await self._store.mark_sent(row, intent.id, fence=fence)

    async def clear_intent(self, row: CredentialRow, intent: Intent) -> None:
        """Record that the token was surely not spent."""
        try:
            await self._store.clear_intent(row, intent.id)
        except StateError as error:
            # The next intent replaces this one. If the process ends first, the login is UNCERTAIN,
            # which is safe.
            _log.warning("refresh_intent.not_cleared", account=row.account_id, why=str(error))

    async def store_result(
        self, row: CredentialRow, intent_id: str, *, fence: Fence | None = None
    ) -> bool:
        """Store the next generation and end the intent; return True if the fence still held.

        Raises:
            Conflict: The store does not have the generation that precedes `row`.
            StateError: The generation could not be stored.
        """
        return await self._store.store_result(row, intent_id, fence=fence)

    async def expire(self, row: CredentialRow) -> None:
        """Mark an access token that X refuses as expired, so that the refresh leader renews it."""
        await self._store.expire(row, now=self._clock.now())

    # ---- the state ------------------------------------------------------------------------------

    async def set_state(
        self, row: CredentialRow, status: LoginState, reason: str, *, fence: Fence | None = None
    ) -> CredentialRow:
        """Store a new state of this generation; return the row in that state.

        Raises:
            StateError: The state could not be stored.
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
        """Return the row in a new state, stored if the store can be used; log if it cannot.

        A state that is not stored is in memory only; a later refresh or check finds it again. If
        the `fence` is old, the store keeps the state that the new holder of the lease stored.
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
        """Return True if the app's keys have changed since the row became CONFIG."""
        if self.why_foreign(row):
            return False
        keys = self._apps.get(row.app)
        return keys is not None and keys_fingerprint(keys, row.kind) != row.config_fingerprint

    def _in_state(self, row: CredentialRow, status: LoginState, reason: str) -> CredentialRow:
        keys = self._apps.get(row.app)
        if row.kind is CredentialKind.APP_ONLY:
            about = row.config_fingerprint  # for an app's token it is the origin: given or fetched
        elif status is LoginState.CONFIG and keys is not None:
            about = keys_fingerprint(keys, row.kind)
        else:
            about = ""
        since = row.since if row.status is status else self._clock.now()
        return structs.replace(
            row, status=status, reason=reason, since=since, config_fingerprint=about
        )

    # ---- the rollback guard ---------------------------------------------------------------------

    async def note(self, row: CredentialRow, tokens: Mapping[str, Secret] | None = None) -> None:
        """Tell the rollback guard the login's newest generation; log a warning if that fails.

        Without `tokens`, open the row to read them.
        """
        if self._rollback_guard is None:
            return
        seen = seen_of(row, self._unsealed(row) if tokens is None else tokens)
        try:
            await self._rollback_guard.note(row, seen)
        except OSError as error:
            _log.warning(
                "rollback_guard.not_written", account=row.account_id, why=str(error.strerror)
            )

    async def is_news(self, row: CredentialRow) -> bool:
        """Return True if a login is not DEAD and the guard does not know this generation."""
        if self._rollback_guard is None or row.status is LoginState.DEAD:
            return False
        return await self._rollback_guard.recall(row) != seen_of(row, self.open(row))

    async def why_old(self, opened: OpenRow) -> str:
        """Return the evidence that the store is an old copy (a restored backup), or "".

        A row whose generation is below the one that the rollback guard has seen comes from an old
        copy. If the guard itself is behind the store, tell it this generation.
        """
        row = opened.row
        if self._rollback_guard is None or row.status is LoginState.DEAD:
            return ""
        here = seen_of(row, opened.tokens)
        seen = await self._rollback_guard.recall(row)
        reason = verdict(row, here, seen)
        if not reason and seen != here:
            known = "none" if seen is None else str(seen.gen)
            _log.warning("rollback_guard.behind", account=row.account_id, gen=row.gen, known=known)
            await self.note(row, opened.tokens)
        return reason

    # ---- removal, and a new vault key -----------------------------------------------------------

    async def remove(self, row: CredentialRow) -> None:
        """Delete the login from the store and the rollback guard, without a call to X."""
        await self._store.remove(row.account_id, row.app, row.kind)
        if self._rollback_guard is not None and row.kind is CredentialKind.OAUTH2:
            await self._rollback_guard.forget(row)

    def is_sealed_with_newest_key(self, row: CredentialRow) -> bool:
        """Return True if the row is sealed with the vault's newest key."""
        return self._vault.is_current(row.sealed)

    async def reseal(self, row: CredentialRow) -> bool:
        """Seal the row's tokens with the newest key; return False if that is not needed."""
        found = await self._store.get(row.account_id, row.app, row.kind)
        if found is None or self.is_sealed_with_newest_key(found):
            return False
        return await self._store.reseal(found, self.sealed(found, self._unsealed(found)))

    def _unsealed(self, row: CredentialRow) -> dict[str, Secret]:
        """Return a row's tokens, even those of another X: the caller must not send them."""
        return self._vault.open(row.sealed, **sealed_for(row))

    def as_of_here(self, row: CredentialRow) -> CredentialRow:
        """Return the row in its state under these settings; that state is not stored."""
        why = "" if row.status is LoginState.DEAD else self.why_foreign(row)
        return structs.replace(row, status=LoginState.CONFIG, reason=why) if why else row

    def _refuse_foreign(self, row: CredentialRow) -> None:
        if why := self.why_foreign(row):
            raise ConfigError(
                f"The login of {_who(row)} is not used: {why}. Nothing was sent.",
                hint="Set the address and the app back that it came from, or give the other X a"
                " store of its own (BOTKIT_STORE__URL).",
            )

    def _client_of(self, row: CredentialRow) -> str:
        keys = self._apps.get(row.app)
        return "" if keys is None else keys.public_key(row.kind)


def sealed_for(row: CredentialRow) -> SealedFor:
    """Return the values to which the seal binds a row's tokens."""
    return {
        "account_id": row.account_id,
        "app": row.app,
        "kind": row.kind,
        "gen": row.gen,
        "origin": row.origin,
        "client_id": row.client_id,
    }


def _who(row: CredentialRow) -> str:
    return f"@{row.username or row.account_id}" if row.account_id else f"app {row.app!r}"
