"""Make the requests of an OAuth 2.0 login with X, and read its redirect.

The module has no I/O, no randomness and no clock: callers pass random bytes. PKCE is always S256,
and a confidential client always proves itself by HTTP Basic.

Source: RFC 6749, RFC 7636, RFC 9207; X API docs, "OAuth 2.0 Authorization Code Flow with PKCE"
and "App-only authentication".
"""

from __future__ import annotations

import base64
import urllib.parse
from typing import TYPE_CHECKING

from botkit.errors import AuthorizationDenied, StateMismatch
from botkit.protocol.api.error_bodies import excerpt
from botkit.protocol.oauth import rfc
from botkit.protocol.oauth.redirects import redirect_parameters, same_text
from botkit.protocol.oauth.token_answers import (
    read_bearer_answer,
    read_revoke_answer,
    read_token_answer,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from botkit.model.tokens import Secret

__all__ = [
    "FORM_TYPE",
    "STATE_LIMIT",
    "authorize_url",
    "basic_authorization",
    "client_credentials_form",
    "code_challenge",
    "code_form",
    "new_code_verifier",
    "new_state",
    "read_bearer_answer",
    "read_callback",
    "read_revoke_answer",
    "read_token_answer",
    "refresh_form",
    "revoke_form",
]

FORM_TYPE = "application/x-www-form-urlencoded"
"""The content type of every form that this module makes."""

STATE_LIMIT = 500
"""The longest `state` that X takes, in characters. Source: X API docs, "OAuth 2.0"."""

_LEAST_RANDOM_BYTES = 32


def new_state(random: bytes) -> str:
    """Return a `state` made of at least 32 random bytes; each login attempt needs a new one.

    Source: RFC 6749 section 10.12.
    """
    return _url_safe(random)


def new_code_verifier(random: bytes) -> str:
    """Return a code verifier made of at least 32 random bytes; each attempt needs a new one.

    Source: RFC 7636 section 4.1: 43 to 128 unreserved characters.
    """
    return _url_safe(random)


def code_challenge(verifier: str) -> str:
    """Return the S256 challenge of a verifier. Source: RFC 7636 section 4.2."""
    return rfc.s256_challenge(verifier)


def authorize_url(
    consent_url: str,
    *,
    client_id: str,
    redirect_uri: str,
    scopes: Iterable[str],
    state: str,
    code_verifier: str,
) -> str:
    """Return the address to open in the browser, where the person consents.

    Scopes are joined by `%20`; a query in `consent_url` is kept.

    Source: RFC 6749 section 4.1.1, RFC 7636 section 4.3.
    """
    return rfc.grant_uri(
        consent_url,
        client_id=client_id.strip(),
        redirect_uri=redirect_uri,
        scopes=list(scopes),
        state=state,
        code_challenge=code_challenge(code_verifier),
        code_challenge_method="S256",
    )


def basic_authorization(client_id: str, client_secret: Secret) -> str:
    """Return the value of the `Authorization` header that proves the client.

    White space around each part is dropped, as a file may end with a newline; then each part is
    form-encoded. The call for a bearer token uses the same header, with the app's key and secret.

    Source: RFC 6749 section 2.3.1; X does not take a secret in the body.
    """
    pair = ":".join(
        # A blank becomes %20: every decoder knows it, but some keep a plus as it is.
        urllib.parse.quote(part.strip(), safe="")
        for part in (client_id, client_secret.reveal())
    )
    return "Basic " + base64.b64encode(pair.encode("ascii")).decode("ascii")


def client_headers(client_id: str, client_secret: Secret) -> tuple[tuple[str, str], ...]:
    """Return the headers of a token call: the client's proof, and the form's content type."""
    return (
        ("Authorization", basic_authorization(client_id, client_secret)),
        ("Content-Type", FORM_TYPE),
    )


def code_form(*, code: Secret, redirect_uri: str, code_verifier: Secret) -> bytes:
    """Return the form that exchanges a code; `redirect_uri` must equal the consent address's.

    X takes a code once and within 30 seconds. Source: RFC 6749 section 4.1.3.
    """
    return _form(
        "authorization_code",
        redirect_uri=redirect_uri,
        code=code.reveal(),
        code_verifier=code_verifier.reveal(),
    )


def refresh_form(refresh_token: Secret) -> bytes:
    """Return the form that spends a refresh token. Source: RFC 6749 section 6."""
    return _form("refresh_token", refresh_token=refresh_token.reveal())


def revoke_form(token: Secret, *, hint: str) -> bytes:
    """Return the form that revokes a token; `hint` is `access_token` or `refresh_token`.

    Source: RFC 7009 section 2.1.
    """
    return rfc.revoke_request(token.reveal(), hint=hint).encode("ascii")


def client_credentials_form() -> bytes:
    """Return the form that asks for the app's bearer token. Source: RFC 6749 section 4.4."""
    return _form("client_credentials")


def read_callback(query: str, *, state: str, issuer: str | None = None) -> str:
    """Return the authorization code of a redirect that belongs to this login attempt.

    `query` is the raw query of the redirect, without the question mark. If `issuer` is set, the
    redirect must name exactly this issuer. If it is None, an issuer in the redirect is ignored: X
    names none.

    Raises:
        StateMismatch: The redirect is not this attempt's, or cannot be trusted: it has a wrong
            `state` or none, a parameter twice, both `code` and `error`, neither of them, or not
            the expected issuer. The attempt is still open: the true redirect may yet come.
        AuthorizationDenied: The redirect is this attempt's, and the person declined, or X refused
            the request. The attempt is over.

    Source: RFC 6749 sections 4.1.2 and 10.12, RFC 9207 section 2.4.
    """
    given = redirect_parameters(query)
    if not state or not same_text(given.get("state", ""), state):
        raise StateMismatch("The redirect carries no state, or not the one of this login.")
    if issuer is not None and given.get("iss") != issuer:
        which = "from another issuer than" if "iss" in given else "without the issuer, unlike"
        raise StateMismatch(f"The redirect comes {which} the configured one.")
    if "error" in given:
        if "code" in given:
            raise StateMismatch("The redirect carries both a code and an error.")
        raise _denied(given["error"], given.get("error_description", ""))
    code = given.get("code", "")
    if not code:
        raise StateMismatch("The redirect carries no code.")
    return code


def _denied(error: str, description: str) -> AuthorizationDenied:
    said = excerpt(f"{error} {description}".encode())
    if error == "access_denied":
        return AuthorizationDenied(
            f"The person declined on X's consent page ({said}).",
            hint="Start again, and choose to authorize the app.",
        )
    return AuthorizationDenied(
        f"X refused the authorization request: {said}.",
        hint="Compare client id, callback URL and scopes with the app's settings in X's console.",
    )


def _url_safe(random: bytes) -> str:
    if len(random) < _LEAST_RANDOM_BYTES:
        raise ValueError(f"at least {_LEAST_RANDOM_BYTES} random bytes are needed")
    text = base64.urlsafe_b64encode(random).rstrip(b"=").decode("ascii")
    return text[:128]


def _form(grant_type: str, **fields: str) -> bytes:
    return rfc.token_request(grant_type, **fields).encode("ascii")
