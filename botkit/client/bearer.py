"""The app's own bearer token: configured, kept sealed, or fetched with the app's key and secret.

Fetching it again gives the same one and harms nobody, so that no intent is needed.
Source: X API docs, "Application-only"; docs/explanation/requirements.md, C15.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import structlog

from botkit.client.endpoints import AppKeys
from botkit.client.grants import fingerprint
from botkit.errors import StateError, WrongCredential
from botkit.model.records import CredentialRow
from botkit.model.tokens import CredentialKind, Secret
from botkit.ports.io import HttpRequest
from botkit.protocol import oauth2, token_answers

if TYPE_CHECKING:
    from botkit.client.surroundings import Surroundings

__all__ = ["BearerKeeper"]

_log = structlog.get_logger("botkit.tokens")

_GAP_S = 60.0
_TIMEOUT_S = 30.0


class BearerKeeper:
    """Gives out one bearer token for each app."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._tokens: dict[str, Secret] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._fetched_s: dict[str, float] = {}

    def can_serve(self, app: str) -> bool:
        """Whether the app has a bearer token or the keys to fetch one."""
        keys = self._around.apps.get(app)
        return keys is not None and keys.can_act_as_app

    async def bearer(self, app: str) -> Secret:
        """The app's bearer token.

        Raises:
            WrongCredential: Nothing is configured to make one of.
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
        """X said 401 to that token: gives another one to try once, None when there is none.

        Only a fetched token is fetched again, at least 60 s apart.
        """
        keys = self._around.apps.get(app, AppKeys())
        async with self._locks.setdefault(app, asyncio.Lock()):
            held = self._tokens.get(app)
            if held is not None and held != used:
                return held
            if keys.bearer_token or not keys.can_act_as_app:
                return None
            now_s = self._around.clock.monotonic()
            if now_s - self._fetched_s.get(app, float("-inf")) < _GAP_S:
                return None
            self._tokens.pop(app, None)
            self._tokens[app] = fetched = await self._fetch(app, keys)
            return fetched

    async def _find(self, app: str) -> Secret:
        keys = self._around.apps.get(app, AppKeys())
        if keys.bearer_token:
            return keys.bearer_token
        if not keys.can_act_as_app:
            raise WrongCredential(
                f"The app {app!r} has no bearer token, and no api_key and api_secret to fetch it.",
                operation="app-only",
                have=(),
                need=(str(CredentialKind.APP_ONLY),),
                cure="Set bearer_token, or api_key and api_secret, of the app in the settings.",
            )
        kept = await self._around.store.credentials.get("", app, CredentialKind.APP_ONLY)
        if kept is not None and kept.config_fingerprint == _fingerprint(keys):
            tokens = self._around.vault.open(
                kept.sealed, account_id="", app=app, kind=kept.kind, gen=kept.gen
            )
            return Secret(tokens["bearer_token"])
        return await self._fetch(app, keys)

    async def _fetch(self, app: str, keys: AppKeys) -> Secret:
        around = self._around
        self._fetched_s[app] = around.clock.monotonic()
        request = HttpRequest(
            method="POST",
            url=around.endpoints.app_token_url,
            name="POST /oauth2/token",
            headers=(
                ("Authorization", oauth2.basic_authorization(keys.api_key, keys.api_secret)),
                ("Content-Type", f"{oauth2.FORM_TYPE};charset=UTF-8"),
            ),
            body=oauth2.client_credentials_form(),
            timeout_s=_TIMEOUT_S,
        )
        answer = await around.transport.send(request)
        token = token_answers.read_bearer_answer(answer, now=around.clock.now())
        try:
            await self._keep(app, keys, token)
        except StateError as error:
            # It can be fetched again: that it is not kept costs one call at the next start.
            _log.warning("bearer token not kept", app=app, why=str(error))
        return token

    async def _keep(self, app: str, keys: AppKeys, token: Secret) -> None:
        around = self._around
        known = await around.store.credentials.get("", app, CredentialKind.APP_ONLY)
        gen = 1 if known is None else known.gen + 1
        now = around.clock.now()
        row = CredentialRow(
            account_id="",
            app=app,
            kind=CredentialKind.APP_ONLY,
            gen=gen,
            sealed=b"",
            since=now,
            granted_at=now,
            last_success=now,
            config_fingerprint=_fingerprint(keys),
        )
        sealed = around.vault.seal(
            {"bearer_token": token.reveal()}, account_id="", app=app, kind=row.kind, gen=gen
        )
        await around.store.credentials.replace(msgspec.structs.replace(row, sealed=sealed))


def _fingerprint(keys: AppKeys) -> str:
    """Another key is another app: its bearer must not be used for this one."""
    return fingerprint(Secret(f"{keys.api_key}\0{keys.api_secret.reveal()}"))
