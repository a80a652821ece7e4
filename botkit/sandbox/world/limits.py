"""The rate windows of the simulated X: fixed windows, each starting at its first call.

Source: X API docs, "Rate limits"; the figures come from the operations table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botkit.model.tokens import CredentialKind
from botkit.sandbox.wire import problems
from botkit.sandbox.world.grants import App
from botkit.sandbox.world.world import UserRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botkit.ports.io import Clock
    from botkit.protocol.api.operations import Operation

__all__ = ["ApiCaller", "RateLimits"]

_DAY_S = 24 * 3600


@dataclass(slots=True, frozen=True)
class ApiCaller:
    """The caller: the app, and the user if it calls for one.

    `granted_level` is the level of an OAuth 1.0a token.
    """

    app: App
    kind: CredentialKind
    user: UserRecord | None = None
    scopes: tuple[str, ...] = ()
    granted_level: str = ""

    @property
    def level(self) -> str:
        """The value of `x-access-level`. Source: X API docs, "Apps"; recorded traffic."""
        if self.kind is CredentialKind.OAUTH1:
            return self.granted_level
        return "read" if self.kind is CredentialKind.APP_ONLY else "read-write"


@dataclass(slots=True)
class _RateWindow:
    opened: float
    used: int = 0


class RateLimits:
    """Counts calls by operation and by user or app; does nothing while it is switched off."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._windows: dict[tuple[str, str, float], _RateWindow] = {}
        self.enforced = True

    def take(self, operation: Operation, caller: ApiCaller) -> dict[str, str]:
        """Count one call and return the rate headers.

        Raises:
            Refused: 429 with the headers: a window is used up.
        """
        if not self.enforced:
            return {}
        headers: dict[str, str] = {}
        exhausted = False
        for subject, limit, span_s, prefix in _windows(operation, caller):
            window = self._window(operation.id, subject, span_s)
            if window.used >= limit:
                exhausted = True
            else:
                window.used += 1
            now = self._clock.now().timestamp()
            left_s = window.opened + span_s - self._clock.monotonic()
            headers |= {
                f"{prefix}-limit": str(limit),
                f"{prefix}-remaining": str(limit - window.used),
                f"{prefix}-reset": str(int(now + left_s) + 1),
            }
        if exhausted:
            refused = problems.rate_limited()
            refused.answer.headers |= headers
            raise refused
        return headers

    def _window(self, operation_id: str, subject: str, span_s: float) -> _RateWindow:
        key = (operation_id, subject, span_s)
        now = self._clock.monotonic()
        window = self._windows.get(key)
        if window is None or now >= window.opened + span_s:
            window = self._windows[key] = _RateWindow(opened=now)
        return window


def _windows(operation: Operation, caller: ApiCaller) -> Iterator[tuple[str, int, float, str]]:
    """Yield each window of the call: owner, limit, length and the prefix of its headers."""
    by_user = caller.user is not None
    if caller.user is not None:
        for window in operation.user_windows:
            prefix = "x-user-limit-24hour" if window.seconds == _DAY_S else "x-rate-limit"
            yield f"user {caller.app.id} {caller.user.id}", window.limit, window.seconds, prefix
    for window in operation.app_windows:
        if window.seconds == _DAY_S:
            yield f"app {caller.app.id}", window.limit, window.seconds, "x-app-limit-24hour"
        elif not by_user or not operation.user_windows:
            yield f"app {caller.app.id}", window.limit, window.seconds, "x-rate-limit"
