"""Authlib's RFC functions, with types; what they do is theirs.

Imported where they are called: they bring their whole package along, which costs a start 50 ms.
"""

# Authlib has no types here.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["grant_uri", "s256_challenge", "signed_address", "token_request"]


def grant_uri(consent_url: str, *, scopes: Sequence[str], **parameters: str) -> str:
    """The consent page's address with its parameters. Source: RFC 6749 section 4.1.1."""
    from authlib.oauth2.rfc6749.parameters import prepare_grant_uri

    given = {"response_type": "code", "scope": list(scopes), **parameters}
    return str(prepare_grant_uri(consent_url, **given))  # type: ignore[arg-type]


def token_request(grant_type: str, **fields: str) -> str:
    """The form of a token request. Source: RFC 6749 section 4.1.3."""
    from authlib.oauth2.rfc6749.parameters import prepare_token_request

    return str(prepare_token_request(grant_type, **fields))


def s256_challenge(verifier: str) -> str:
    """The S256 challenge of a code verifier. Source: RFC 7636 section 4.2."""
    from authlib.oauth2.rfc7636 import create_s256_code_challenge

    return str(create_s256_code_challenge(verifier))  # type: ignore[no-untyped-call]


def signed_address(url: str) -> str:
    """The URL as OAuth 1.0a signs it: scheme and host in lower case, no default port, no query.

    Source: RFC 5849 section 3.4.1.2.
    """
    from authlib.oauth1.rfc5849.signature import normalize_base_string_uri

    return str(normalize_base_string_uri(url))  # type: ignore[no-untyped-call]
