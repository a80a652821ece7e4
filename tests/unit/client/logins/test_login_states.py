"""What a person has to do about each state of a login."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from botkit.client.logins.login_rows import OTHER_CLIENT, OTHER_X
from botkit.client.logins.login_states import next_step, setup_command, tell_state
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
        (
            LoginState.CONFIG,
            "wrong secret",
            OAUTH1,
            "correct api_key and api_secret of app 'default', then restart",
        ),
        (
            LoginState.CONFIG,
            f"{OTHER_X} https://x.test",
            OAUTH2,
            "set x.api_url back, or give the other X a store of its own (store.url)",
        ),
        (
            LoginState.CONFIG,
            f"{OTHER_CLIENT} the client id other",
            OAUTH2,
            f"set it back and restart, or authorize it by the app of now: {SETUP}",
        ),
    ],
)
def test_each_state_that_a_person_can_cure_names_the_command(
    status: LoginState, reason: str, kind: CredentialKind, step: str
) -> None:
    assert next_step(login(kind, status, reason)) == step


def login(kind: CredentialKind, status: LoginState, reason: str = "") -> CredentialRow:
    return CredentialRow(
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


@pytest.mark.parametrize(
    ("kind", "app", "username", "command"),
    [
        (OAUTH2, "default", "greeter", "botkit setup --account greeter"),
        (OAUTH2, "second", "greeter", "botkit setup --app second --account greeter"),
        (OAUTH1, "second", "", "botkit setup --oauth1 --app second --account 1"),
        (CredentialKind.APP_ONLY, "default", "", "botkit setup --app-only"),
        (CredentialKind.APP_ONLY, "second", "", "botkit setup --app-only --app second"),
    ],
)
def test_the_command_that_authorizes_again_names_the_way_the_app_and_the_account(
    kind: CredentialKind, app: str, username: str, command: str
) -> None:
    row = replace(login(kind, LoginState.DEAD), app=app, username=username)
    assert setup_command(row) == command


def test_a_login_without_a_username_is_checked_by_its_id() -> None:
    for kind, reason in ((OAUTH2, NOT_GRANTED), (OAUTH1, "refused once")):
        row = replace(login(kind, LoginState.UNCERTAIN, reason), username="")
        assert next_step(row) == "botkit accounts check 1"


@pytest.mark.parametrize(
    ("before", "now", "level"),
    [
        (None, (LoginState.OK, ""), ""),
        (None, (LoginState.DEAD, "x"), "error"),
        ((LoginState.OK, ""), (LoginState.OK, ""), ""),
        ((LoginState.DEAD, "x"), (LoginState.OK, ""), "info"),
        ((LoginState.OK, ""), (LoginState.UNCERTAIN, "x"), "warning"),
        ((LoginState.UNCERTAIN, "x"), (LoginState.UNCERTAIN, "y"), "warning"),
        ((LoginState.OK, ""), (LoginState.CONFIG, "x"), "error"),
    ],
)
def test_a_change_is_one_line_of_its_weight_and_what_is_as_before_is_none(
    before: tuple[LoginState, str] | None, now: tuple[LoginState, str], level: str
) -> None:
    with capture_logs() as lines:
        tell_state(login(OAUTH2, *now), None if before is None else login(OAUTH2, *before))
    assert [line["log_level"] for line in lines] == ([level] if level else [])
    if level:
        assert (lines[0]["event"], lines[0]["username"]) == ("login.state_changed", "greeter")
        assert lines[0]["next_step"] == next_step(login(OAUTH2, *now))
