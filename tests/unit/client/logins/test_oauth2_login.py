"""A login works as long as X takes its access token, whatever became of its last refresh."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from botkit.client.logins.oauth2_login import LoginStatus, OAuth2Login, life_s
from botkit.model.records import CredentialRow
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


def test_an_access_token_lives_as_long_as_x_granted_by_whatever_clock() -> None:
    at = datetime(2026, 11, 30, tzinfo=UTC)
    row = CredentialRow(
        account_id="1",
        app="default",
        kind=CredentialKind.OAUTH2,
        gen=1,
        sealed=b"",
        since=at,
        granted_at=at,
    )
    assert life_s(row, at) == 0.0
    granted = replace(row, access_until=at + timedelta(hours=2))
    assert life_s(granted, at + timedelta(hours=1)) == 3600.0
    assert life_s(granted, at - timedelta(hours=1)) == 7200.0
    assert life_s(granted, at + timedelta(hours=3)) == 0.0


def test_refreshes_after_a_401_are_a_minute_apart_and_twice_as_long_while_they_go_on() -> None:
    row = CredentialRow(
        account_id="1",
        app="default",
        kind=CredentialKind.OAUTH2,
        gen=1,
        sealed=b"",
        since=datetime(2026, 11, 30, tzinfo=UTC),
        granted_at=datetime(2026, 11, 30, tzinfo=UTC),
    )
    login = OAuth2Login(row)
    login.last_refresh_s = 1000.0
    assert not login.may_follow_401(1059.9)
    assert login.may_follow_401(1060.0)
    login.last_refresh_s = 1060.0
    assert not login.may_follow_401(1179.9)
    assert login.may_follow_401(1180.0)
    login.last_refresh_s = 1180.0
    assert login.may_follow_401(1180.0 + 3601.0)  # long calm: the next gap is a minute again
    login.last_refresh_s = 5000.0
    assert login.may_follow_401(5060.0)
