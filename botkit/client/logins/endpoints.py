"""The addresses of X and the keys of an app, as plain values that are made from the settings.

Every address but the consent page derives from `api_url`. Source: X API docs, hosts and endpoints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

from msgspec import Struct

from botkit.model.tokens import CredentialKind, Secret

if TYPE_CHECKING:
    from botkit.protocol.api.requests import Request

__all__ = ["API_URL", "CONSENT_URL", "AppKeys", "Endpoints"]

API_URL = "https://api.x.com"
CONSENT_URL = "https://x.com/i/oauth2/authorize"


class Endpoints(Struct, frozen=True, kw_only=True):
    """Hold the addresses of X, or of a simulated X. Make it with `Endpoints.at`."""

    api_url: str = API_URL
    consent_url: str = CONSENT_URL
    token_url: str = API_URL + "/2/oauth2/token"
    revoke_url: str = API_URL + "/2/oauth2/revoke"
    app_token_url: str = API_URL + "/oauth2/token"
    app_invalidate_url: str = API_URL + "/oauth2/invalidate_token"
    request_token_url: str = API_URL + "/oauth/request_token"
    authorize_url: str = API_URL + "/oauth/authorize"
    access_token_url: str = API_URL + "/oauth/access_token"
    invalidate_url: str = API_URL + "/1.1/oauth/invalidate_token"
    issuer: str | None = None
    """The value that `iss` in a redirect must have; None for X, which sends none."""

    @classmethod
    def at(
        cls,
        api_url: str = API_URL,
        *,
        consent_url: str = CONSENT_URL,
        token_url: str | None = None,
        revoke_url: str | None = None,
        app_token_url: str | None = None,
        app_invalidate_url: str | None = None,
        request_token_url: str | None = None,
        authorize_url: str | None = None,
        access_token_url: str | None = None,
        invalidate_url: str | None = None,
        issuer: str | None = None,
    ) -> Endpoints:
        """Return the addresses under `api_url` by X's paths; a given address replaces its default.

        `consent_url`, `token_url` and `revoke_url` are for OAuth 2.0, those that begin with `app_`
        for the app's bearer token, and the other four for OAuth 1.0a.
        """
        base = api_url.rstrip("/")
        return cls(
            api_url=base,
            consent_url=consent_url,
            token_url=token_url or base + "/2/oauth2/token",
            revoke_url=revoke_url or base + "/2/oauth2/revoke",
            app_token_url=app_token_url or base + "/oauth2/token",
            app_invalidate_url=app_invalidate_url or base + "/oauth2/invalidate_token",
            request_token_url=request_token_url or base + "/oauth/request_token",
            authorize_url=authorize_url or base + "/oauth/authorize",
            access_token_url=access_token_url or base + "/oauth/access_token",
            invalidate_url=invalidate_url or base + "/1.1/oauth/invalidate_token",
            issuer=issuer,
        )

    @property
    def origin(self) -> str:
        """Return the origin to which tokens are sent; all of them if the addresses have several.

        A login that came from another origin must not be used here.
        """
        takers = (
            self.api_url,
            self.token_url,
            self.revoke_url,
            self.app_invalidate_url,
            self.access_token_url,
            self.invalidate_url,
        )
        return " ".join(dict.fromkeys(_origin_of(url) for url in takers))

    def url_of(self, request: Request) -> str:
        """Return a call's absolute address, the query percent-encoded as OAuth 1.0a signs it."""
        if not request.query:
            return self.api_url + request.path
        query = urlencode(request.query, quote_via=quote, safe="-._~")
        return f"{self.api_url}{request.path}?{query}"


class AppKeys(Struct, frozen=True, kw_only=True):
    """Hold the keys of one app of X's console; a key that is not set is empty.

    `client_id` and `client_secret` are for OAuth 2.0. `api_key` and `api_secret` (the consumer
    pair) are for OAuth 1.0a, and fetch the bearer token unless `bearer_token` is set.
    """

    client_id: str = ""
    client_secret: Secret = Secret("")
    api_key: str = ""
    api_secret: Secret = Secret("")
    bearer_token: Secret = Secret("")

    def public_key(self, kind: CredentialKind) -> str:
        """Return the public key to which X binds logins of this kind: client id or api key."""
        return self.client_id if kind is CredentialKind.OAUTH2 else self.api_key

    @property
    def can_sign(self) -> bool:
        """True if the app has the key and secret that OAuth 1.0a signs with."""
        return bool(self.api_key and self.api_secret)

    @property
    def can_act_as_app(self) -> bool:
        """True if the app has a bearer token or the keys to fetch one."""
        return bool(self.bearer_token) or bool(self.api_key and self.api_secret)


def _origin_of(url: str) -> str:
    """Return scheme, host and port of an address in a canonical form."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    default = {"https": 443, "http": 80}.get(parts.scheme)
    port = "" if parts.port in {None, default} else f":{parts.port}"
    return f"{parts.scheme}://{shown}{port}"
