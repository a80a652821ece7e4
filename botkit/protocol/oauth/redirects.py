"""Read the redirect that ends a browser's part of a login, the same way for OAuth 2.0 and 1.0a.

Source: RFC 6749 sections 3.1 and 10.12; RFC 9700 section 4.7.
"""

from __future__ import annotations

import hmac
import urllib.parse

from botkit.errors import StateMismatch

__all__ = ["redirect_parameters", "same_text"]

_MOST_FIELDS = 64


def redirect_parameters(query: str) -> dict[str, str]:
    """Return the parameters of a redirect's raw query; none may come twice.

    Raises:
        StateMismatch: The query cannot be read, or carries a parameter twice.
    """
    try:
        pairs = urllib.parse.parse_qsl(
            query, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
        )
    except ValueError:
        raise StateMismatch("The redirect's query cannot be read.") from None
    given = dict(pairs)
    if len(given) != len(pairs):
        raise StateMismatch("The redirect carries a parameter twice.")
    return given


def same_text(given: str, expected: str) -> bool:
    """Return True if the two are equal; compared in constant time."""
    return hmac.compare_digest(
        given.encode("utf-8", "surrogatepass"), expected.encode("utf-8", "surrogatepass")
    )
