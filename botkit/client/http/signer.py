"""Sign OAuth 1.0a calls, with X's time once X says that this machine's clock is wrong.

Source: RFC 5849 section 3.3; docs/explanation/requirements.md, C14.
"""

from __future__ import annotations

from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

import structlog

from botkit.protocol.oauth.oauth1 import new_nonce

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botkit.ports import Clock, Entropy
    from botkit.protocol.oauth.oauth1 import SigningTemplate

__all__ = ["Signer"]

_log = structlog.get_logger(__name__)

_CLOCK_OFF = timedelta(seconds=60)


class Signer:
    """Sign each call with a new nonce. `clock_off` is how far X's clock is ahead of ours."""

    def __init__(
        self, clock: Clock, entropy: Entropy, *, clock_off: timedelta = timedelta(0)
    ) -> None:
        self._clock = clock
        self._entropy = entropy
        self._clock_off = clock_off

    def authorization(
        self,
        template: SigningTemplate,
        method: str,
        url: str,
        extra: Mapping[str, str] = MappingProxyType({}),
    ) -> str:
        """Return the call's `Authorization` header; `extra` are further protocol parameters."""
        return template.authorization(
            method,
            url,
            nonce=new_nonce(self._entropy.token_bytes(16)),
            timestamp=int((self._clock.now() + self._clock_off).timestamp()),
            extra=extra,
        )

    def take_over(self, clock_off: timedelta, *, always: bool = False) -> bool:
        """Sign with X's time from now on; return False if that time was signed already.

        A difference of less than a minute counts as the same time, except with `always`: then X
        has named the time as the reason of its refusal.
        """
        if abs(clock_off - self._clock_off) < _CLOCK_OFF and not always:
            return False
        self._clock_off = clock_off
        _log.warning("clock.skewed", off_s=round(clock_off.total_seconds()))
        return True
