"""Where X is and which app speaks to it, as plain values that `bot.py` makes from the settings.

Source: X API docs, hosts and endpoints; every address but the consent page derives from `api_url`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from msgspec import Struct

from botkit.model.tokens import Secret

if TYPE_CHECKING:
    from botkit.protocol.api.requests import Request

__all__ = ["API_URL", "CONSENT_URL", "AppKeys", "Endpoints"]

API_URL = "https://api.x.com"
CONSENT_URL = "https://x.com/i/oauth2/authorize"


class Endpoints(Struct, frozen=True, kw_only=True):
    """The addresses of one X. Make it with `Endpoints.at`, which fills in what is not set."""

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
    """What `iss` in a redirect must equal; None for a server that sends none, as X."""

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
        """The addresses at `api_url` by X's paths; each one given is taken instead.

        `consent_url`, `token_url` and `revoke_url` are of OAuth 2.0, those with `app_` of the
        app's bearer token, the other four of OAuth 1.0a.
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

    def url_of(self, request: Request) -> str:
        """The absolute address of a call, its query percent-encoded as OAuth 1.0a signs it."""
        if not request.query:
            return self.api_url + request.path
        query = urlencode(request.query, quote_via=quote, safe="-._~")
        return f"{self.api_url}{request.path}?{query}"


class AppKeys(Struct, frozen=True, kw_only=True):
    """One app of X's console. What is not set is empty.

    `client_id` and `client_secret` are for OAuth 2.0, `api_key` and `api_secret` (the consumer
    pair) for OAuth 1.0a and for fetching the bearer token, which may also be given as it is.
    """

    client_id: str = ""
    client_secret: Secret = Secret("")
    api_key: str = ""
    api_secret: Secret = Secret("")
    bearer_token: Secret = Secret("")

    @property
    def can_sign(self) -> bool:
        """Whether there is the pair that OAuth 1.0a signs with."""
        return bool(self.api_key and self.api_secret)

    @property
    def can_act_as_app(self) -> bool:
        """Whether there is a bearer token or the keys to fetch one."""
        return bool(self.bearer_token) or bool(self.api_key and self.api_secret)
