"""What an invitation is at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from botkit.model.invitations import Invitation, InvitationState

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
PLAIN = Invitation(id="01", secret_hash=b"", app="default", created_at=NOW, expires_at=LATER)


@pytest.mark.parametrize(
    ("fields", "at", "state"),
    [
        ({}, NOW, InvitationState.OPEN),
        ({}, LATER, InvitationState.EXPIRED),
        ({"held_until": LATER}, NOW, InvitationState.IN_USE),
        ({"held_until": NOW}, NOW, InvitationState.OPEN),
        ({"held_until": LATER + timedelta(1)}, LATER, InvitationState.IN_USE),
        ({"revoked_at": NOW, "held_until": LATER}, NOW, InvitationState.REVOKED),
        ({"used_at": NOW, "revoked_at": NOW}, LATER, InvitationState.USED),
    ],
)
def test_its_state_follows_from_its_times(
    fields: dict[str, Any], at: datetime, state: InvitationState
) -> None:
    assert replace(PLAIN, **fields).state(at) is state
