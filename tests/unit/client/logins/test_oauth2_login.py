"""A login works as long as X takes its access token, whatever became of its last refresh."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from botkit.client.logins.oauth2_login import (
    NOT_GRANTED,
    LoginStatus,
    OAuth2Login,
    is_asked_again,
    life_s,
)
from botkit.model.records import CredentialRow
from botkit.model.tokens import CredentialKind, LoginState, Secret
from botkit.sandbox.harness.clock import SeededEntropy, VirtualClock


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


# ---- the times of one login ------------------------------------------------------------------

AT = VirtualClock().now()


class Ends(SeededEntropy):
    """Chance that draws one end of each range."""

    def __init__(self, end: int) -> None:
        super().__init__()
        self._end = end

    def uniform(self, low: float, high: float) -> float:
        return (low, high)[self._end]


def granted(life: timedelta | None, **more: object) -> CredentialRow:
    """A row of a token that X granted now for that life."""
    row = CredentialRow(
        account_id="1",
        app="default",
        kind=CredentialKind.OAUTH2,
        gen=1,
        sealed=b"sealed",
        since=AT,
        granted_at=AT,
        access_until=None if life is None else AT + life,
    )
    return replace(row, **more)


def taken(
    life: timedelta | None, *, end: int = 0, left_s: float | None = None, **more: object
) -> OAuth2Login:
    """The login that a process makes of such a row at once, on a clock that stands at 0."""
    row = granted(life, **more)
    login = OAuth2Login(row)
    span_s = life.total_seconds() if life is not None and left_s is None else left_s or 0.0
    login.take(row, Secret("at"), left_s=span_s, clock=VirtualClock(), entropy=Ends(end))
    return login


@pytest.mark.parametrize(
    ("life", "whole_s"),
    [
        (timedelta(hours=2), 7200.0),
        (timedelta(hours=3), 7200.0),
        (timedelta(minutes=10), 600.0),
        (timedelta(0), 1.0),
        (None, 7200.0),
    ],
)
def test_a_refresh_is_due_at_a_sixth_to_a_third_of_the_life_that_x_granted(
    life: timedelta | None, whole_s: float
) -> None:
    assert taken(life, end=0).margin_s == pytest.approx(whole_s / 6)
    assert taken(life, end=1).margin_s == pytest.approx(whole_s / 3)
    assert taken(life).urgent_s == min(60.0, whole_s / 20)
    assert taken(life).late_s == min(120.0, whole_s / 10)


def test_the_life_of_a_token_counts_from_the_refresh_that_got_it() -> None:
    half = AT - timedelta(hours=1)
    login = taken(timedelta(hours=1), granted_at=half - timedelta(days=90), last_success=half)
    assert login.margin_s == pytest.approx(7200.0 / 6)
    assert life_s(login.row, AT) == 3600.0
    assert life_s(login.row, AT - timedelta(hours=2)) == 7200.0


def test_no_process_holds_the_sealed_tokens_or_gives_a_doubted_token_out_as_fresh() -> None:
    login = taken(timedelta(hours=2))
    assert login.row.sealed == b""
    assert login.fresh_until_s == pytest.approx(6000.0)
    login.keep(granted(timedelta(hours=2), status=LoginState.UNCERTAIN))
    assert (login.row.sealed, login.fresh_until_s) == (b"", 0.0)
    login.keep(granted(timedelta(hours=2)))
    assert login.fresh_until_s == pytest.approx(6000.0)


@pytest.mark.parametrize(
    ("age_s", "rest_s"), [(0.0, 60.0), (20.0, 40.0), (60.0, 0.0), (9000.0, 0.0), (-9000.0, 60.0)]
)
def test_after_a_refresh_by_whatever_process_and_clock_the_next_waits_a_minute(
    age_s: float, rest_s: float
) -> None:
    login = taken(timedelta(hours=2), last_success=AT - timedelta(seconds=age_s))
    assert login.next_try_s == rest_s
    assert taken(timedelta(hours=2)).next_try_s == 0.0


def test_each_state_has_its_time_for_the_next_try() -> None:
    two = timedelta(hours=2)
    assert taken(two).due_s() == pytest.approx(6000.0)
    doubted = taken(two, status=LoginState.UNCERTAIN, reason="lost")
    assert doubted.due_s() == 7200.0 - 120.0
    asked = taken(two, status=LoginState.UNCERTAIN, reason=f"{NOT_GRANTED}: why")
    assert asked.due_s() == 0.0
    assert is_asked_again(asked.row)
    assert not is_asked_again(doubted.row)
    assert not is_asked_again(granted(two, reason=NOT_GRANTED))
    for status in (LoginState.DEAD, LoginState.CONFIG):
        assert taken(two, status=status).due_s() is None
    login = taken(two)
    login.next_try_s = 6500.0
    assert login.due_s() == 6500.0


def test_a_token_that_x_refuses_early_is_over_soon_and_is_never_given_a_longer_life() -> None:
    clock = VirtualClock()
    login = taken(timedelta(hours=2))
    login.next_try_s = 900.0
    login.shorten(30.0, clock)
    assert (login.left_s(clock), login.next_try_s) == (30.0, 0.0)
    assert login.fresh_until_s == pytest.approx(30.0 - 1200.0)
    login.shorten(300.0, clock)
    assert login.left_s(clock) == 30.0


@pytest.mark.parametrize(
    ("status", "left_s", "next_s", "acts"),
    [
        (LoginState.OK, 1.0, 900.0, True),
        (LoginState.OK, 0.0, 0.0, True),
        (LoginState.OK, 0.0, 0.1, False),
        (LoginState.UNCERTAIN, 0.0, 0.0, True),
        (LoginState.CONFIG, 1.0, 900.0, True),
        (LoginState.CONFIG, 0.0, 0.0, False),
        (LoginState.DEAD, 1.0, 0.0, False),
    ],
)
def test_a_login_can_act_while_its_token_lives_or_may_be_renewed_now(
    status: LoginState, left_s: float, next_s: float, *, acts: bool
) -> None:
    clock = VirtualClock()
    login = taken(timedelta(hours=2), left_s=left_s, status=status)
    login.next_try_s = next_s
    assert login.can_act(clock) is acts
    login.is_gone = True
    assert not login.can_act(clock)


def test_refreshes_after_a_401_are_never_further_apart_than_a_quarter_of_an_hour() -> None:
    login = OAuth2Login(granted(timedelta(hours=2)))
    now_s, gaps_s = 0.0, []
    for _ in range(6):
        now_s += 3600.0
        login.last_refresh_s = now_s - 3600.0
        assert login.may_follow_401(now_s)
        gaps_s.append(login.gap_s)
    assert gaps_s == [120.0, 240.0, 480.0, 900.0, 900.0, 900.0]
