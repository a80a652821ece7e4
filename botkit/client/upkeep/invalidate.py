"""Invalidate tokens that never expire: an OAuth 1.0a access token, an app's bearer token.

X invalidates the token first; it is removed here only after that.
Source: X API docs, "Authentication" (API reference); docs/explanation/requirements.md, C13.
"""

from __future__ import annotations

import urllib.parse
from typing import TYPE_CHECKING

import structlog

from botkit.client.http.signed_calls import SignedCalls
from botkit.errors import ConfigError
from botkit.model.tokens import CredentialKind
from botkit.ports.io import HttpRequest
from botkit.protocol.oauth import oauth1_flow, oauth2
from botkit.protocol.oauth.oauth1_flow import INVALIDATE

if TYPE_CHECKING:
    from botkit.client.logins.context import LoginContext
    from botkit.model.records import CredentialRow

__all__ = ["invalidate_bearer", "invalidate_pair"]

_log = structlog.get_logger(__name__)

_TIMEOUT_S = 30.0
_BEARER = "POST /oauth2/invalidate_token"


async def invalidate_pair(context: LoginContext, row: CredentialRow) -> None:
    """Invalidate an account's OAuth 1.0a access token at X, without changing the store.

    Succeed too if X had invalidated the token before.

    Raises:
        AuthError: X does not accept the app's key and secret; the token lives on.
        XError: X could not be asked or did not do it; the token may live on.
        ConfigError: The app has no key and secret.
    """
    pair = context.rows.token_pair(row)
    answer = await SignedCalls(context, row.app).send(
        HttpRequest(
            method="POST",
            url=context.endpoints.invalidate_url,
            name=INVALIDATE,
            timeout_s=_TIMEOUT_S,
            writes=True,
        ),
        pair,
    )
    oauth1_flow.read_invalidated(answer, now=context.clock.now())


async def invalidate_bearer(context: LoginContext, app: str) -> bool:
    """Invalidate an app's bearer token at X and remove it here; return False if none is known.

    Every other process of the app must fetch a new one, which it does by itself after a 401.

    Raises:
        AuthError: X does not accept the app's key and secret; nothing was changed.
        XError: X could not be asked or did not do it; nothing was removed.
        ConfigError: The app has no key and secret to prove itself with.
    """
    keys = context.apps.get(app)
    if keys is None or not keys.can_sign:
        raise ConfigError(
            f"The app {app!r} has no api key and api secret: X takes no other proof for this.",
            hint="Set api_key and api_secret, or regenerate the bearer token in X's console.",
        )
    row = await context.rows.get("", app, CredentialKind.APP_ONLY)
    token = keys.bearer_token
    if row is not None:
        token = token or context.rows.bearer_token(row)
    if not token:
        return False
    answer = await context.transport.send(
        HttpRequest(
            method="POST",
            url=context.endpoints.app_invalidate_url,
            name=_BEARER,
            headers=(
                ("Authorization", oauth2.basic_authorization(keys.api_key, keys.api_secret)),
                ("Content-Type", f"{oauth2.FORM_TYPE};charset=UTF-8"),
            ),
            body=urllib.parse.urlencode({"access_token": token.reveal()}).encode("ascii"),
            timeout_s=_TIMEOUT_S,
            writes=True,
        )
    )
    oauth1_flow.read_invalidated(answer, request_name=_BEARER, now=context.clock.now())
    if row is not None:
        await context.rows.remove(row)
    _log.info("bearer_token.invalidated", app=app)
    return True
