"""The logins by invitation that are under way in this process; each ends within ten minutes.

They live only in memory, because the code verifier is stored nowhere. After a restart a redirect
matches none of them, and the person opens the invitation again.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from botkit.errors import StoreUnavailable

if TYPE_CHECKING:
    from botkit.client.signin.attempt import Login
    from botkit.model.tokens import Secret

__all__ = ["Attempts", "ConnectAttempt", "Pending"]

_MOST = 1000


class ConnectAttempt(Protocol):
    """A login that has begun; `client.signin.oauth2_attempt.OAuth2Attempt` is one."""

    url: str
    state: str

    @property
    def is_over(self) -> bool:
        """Whether the attempt is used up: no redirect can finish it."""
        ...

    async def finish(self, query: Secret) -> Login:
        """Finish the login with the redirect's query."""
        ...


class Pending(Struct, frozen=True, kw_only=True):
    """A login under way.

    Attributes:
        attempt: The login's own attempt.
        invitation_id: The invitation that it uses.
        browser: A hash of the cookie of the browser that began it.
    """

    attempt: ConnectAttempt
    invitation_id: str
    browser: str


class Attempts:
    """The logins under way, found by the `state` of their redirect.

    Args:
        most: The largest number at a time.
    """

    def __init__(self, *, most: int = _MOST) -> None:
        self._most = most
        self._by_state: dict[bytes, Pending] = {}

    def __len__(self) -> int:
        return len(self._by_state)

    def add(self, pending: Pending) -> None:
        """Add a login; it replaces an earlier one with the same invitation.

        Raises:
            StoreUnavailable: Too many logins are under way.
        """
        for key, other in tuple(self._by_state.items()):
            if other.attempt.is_over or other.invitation_id == pending.invitation_id:
                del self._by_state[key]
        if len(self._by_state) >= self._most:
            raise StoreUnavailable(
                f"{self._most} logins are under way; no more can begin for now.",
                hint="Try again in ten minutes.",
            )
        self._by_state[_key(pending.attempt.state)] = pending

    def find(self, state: str) -> Pending | None:
        """Return the login that this state belongs to."""
        return self._by_state.get(_key(state))

    def drop(self, pending: Pending) -> None:
        """Remove a login that is over."""
        self._by_state.pop(_key(pending.attempt.state), None)


def _key(state: str) -> bytes:
    """Hash a state, so that the time of a look-up tells nothing about the known states."""
    return hashlib.sha256(state.encode("utf-8", "surrogatepass")).digest()
