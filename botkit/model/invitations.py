"""Invitations to authorize an account through the running bot, as frozen values."""

from __future__ import annotations

import enum
from datetime import datetime

from msgspec import Struct

__all__ = ["Invitation", "InvitationState"]


class InvitationState(enum.StrEnum):
    """The state of an invitation."""

    OPEN = "open"
    IN_USE = "in use"
    """A browser is in the middle of a login with it."""
    USED = "used"
    EXPIRED = "expired"
    REVOKED = "revoked"


class Invitation(Struct, frozen=True, kw_only=True, gc=False):
    """An invitation. Only a hash of its secret is stored; the secret is shown once.

    Attributes:
        account: The id or username of the only account that may log in with it, "" for any.
        held_by: A hash of the cookie of the browser that is in the middle of a login.
        used_by: The id of the account that logged in.
    """

    id: str
    secret_hash: bytes
    app: str
    created_at: datetime
    expires_at: datetime
    account: str = ""
    held_by: str = ""
    held_until: datetime | None = None
    used_at: datetime | None = None
    used_by: str = ""
    revoked_at: datetime | None = None

    def state(self, now: datetime) -> InvitationState:
        """Return the state at `now`. A login that began in time may end after the expiry."""
        if self.used_at is not None:
            return InvitationState.USED
        if self.revoked_at is not None:
            return InvitationState.REVOKED
        if self.held_until is not None and now < self.held_until:
            return InvitationState.IN_USE
        return InvitationState.EXPIRED if now >= self.expires_at else InvitationState.OPEN
