"""Call Authlib for the OAuth rules that it knows, with types added.

The functions import Authlib when they are called: at a start the import would cost 50 ms. Callers
meet the requirements that Authlib does not (docs/explanation/requirements.md, C2 to C4 and C6),
and `oauth1.SigningTemplate` makes the frequent signatures faster.
"""

# Authlib has no types for these functions.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "authorization_header",
    "grant_uri",
    "hmac_sha1_signature",
    "revoke_request",
    "s256_challenge",
    "signed_address",
    "token_request",
    "with_query",
]


def grant_uri(consent_url: str, *, scopes: Sequence[str], **parameters: str) -> str:
    """Return the address of the consent page. Source: RFC 6749 section 4.1.1."""
    from authlib.oauth2.rfc6749.parameters import prepare_grant_uri

    given = {"response_type": "code", "scope": list(scopes), **parameters}
    return _spelled(prepare_grant_uri(consent_url, **given))  # type: ignore[arg-type] # its types ask for a redirect_uri that may be None


def with_query(url: str, parameters: Mapping[str, str]) -> str:
    """Return the address with these parameters added to the end of its query."""
    from authlib.common.urls import add_params_to_uri

    return _spelled(add_params_to_uri(url, dict(parameters)))


def token_request(grant_type: str, **fields: str) -> str:
    """Return the form of a token request. Source: RFC 6749 section 4.1.3."""
    from authlib.oauth2.rfc6749.parameters import prepare_token_request

    return str(prepare_token_request(grant_type, **fields))


def revoke_request(token: str, *, hint: str) -> str:
    """Return the form of a revocation request. Source: RFC 7009 section 2.1."""
    from authlib.oauth2.rfc7009 import prepare_revoke_token_request

    body, _ = prepare_revoke_token_request(token, hint)
    return body


def s256_challenge(verifier: str) -> str:
    """Return the S256 challenge of a code verifier. Source: RFC 7636 section 4.2."""
    from authlib.oauth2.rfc7636 import create_s256_code_challenge

    return str(create_s256_code_challenge(verifier))  # type: ignore[no-untyped-call]  # Authlib has no types


def signed_address(url: str) -> str:
    """Return the URL as OAuth 1.0a signs it: scheme and host in lower case, no default port.

    The query is left out: its parameters are signed one by one.

    Source: RFC 5849 section 3.4.1.2.
    """
    from authlib.oauth1.rfc5849.signature import normalize_base_string_uri

    return str(normalize_base_string_uri(url))  # type: ignore[no-untyped-call]  # Authlib has no types


def hmac_sha1_signature(
    method: str,
    url: str,
    parameters: Iterable[tuple[str, str]],
    *,
    consumer_secret: str,
    token_secret: str,
) -> str:
    """Return the OAuth 1.0a signature of a call with these parameters, in any order.

    This function joins the base string itself: Authlib's `construct_base_string` decodes each
    `oauth_` parameter once more, and leaves out one named `realm`.

    Source: RFC 5849 sections 3.4.1 and 3.4.2.
    """
    from authlib.oauth1.rfc5849 import signature
    from authlib.oauth1.rfc5849.util import escape

    signed = (method.upper(), signed_address(url), signature.normalize_parameters(parameters))
    text = "&".join(escape(part) for part in signed)
    return signature.hmac_sha1_signature(text, consumer_secret, token_secret)


def authorization_header(parameters: Iterable[tuple[str, str]]) -> str:
    """Return the `Authorization` header of an OAuth 1.0a call. Source: RFC 5849 section 3.5.1."""
    from authlib.oauth1.rfc5849.parameters import prepare_headers

    return str(prepare_headers(parameters)["Authorization"])


def _spelled(url: str) -> str:
    """Return the address with `%20` for a blank in its query, as X requires, instead of a plus."""
    head, mark, query = url.partition("?")
    return f"{head}{mark}{query.replace('+', '%20')}"
