"""What a person has to do about each state of a login."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from botkit.client.logins.login_states import next_step
from botkit.client.logins.oauth2_login import HANDED_OVER, NOT_GRANTED
from botkit.model.records import CredentialRow
from botkit.model.tokens import CredentialKind, LoginState

AT = datetime(2026, 11, 30, tzinfo=UTC)
OAUTH1, OAUTH2 = CredentialKind.OAUTH1, CredentialKind.OAUTH2
SETUP = "botkit setup --account greeter"


@pytest.mark.parametrize(
    ("status", "reason", "kind", "step"),
    [
        (LoginState.OK, "", OAUTH2, ""),
        (LoginState.UNCERTAIN, NOT_GRANTED, OAUTH2, "botkit accounts check greeter"),
        (
            LoginState.UNCERTAIN,
            "the answer was lost",
            OAUTH2,
            f"{SETUP} (the bot goes on with the old access token until then)",
        ),
        (LoginState.UNCERTAIN, "refused once", OAUTH1, "botkit accounts check greeter"),
        (LoginState.DEAD, "the user took it back", OAUTH2, SETUP),
        (LoginState.DEAD, "refused", OAUTH1, "botkit setup --oauth1 --account greeter"),
        (LoginState.DEAD, f"{HANDED_OVER} on 2026-11-30", OAUTH2, ""),
        (
            LoginState.CONFIG,
            "wrong secret",
            OAUTH2,
            "correct client_id and client_secret of app 'default', then restart",
        ),
    ],
)
def test_each_state_that_a_person_can_cure_names_the_command(
    status: LoginState, reason: str, kind: CredentialKind, step: str
) -> None:
    row = CredentialRow(
        account_id="1",
        app="default",
        kind=kind,
        gen=1,
        sealed=b"",
        username="greeter",
        status=status,
        reason=reason,
        since=AT,
        granted_at=AT,
    )
    assert next_step(row) == step
