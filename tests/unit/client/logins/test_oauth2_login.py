"""A login works as long as X takes its access token, whatever became of its last refresh."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from botkit.client.logins.oauth2_login import LoginStatus
from botkit.model.tokens import CredentialKind, LoginState


@pytest.mark.parametrize(
    ("status", "left_s", "works"),
    [
        (LoginState.OK, 3600.0, True),
        (LoginState.OK, 0.0, True),  # it is refreshed when it is asked for
        (LoginState.UNCERTAIN, 3600.0, True),
        (LoginState.UNCERTAIN, 0.0, False),
        (LoginState.CONFIG, 3600.0, True),
        (LoginState.CONFIG, 0.0, False),
        (LoginState.DEAD, 3600.0, False),
    ],
)
def test_a_login_works_while_its_access_token_does(
    status: LoginState, left_s: float, *, works: bool
) -> None:
    login = LoginStatus(
        account_id="1",
        username="greeter",
        app="default",
        status=status,
        since=datetime(2026, 11, 30, tzinfo=UTC),
        gen=1,
        left_s=left_s,
        last_success=None,
    )
    assert login.works is works


@pytest.mark.parametrize("status", [LoginState.UNCERTAIN, LoginState.CONFIG, LoginState.DEAD])
def test_an_oauth1_login_in_doubt_is_not_used(status: LoginState) -> None:
    login = LoginStatus(
        account_id="1",
        username="greeter",
        app="default",
        status=status,
        since=datetime(2026, 11, 30, tzinfo=UTC),
        gen=1,
        left_s=None,
        last_success=None,
        kind=CredentialKind.OAUTH1,
    )
    assert not login.works
