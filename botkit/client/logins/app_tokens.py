"""The app's own bearer token: from the settings, from setup, or fetched with the app's keys.

A token in the settings is used rather than one that a person gave to setup. X answers a repeated
fetch with the same token and ends none, so a fetch needs no intent.
Source: X API docs, "Application-only"; docs/explanation/requirements.md, C15.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog
from msgspec import Struct, structs

from botkit.client.logins.endpoints import AppKeys
from botkit.client.logins.login_rows import LoginRows, keys_fingerprint
from botkit.client.logins.login_states import tell_state
from botkit.errors import InvalidClient, StateError, WrongCredential
from botkit.model.records import CredentialRow
from botkit.model.tokens import CredentialKind, LoginState, Secret
from botkit.ports.io import HttpRequest
from botkit.protocol.oauth import oauth2, token_answers

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from botkit.client.logins.context import LoginContext

__all__ = ["BearerKeeper", "forget_bearer", "is_bearer_kept", "keep_bearer"]

_log = structlog.get_logger(__name__)

_APART_S = 30.0
_GAP_S = 60.0
_TIMEOUT_S = 30.0
_GIVEN = "given"
"""The origin of a row whose token came from a person, not from the app's key and secret."""
_KIND = CredentialKind.APP_ONLY


class _State(Struct, frozen=True, kw_only=True):
    """Hold the state of an app's bearer token; `refused_s` is the time of X's first refusal."""

    status: LoginState = LoginState.OK
    reason: str = ""
    refused_s: float | None = None


class BearerKeeper:
    """Provide one bearer token for each app.

    A fetched token is fetched again when X no longer accepts it. A token that a person gave
    becomes CONFIG after two refusals that are half a minute apart. It is still tried on each call,
    so that it becomes OK again as soon as X accepts it.

    Args:
        on_change: Called with each change of an app's state.
    """

    def __init__(
        self, context: LoginContext, *, on_change: Callable[[CredentialRow], None] | None = None
    ) -> None:
        self._context = context
        self._rows = context.rows
        self._on_change = on_change
        self._tokens: dict[str, Secret] = {}
        self._given: dict[str, Secret] = {}
        self._gens: dict[str, int] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._fetched_s: dict[str, float] = {}
        self._states: dict[str, _State] = {}
        self._fine: set[str] = set()

    async def read(self) -> None:
        """Read the tokens from the store; use from now on any that a setup has stored since."""
        rows = await self._rows.listing("")
        for row in (row for row in rows if row.app in self._context.apps):
            is_news = self._gens.get(row.app) != row.gen
            self._gens[row.app] = row.gen
            keys = self._context.apps[row.app]
            if not is_news or keys.bearer_token or self._rows.why_foreign(row):
                continue
            if row.config_fingerprint == _GIVEN and not keys.can_act_as_app:
                self._tokens[row.app] = self._given[row.app] = self._rows.bearer_token(row)
            elif row.config_fingerprint == keys_fingerprint(keys, _KIND):
                self._tokens[row.app] = self._rows.bearer_token(row)
            else:
                continue
            await self._mark(row.app, row.status, row.reason, since=row.since)
        for gone in self._given.keys() - {row.app for row in rows}:
            del self._given[gone]
            self._tokens.pop(gone, None)

    def can_serve(self, app: str) -> bool:
        """Return True if the app has a bearer token or the keys to fetch one."""
        keys = self._context.apps.get(app)
        return keys is not None and (keys.can_act_as_app or app in self._given)

    def is_fine(self, app: str) -> bool:
        """Return True if X has accepted the token and has not refused it since."""
        return app in self._fine

    async def bearer(self, app: str) -> Secret:
        """Return the app's bearer token.

        Raises:
            WrongCredential: The app has neither a token nor the keys to fetch one.
            InvalidClient: X does not accept the app's key and secret.
            XError: X could not be asked.
        """
        found = self._tokens.get(app)
        if found is not None:
            return found
        async with self._locks.setdefault(app, asyncio.Lock()):
            if app not in self._tokens:
                self._tokens[app] = await self._find(app)
            return self._tokens[app]

    async def report_unauthorized(self, app: str, used: Secret) -> Secret | None:
        """Return another token to try once after X's 401 to `used`, None if there is none.

        Only a fetched token is fetched again, at least 60 s apart.

        Raises:
            InvalidClient: X does not accept the app's key and secret.
            XError: X could not be asked.
        """
        keys = self._context.apps.get(app, AppKeys())
        async with self._locks.setdefault(app, asyncio.Lock()):
            held = self._tokens.get(app)
            if held is not None and held != used:
                return held
            now_s = self._context.clock.monotonic()
            if keys.bearer_token or not keys.can_act_as_app:
                await self._doubt(app, now_s)
                return None
            if now_s - self._fetched_s.get(app, float("-inf")) < _GAP_S:
                return None
            self._tokens.pop(app, None)
            self._tokens[app] = fetched = await self._fetch(app, keys)
            return fetched

    async def works(self, app: str) -> None:
        """Record that X accepted the token; report OK the first time and after a refusal."""
        if app not in self._fine:
            self._fine.add(app)
            await self._mark(app, LoginState.OK, "")

    async def _doubt(self, app: str, now_s: float) -> None:
        """Record a refusal of a given token; mark it CONFIG if half a minute after the first."""
        self._fine.discard(app)
        state = self._states.setdefault(app, _State(refused_s=now_s))
        if state.refused_s is not None and now_s - state.refused_s >= _APART_S:
            await self._mark(app, LoginState.CONFIG, "X does not take the bearer token of the app")

    async def _mark(
        self, app: str, status: LoginState, reason: str, *, since: datetime | None = None
    ) -> None:
        """Take over a state, store and log it if it changed, and always call `on_change`."""
        before = self._states.get(app, _State())
        if status is LoginState.OK:
            self._states.pop(app, None)
        else:
            self._fine.discard(app)
            self._states[app] = _State(status=status, reason=reason, refused_s=before.refused_s)
        row = _draft(app, since or self._context.clock.now())
        row = structs.replace(row, gen=self._gens.get(app, 0), status=status, reason=reason)
        if (before.status, before.reason) != (status, reason):
            await self._store_state(row)
            tell_state(row, structs.replace(row, status=before.status, reason=before.reason))
        if self._on_change is not None:
            self._on_change(row)

    async def _store_state(self, row: CredentialRow) -> None:
        """Store the state, unless the stored token is of other keys than the one in use."""
        about = keys_fingerprint(self._context.apps.get(row.app, AppKeys()), _KIND)
        try:
            kept = await self._rows.again(row)
            if kept is not None and kept.config_fingerprint in {_GIVEN, about}:
                await self._rows.set_state(kept, row.status, row.reason)
        except StateError as error:
            _log.error("login_state.not_stored", app=row.app, why=str(error))

    async def _find(self, app: str) -> Secret:
        keys = self._context.apps.get(app, AppKeys())
        if keys.bearer_token:
            return keys.bearer_token
        if app in self._given:
            return self._given[app]
        if not keys.can_act_as_app:
            raise WrongCredential(
                f"The app {app!r} has no bearer token, and no api_key and api_secret to fetch it.",
                operation="app-only",
                have=(),
                need=(str(_KIND),),
                cure="Set bearer_token, or api_key and api_secret, of the app in the settings.",
            )
        kept = await self._rows.get("", app, _KIND)
        if (
            kept is not None
            and not self._rows.why_foreign(kept)
            and kept.config_fingerprint == keys_fingerprint(keys, _KIND)
        ):
            self._gens[app] = kept.gen
            return self._rows.bearer_token(kept)
        return await self._fetch(app, keys)

    async def _fetch(self, app: str, keys: AppKeys) -> Secret:
        context = self._context
        self._fetched_s[app] = context.clock.monotonic()
        request = HttpRequest(
            method="POST",
            url=context.endpoints.app_token_url,
            name="POST /oauth2/token",
            headers=(
                ("Authorization", oauth2.basic_authorization(keys.api_key, keys.api_secret)),
                ("Content-Type", f"{oauth2.FORM_TYPE};charset=UTF-8"),
            ),
            body=oauth2.client_credentials_form(),
            timeout_s=_TIMEOUT_S,
        )
        answer = await context.transport.send(request)
        try:
            token = token_answers.read_bearer_answer(answer, now=context.clock.now())
        except InvalidClient as error:
            await self._mark(app, LoginState.CONFIG, error.message)
            raise
        try:
            row = _draft(app, context.clock.now(), origin=keys_fingerprint(keys, _KIND))
            row = await self._rows.add(row, {"bearer_token": token})
            self._gens[app] = row.gen
        except StateError as error:
            # It can be fetched again: a token that is not stored costs one call at the next start.
            _log.warning("bearer_token.not_stored", app=app, why=str(error))
        return token


async def keep_bearer(rows: LoginRows, app: str, token: Secret, *, now: datetime) -> None:
    """Seal and store a bearer token that a person gave; replace the one stored before."""
    await rows.add(_draft(app, now, origin=_GIVEN), {"bearer_token": token})


async def forget_bearer(rows: LoginRows, app: str) -> None:
    """Remove the stored bearer token, which turned out not to be this app's."""
    row = await rows.get("", app, _KIND)
    if row is not None:
        await rows.remove(row)


async def is_bearer_kept(rows: LoginRows, app: str) -> bool:
    """Return True if a bearer token that a person gave is stored and can be opened."""
    row = await rows.get("", app, _KIND)
    if row is None or rows.why_foreign(row):
        return False
    return row.config_fingerprint == _GIVEN and bool(rows.bearer_token(row))


def _draft(app: str, now: datetime, *, origin: str = "") -> CredentialRow:
    """Return a new row for an app's bearer token, before the token is sealed into it.

    `origin` is the fingerprint of the keys that fetched the token, or `_GIVEN`.
    """
    return CredentialRow(
        account_id="",
        app=app,
        kind=_KIND,
        gen=0,
        sealed=b"",
        since=now,
        granted_at=now,
        last_success=now if origin else None,
        config_fingerprint=origin,
    )
