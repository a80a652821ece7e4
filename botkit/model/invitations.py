"""Invitations to authorize an account through the running bot, as frozen values."""

from __future__ import annotations

import enum
from datetime import datetime

from msgspec import Struct

__all__ = ["Invitation", "InvitationState"]


class InvitationState(enum.StrEnum):
    """What can be done with an invitation."""

    OPEN = "open"
    IN_USE = "in use"
    """A browser is in the middle of a login with it."""
    USED = "used"
    EXPIRED = "expired"
    REVOKED = "revoked"


class Invitation(Struct, frozen=True, kw_only=True, gc=False):
    """One invitation. The store knows a hash of its secret, and nobody the secret again.

    Attributes:
        account: The id or username of who may log in with it, "" for anybody.
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
        """What it is at this time; who is in the middle of a login may finish it in time."""
        if self.used_at is not None:
            return InvitationState.USED
        if self.revoked_at is not None:
            return InvitationState.REVOKED
        if self.held_until is not None and now < self.held_until:
            return InvitationState.IN_USE
        return InvitationState.EXPIRED if now >= self.expires_at else InvitationState.OPEN
