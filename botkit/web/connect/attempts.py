"""The logins that are under way in this process: bounded, each over after ten minutes.

They live in memory: the code verifier is nowhere else. After a restart a redirect finds nothing,
and the person opens the invitation again.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from botkit.errors import StoreUnavailable

if TYPE_CHECKING:
    from botkit.client.signin.oauth2_attempt import Login
    from botkit.model.tokens import Secret

__all__ = ["Attempts", "ConnectAttempt", "Pending"]

_MOST = 1000


class ConnectAttempt(Protocol):
    """A login that has begun; `client.signin.oauth2_attempt.OAuth2Attempt` is one."""

    url: str
    state: str

    @property
    def is_over(self) -> bool:
        """Whether no redirect can end it any more."""
        ...

    async def finish(self, query: Secret) -> Login:
        """End it with the redirect's query."""
        ...


class Pending(Struct, frozen=True, kw_only=True):
    """A login under way: by which invitation, and in which browser (a hash of its cookie)."""

    attempt: ConnectAttempt
    invitation_id: str
    browser: str


class Attempts:
    """Logins under way, by the state that their redirect will carry."""

    def __init__(self, *, most: int = _MOST) -> None:
        self._most = most
        self._by_state: dict[bytes, Pending] = {}

    def __len__(self) -> int:
        return len(self._by_state)

    def add(self, pending: Pending) -> None:
        """Take one more; an earlier one by the same invitation is over with that.

        Raises:
            StoreUnavailable: There are too many for now.
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
        """The one that the redirect with this state belongs to."""
        return self._by_state.get(_key(state))

    def drop(self, pending: Pending) -> None:
        """Forget one that is over."""
        self._by_state.pop(_key(pending.attempt.state), None)


def _key(state: str) -> bytes:
    """A hash, so that the time of a look-up tells nothing about the states there are."""
    return hashlib.sha256(state.encode("utf-8", "surrogatepass")).digest()
