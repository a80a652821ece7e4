"""Apps, authorization codes and tokens of the simulated X.

They follow X's rules: a code lives 30 s and works once, a refresh token works once, a user has one
grant per app, and a new grant ends the one before.

Source: X API docs, "Authorization code" and "Application-only authentication"; for undocumented
behavior docs/explanation/x-facts.md, "OAuth 2.0".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from botkit.ports.io import Clock, Entropy
    from botkit.sandbox.world.rules import WorldRules

__all__ = ["App", "Code", "Grant", "Grants", "TokenUse"]


@dataclass(slots=True, eq=False)
class App:
    """A registered app. A public app has no client secret.

    `credits_usd` is the prepaid balance, None for an unlimited one. `enrolled` says that the app
    belongs to a package with API access; `enterprise` lifts the limits of self-serve apps.
    `spend_capped` and `usage_capped` say that the spending limit, or the cap on posts read, is
    reached. `level` is the level of new OAuth 1.0a tokens, spelled as in `x-access-level`.
    `takes_pin` says that a login may end with a PIN.
    """

    id: str
    name: str
    client_id: str
    client_secret: str | None
    api_key: str
    api_secret: str
    bearer: str
    redirect_uris: list[str]
    owner_id: str | None = None
    enrolled: bool = True
    enterprise: bool = False
    level: str = "read-write"
    takes_pin: bool = True
    credits_usd: Decimal | None = None
    spend_capped: bool = False
    usage_capped: bool = False
    spent_usd: Decimal = Decimal(0)
    billed: set[tuple[str, str, str]] = field(default_factory=set[tuple[str, str, str]])


@dataclass(slots=True, eq=False)
class Code:
    """An authorization code and the request that it belongs to."""

    value: str
    app: App
    user_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    challenge: str
    method: str
    until: datetime
    used: bool = False


@dataclass(slots=True, eq=False)
class Grant:
    """A user's permission for an app, with its living tokens."""

    app: App
    user_id: str
    scopes: tuple[str, ...]
    access: dict[str, datetime] = field(default_factory=dict[str, datetime])
    refresh: str | None = None
    revoked: bool = False


@dataclass(slots=True, eq=False)
class TokenUse:
    """An entry of the token endpoint's log: the request and whether it was accepted."""

    at: datetime
    grant_type: str
    outcome: str
    token_hash: str = ""


class Grants:
    """The apps, codes, grants and tokens of the authorization server."""

    def __init__(
        self, clock: Clock, entropy: Entropy, *, rules: WorldRules, next_id: Callable[[], str]
    ) -> None:
        self._clock = clock
        self._entropy = entropy
        self._rules = rules
        self._next_id = next_id
        self.apps: dict[str, App] = {}
        self.log: list[TokenUse] = []
        self._codes: dict[str, Code] = {}
        self._grants: dict[tuple[str, str], Grant] = {}
        self._access: dict[str, Grant] = {}
        self._refresh: dict[str, Grant] = {}

    def add_app(
        self,
        name: str,
        *,
        redirect_uris: Sequence[str] = ("http://127.0.0.1:8765/callback",),
        client_id: str = "",
        client_secret: str | None = "",
        api_key: str = "",
        api_secret: str = "",
    ) -> App:
        """Register an app; values of "" are generated, a client secret of None makes it public."""
        app = App(
            id=str(int(self._next_id()) % 10**8),
            name=name,
            client_id=client_id or self._token(24),
            client_secret=self._token(37) if client_secret == "" else client_secret,
            api_key=api_key or self._token(18),
            api_secret=api_secret or self._token(37),
            bearer=self._bearer(),
            redirect_uris=list(redirect_uris),
        )
        self.apps[app.client_id] = app
        return app

    def app_by_key(self, api_key: str) -> App | None:
        """Return the app with that API key."""
        return next((app for app in self.apps.values() if app.api_key == api_key), None)

    def renew_bearer(self, app: App) -> None:
        """Give the app a new bearer token; the old one is dead."""
        app.bearer = self._bearer()

    def renew_keys(self, app: App) -> None:
        """Give the app new keys, as in X's console; the old ones are dead."""
        if app.client_secret is not None:
            app.client_secret = self._token(37)
        app.api_key, app.api_secret = self._token(18), self._token(37)
        self.renew_bearer(app)

    def issue_code(
        self,
        app: App,
        user_id: str,
        *,
        redirect_uri: str,
        scopes: Sequence[str],
        challenge: str,
        method: str,
    ) -> str:
        """Return an authorization code for the user's consent."""
        until = self._clock.now() + timedelta(seconds=self._rules.code_ttl_s)
        code = Code(
            value=self._token(64),
            app=app,
            user_id=user_id,
            redirect_uri=redirect_uri,
            scopes=tuple(scopes),
            challenge=challenge,
            method=method.lower(),
            until=until,
        )
        self._codes[code.value] = code
        return code.value

    def take_code(self, value: str, app: App) -> Code | None:
        """Use up a code and return it; None if it is unknown, used, too old or another app's."""
        code = self._codes.get(value)
        if code is None or code.app is not app:
            return None
        fresh = not code.used and self._clock.now() <= code.until
        code.used = True
        return code if fresh else None

    def grant(self, app: App, user_id: str, scopes: Sequence[str]) -> Grant:
        """Make and return a grant with its first tokens; an earlier one ends."""
        before = self._grants.get((app.client_id, user_id))
        if before is not None:
            self.end(before)
        new = Grant(app=app, user_id=user_id, scopes=tuple(scopes))
        self._grants[app.client_id, user_id] = new
        self._renew(new)
        return new

    def rotate(self, refresh_token: str, app: App) -> Grant | None:
        """Issue new tokens for a refresh token; return None if it is spent, revoked or foreign."""
        grant = self._refresh.get(refresh_token)
        if grant is None or grant.app is not app or grant.revoked:
            return None
        if grant.refresh != refresh_token:
            if self._rules.reuse_kills_grant:
                self.end(grant)
            return None
        if self._rules.refresh_kills_access:
            grant.access.clear()
        self._renew(grant)
        return grant

    def newest_access(self, grant: Grant) -> str:
        """Return the access token that was issued last."""
        return next(reversed(grant.access))

    def by_access(self, token: str) -> Grant | None:
        """Return the grant of a living access token."""
        grant = self._access.get(token)
        if grant is None or grant.revoked:
            return None
        until = grant.access.get(token)
        return grant if until is not None and self._clock.now() < until else None

    def by_bearer(self, token: str) -> App | None:
        """Return the app with that bearer token."""
        for app in self.apps.values():
            if hmac.compare_digest(app.bearer, token):
                return app
        return None

    def of_user(self, user_id: str) -> list[Grant]:
        """Return the grants of the user that were not revoked."""
        return [
            grant
            for grant in self._grants.values()
            if grant.user_id == user_id and not grant.revoked
        ]

    def by_token(self, token: str) -> Grant | None:
        """Return the grant of an access or refresh token, living or dead."""
        return self._access.get(token) or self._refresh.get(token)

    def end(self, grant: Grant) -> None:
        """End a grant and all its tokens."""
        grant.revoked = True
        grant.access.clear()
        grant.refresh = None

    def note(self, grant_type: str, outcome: str, *, token: str = "") -> None:
        """Add an entry to the token endpoint's log; the token itself is not stored."""
        digest = hashlib.sha256(token.encode()).hexdigest()[:12] if token else ""
        now = self._clock.now()
        self.log.append(
            TokenUse(at=now, grant_type=grant_type, outcome=outcome, token_hash=digest)
        )

    def _renew(self, grant: Grant) -> None:
        ttl = timedelta(seconds=self._rules.access_ttl_s)
        access = self._token(48)
        grant.access[access] = self._clock.now() + ttl
        self._access[access] = grant
        grant.refresh = None
        if "offline.access" in grant.scopes:
            grant.refresh = self._token(48)
            self._refresh[grant.refresh] = grant

    def _bearer(self) -> str:
        return "AAAAAAAAAAAAAAAAAAAAA" + self._token(48)

    def _token(self, size_bytes: int) -> str:
        return base64.urlsafe_b64encode(self._entropy.token_bytes(size_bytes)).decode()
