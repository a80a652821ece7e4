"""Answer X's token endpoints; `consent.py` has the consent page.

X accepts some deviations of clients in the wild, too: JSON bodies, fields in the query, and a
secret in the body beside a valid Basic header.
Source: X API docs, "User access token" and "Application-only authentication".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from botkit.sandbox.wire import problems
from botkit.sandbox.wire.exchange import Answer, Refused
from botkit.sandbox.x.context import ApiRoute, RequestContext
from botkit.sandbox.x.routes.signin.consent import CONSENT_ROUTES
from botkit.sandbox.x.routes.signin.oauth1 import OAUTH1_ROUTES, signing_pair

if TYPE_CHECKING:
    from botkit.sandbox.world.grants import App, Code, Grant

__all__ = ["ROUTES"]

_WRONG_CODE = "Value passed for the authorization code was invalid."
_WRONG_REDIRECT = (
    "Value passed for the redirect uri did not match the uri of the authorization code."
)
_WRONG_TOKEN = "Value passed for the token was invalid."  # noqa: S105 - X's words, no secret
_NO_BASIC = "Missing valid authorization header"


def _token(request: RequestContext) -> Answer:
    fields = _fields(request)
    grants = request.world.grants
    kind = fields.get("grant_type", "")
    app = _client(request, fields)
    if kind == "authorization_code":
        return _exchange(request, fields, app)
    if kind == "refresh_token":
        token = _needed(fields, "refresh_token")
        grant = grants.rotate(token, app)
        grants.note(kind, "taken" if grant else "refused", token=token)
        if grant is None:
            raise problems.oauth_error(400, "invalid_request", _WRONG_TOKEN)
        return _tokens(request, grant)
    if not kind:
        _needed(fields, "grant_type")
    raise problems.oauth_error(
        400, "unsupported_grant_type", "Value passed for the grant type was invalid."
    )


def _exchange(request: RequestContext, fields: dict[str, str], app: App) -> Answer:
    grants = request.world.grants
    value = _needed(fields, "code")
    redirect_uri = _needed(fields, "redirect_uri")
    verifier = _needed(fields, "code_verifier")
    code = grants.take_code(value, app)
    grants.note("authorization_code", "taken" if code else "refused", token=value)
    if code is None or not _proves(code, verifier):
        raise problems.oauth_error(400, "invalid_request", _WRONG_CODE)
    if code.redirect_uri != redirect_uri:
        raise problems.oauth_error(400, "invalid_request", _WRONG_REDIRECT)
    return _tokens(request, grants.grant(app, code.user_id, code.scopes))


def _proves(code: Code, verifier: str) -> bool:
    """Return True if the verifier fits the challenge. Source: RFC 7636 section 4.6."""
    if code.method == "plain":
        return hmac.compare_digest(code.challenge.encode(), verifier.encode())
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=")
    return hmac.compare_digest(code.challenge.encode(), challenge)


def _tokens(request: RequestContext, grant: Grant) -> Answer:
    body: dict[str, object] = {
        "token_type": "bearer",
        "expires_in": int(request.world.rules.access_ttl_s),
        "access_token": request.world.grants.newest_access(grant),
        "scope": " ".join(grant.scopes),
    }
    if grant.refresh:
        body["refresh_token"] = grant.refresh
    return Answer.json(200, body, cache_control="no-store", pragma="no-cache")


def _revoke(request: RequestContext) -> Answer:
    fields = _fields(request)
    app = _client(request, fields)
    token = _needed(fields, "token")
    grant = request.world.grants.by_token(token)
    # An unknown token is no error. Source: RFC 7009 section 2.2.
    if grant is not None and grant.app is app:
        request.world.grants.end(grant)
    request.world.grants.note("revoke", "taken", token=token)
    return Answer.json(200, {"revoked": True})


def _bearer(request: RequestContext) -> Answer:
    app = _app_by_basic(request)
    if _fields(request).get("grant_type") != "client_credentials":
        _needed({}, "grant_type")
    return Answer.json(200, {"token_type": "bearer", "access_token": app.bearer})


def _invalidate_bearer(request: RequestContext) -> Answer:
    """Invalidate a bearer token of an app that proves itself by HTTP Basic or OAuth 1.0a.

    Source: docs/explanation/x-facts.md, 3.4.
    """
    pair = signing_pair(request)
    app = _app_by_basic(request) if pair is None else pair.app
    token = _fields(request).get("access_token", "")
    if not _same(app.bearer, token) or (pair is not None and pair.user_id != app.owner_id):
        raise problems.v1_error(401, 89, "Invalid or expired token")
    request.world.grants.renew_bearer(app)
    return Answer.json(200, {"access_token": token})


def _app_by_basic(request: RequestContext) -> App:
    """Return the app whose key and secret are in the header."""
    pair = _basic(request)
    app = request.world.grants.app_by_key(pair[0]) if pair else None
    if pair is None or app is None or not _same(app.api_secret, pair[1]):
        error = {
            "code": 99,
            "label": "authenticity_token_error",
            "message": "Unable to verify your credentials",
        }
        raise Refused(Answer.json(403, {"errors": [error]}))
    return app


def _fields(request: RequestContext) -> dict[str, str]:
    """Return the fields of the body and of the query, into which some clients put them."""
    return dict(request.call.query) | request.call.fields()


def _client(request: RequestContext, fields: dict[str, str]) -> App:
    """Return the app that calls; a confidential one must send its secret by HTTP Basic."""
    apps = request.world.grants.apps
    pair = _basic(request)
    if pair is not None:
        app = apps.get(pair[0])
        if app is None or app.client_secret is None or not _same(app.client_secret, pair[1]):
            raise problems.oauth_error(401, "unauthorized_client", _NO_BASIC)
        if fields.get("client_id", app.client_id) != app.client_id:
            raise problems.oauth_error(401, "unauthorized_client", _NO_BASIC)
        return app
    if "client_id" not in fields:
        raise problems.oauth_error(
            400, "invalid_request", "Missing required parameter [client_id]."
        )
    app = apps.get(fields["client_id"])
    if app is None:
        raise problems.oauth_error(
            400, "invalid_client", "Value passed for the client id was invalid."
        )
    if app.client_secret is not None:
        raise problems.oauth_error(401, "unauthorized_client", _NO_BASIC)
    return app


def _basic(request: RequestContext) -> tuple[str, str] | None:
    """Return id and secret of a Basic header, form-decoded. Source: RFC 6749 section 2.3.1."""
    scheme, _, encoded = request.call.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ("", "")
    user, _, password = decoded.partition(":")
    return unquote_plus(user), unquote_plus(password)


def _same(known: str, given: str) -> bool:
    return hmac.compare_digest(known.encode(), given.encode())


def _needed(fields: dict[str, str], name: str) -> str:
    value = fields.get(name, "")
    if not value:
        raise problems.oauth_error(400, "invalid_request", f"Missing required parameter [{name}].")
    return value


ROUTES = (
    *CONSENT_ROUTES,
    *OAUTH1_ROUTES,
    ApiRoute("POST", "/2/oauth2/token", _token),
    ApiRoute("POST", "/2/oauth2/revoke", _revoke),
    ApiRoute("POST", "/oauth2/token", _bearer),
    ApiRoute("POST", "/oauth2/invalidate_token", _invalidate_bearer),
)
