"""Keeps secrets out of every log line, those of other libraries included."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping

__all__ = ["Redactor"]

REDACTED = "[redacted]"
_SECRET_NAMES = re.compile(
    r"(?i)^(authorization|cookie|set-cookie|.*secret|.*password|.*passphrase|pin|code"
    r"|code_verifier|access_token|refresh_token|bearer_token|oauth_token|oauth_verifier"
    r"|oauth_signature|token|signature)$"
)
_SECRET_VALUES = re.compile(
    r"(?i)(?P<name>authorization:\s*\w+\s+|bearer\s+|basic\s+|\b(?:code|state|code_verifier"
    r"|access_token|refresh_token|client_secret|oauth_token|oauth_verifier|oauth_signature"
    r"|oauth_token_secret)=)(?P<value>[^\s&\"',]+)"
)
_SHORTEST = 6


class Redactor:
    """Replaces secrets, found by the field's name, by their form on the wire, or by their value.

    Args:
        secrets: Values known to be secret, for instance from the settings. Short ones are
            ignored, because they would hide ordinary words.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known: set[str] = set()
        for secret in secrets:
            self.learn(secret)

    def learn(self, secret: str) -> None:
        """Hide this value from now on."""
        if len(secret) >= _SHORTEST:
            self._known.add(secret)

    def known(self, text: str) -> str:
        """Return the text without known secret values; names like `token=` are left alone."""
        for secret in self._known:
            text = text.replace(secret, REDACTED)
        return text

    def text(self, text: str) -> str:
        """Return the text without secrets, found by value or by form."""
        text = self.known(text)
        return _SECRET_VALUES.sub(lambda found: found["name"] + REDACTED, text)

    def __call__(
        self, _logger: Any, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Serve as a structlog processor."""
        for name, value in event.items():
            if name != "event" and _SECRET_NAMES.match(name):
                event[name] = REDACTED
            elif isinstance(value, str):
                event[name] = self.text(value)
            elif isinstance(value, BaseException):
                event[name] = self.text(f"{type(value).__name__}: {value}")
        return event
