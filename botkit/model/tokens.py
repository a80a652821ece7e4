"""Credentials as frozen values. Their `repr` never shows a secret."""

from __future__ import annotations

import enum
import hmac

from msgspec import Struct

__all__ = ["CredentialKind", "LoginState", "Secret", "TokenPair", "TokenSet"]


class CredentialKind(enum.StrEnum):
    """The kinds of X's credentials, named as in X's OpenAPI document."""

    OAUTH2 = "OAuth2UserToken"
    OAUTH1 = "UserToken"
    APP_ONLY = "BearerToken"


class LoginState(enum.StrEnum):
    """The state of a login."""

    OK = "OK"
    UNCERTAIN = "UNCERTAIN"
    DEAD = "DEAD"
    CONFIG = "CONFIG"


class Secret:
    """A secret text that `repr`, `str`, f-strings, pickles and logs do not show.

    Call `.reveal()` only where the text goes onto the wire.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself; never log, format or store it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(...)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(("Secret", self._value))

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Secret cannot be pickled")


class TokenSet(Struct, frozen=True, kw_only=True, gc=False):
    """The tokens that X's OAuth 2.0 token endpoint granted.

    `scopes` are the granted ones, in X's order. `expires_in_s` is X's figure, capped.
    `refresh_token` is None if X sent none: `offline.access` was not granted, or the old token
    stays valid.
    """

    access_token: Secret
    refresh_token: Secret | None
    scopes: tuple[str, ...]
    expires_in_s: float


class TokenPair(Struct, frozen=True, kw_only=True, gc=False):
    """An OAuth 1.0a access token and its secret."""

    token: Secret
    token_secret: Secret
