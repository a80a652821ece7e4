"""`botkit accounts`: look, check, rename, revoke, remove, against a simulated X on a socket."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from botkit.model.tokens import CredentialKind, LoginState

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Desk

OVER = timedelta(0)
DUE = timedelta(minutes=10)
TOKEN = "POST /2/oauth2/token"
ME = "GET /2/users/me"


# ---- list, show --------------------------------------------------------------------------------


def test_list_and_show_say_how_the_logins_are_without_asking_x(desk: Desk) -> None:
    desk.log_in()
    (listed,) = desk.json("list")
    assert (listed["username"], listed["logins"][0]["status"]) == ("greeter", "OK")
    assert desk.do("list") == 0
    assert desk.out.startswith("@greeter  id ")
    assert desk.do("show", "greeter") == 0
    assert " min left" in desk.out
    assert desk.refreshes == []


@pytest.mark.parametrize(
    ("status", "code", "step"),
    [
        (LoginState.UNCERTAIN, 1, "botkit setup --account greeter"),
        (LoginState.DEAD, 2, "botkit setup --account greeter"),
        (LoginState.CONFIG, 2, "settings"),
    ],
)
def test_show_tells_the_state_by_its_exit_code_and_names_the_next_step(
    desk: Desk, status: LoginState, code: int, step: str
) -> None:
    desk.log_in(status=status, reason="because")
    assert desk.do("show") == code
    assert "because" in desk.out
    assert step in desk.out


# ---- check -------------------------------------------------------------------------------------


def test_check_asks_whose_it_is_and_spends_nothing_that_is_not_due(desk: Desk) -> None:
    desk.log_in()
    (found,) = desk.json("check", "greeter")
    (login,) = found["logins"]
    assert (login["status"], login["owner"]["username"]) == ("OK", "greeter")
    assert (found["exit_code"], login["generation"], login["next"]) == (0, 1, "")
    assert desk.refreshes == []
    assert desk.do("check") == 0
    assert "X says it is @greeter's" in desk.out


def test_a_fresh_token_that_x_refuses_is_uncertain_and_to_be_asked_again(desk: Desk) -> None:
    desk.log_in()
    desk.faults.answer("GET /2/users/me", status=401, body={"status": 401}, times=None)
    assert desk.do("check") == 1
    assert "X has had hours in which good tokens were refused" in desk.out
    assert "botkit accounts check greeter" in desk.out
    desk.faults.clear()
    assert desk.do("check") == 0


@pytest.mark.parametrize("left", [OVER, DUE])
def test_check_refreshes_first_when_that_is_due(desk: Desk, left: timedelta) -> None:
    desk.log_in(left=left)
    (found,) = desk.json("check")
    assert found["logins"][0]["generation"] == 2
    assert found["logins"][0]["access_token_left_s"] > 7000
    assert desk.refreshes == ["taken"]
    assert desk.do("check") == 0
    assert desk.refreshes == ["taken"]


def test_check_renews_an_access_token_that_x_does_not_take_any_more(desk: Desk) -> None:
    grant = desk.log_in()
    grant.access.clear()
    assert desk.do("check") == 0
    assert desk.refreshes == ["taken"]


def test_check_says_dead_when_the_user_took_the_access_back(desk: Desk) -> None:
    desk.log_in()
    desk.world.revoke(desk.user.id)
    assert desk.do("check") == 2
    assert "botkit setup --account greeter" in desk.out
    assert desk.state is LoginState.DEAD
    assert desk.do("check") == 2


def test_check_says_config_when_the_client_secret_is_wrong_and_leaves_the_login_alone(
    desk: Desk,
) -> None:
    desk.log_in(left=OVER)
    right = desk.environ["BOTKIT_APP__CLIENT_SECRET"]
    desk.move_to(desk.folder, BOTKIT_APP__CLIENT_SECRET="wrong-one")
    assert desk.do("check") == 2
    assert "keys in the settings" in desk.out
    desk.move_to(desk.folder, BOTKIT_APP__CLIENT_SECRET=right)
    assert desk.do("check") == 0
    assert desk.state is LoginState.OK


def test_check_says_uncertain_when_the_answer_to_a_refresh_is_lost_and_works_on(
    desk: Desk,
) -> None:
    desk.log_in(left=DUE)
    desk.faults.lose_answer(TOKEN)
    assert desk.do("check") == 1
    assert "no answer to the refresh" in desk.out
    assert "X says it is @greeter's" in desk.out
    assert desk.refreshes == ["taken"]
    assert desk.do("check") == 1
    assert desk.refreshes == ["taken"]


def test_check_that_cannot_reach_x_says_so_by_another_code(desk: Desk) -> None:
    desk.log_in()
    desk.faults.reset(ME, times=None)
    assert desk.do("check") == 4
    assert "X did not say whose it is" in desk.out
    assert desk.state is LoginState.OK


def test_check_stops_a_login_whose_token_is_of_another_user(desk: Desk) -> None:
    desk.log_in()
    body = {"data": {"id": "666", "username": "mallory", "name": "M"}}
    desk.faults.answer(ME, status=200, body=body)
    assert desk.do("check") == 2
    assert "@mallory" in desk.out
    assert desk.state is LoginState.DEAD


def test_check_learns_that_the_user_has_another_name_now(desk: Desk) -> None:
    desk.log_in(username="before")
    assert desk.do("check", "before") == 0
    (account,) = desk.json("list")
    assert account["username"] == "greeter"


def test_check_asks_with_an_oauth_1a_token_too(desk: Desk) -> None:
    desk.log_in()
    desk.log_in_1a("made-up", "and-its-half")
    assert desk.do("check") == 2
    (found,) = desk.json("check")
    states = {login["kind"]: login["status"] for login in found["logins"]}
    assert states == {"OAuth2UserToken": "OK", "UserToken": "DEAD"}


def test_check_without_an_account_names_the_way_on(desk: Desk) -> None:
    desk.log_in()
    assert desk.do("remove", "greeter", "--force") == 0
    assert desk.do("check") == 2
    assert "botkit setup" in desk.err


# ---- rename ------------------------------------------------------------------------------------


def test_a_renamed_account_answers_to_both_names(desk: Desk) -> None:
    desk.log_in()
    assert desk.do("rename", "greeter", "shop.front") == 0
    assert desk.do("show", "Shop.Front") == 0
    assert "@greeter (shop.front)" in desk.out
    assert desk.do("check", "greeter") == 0
    assert desk.json("show", "shop.front")["alias"] == "shop.front"
    assert desk.do("rename", "shop.front", "greeter") == 0
    assert desk.json("show", "greeter")["alias"] is None
    assert desk.do("show", "shop.front") == 2


@pytest.mark.parametrize("name", ["", "12345", "two words", "a/b", "x" * 65, "@"])
def test_a_name_that_could_be_taken_for_something_else_is_refused(desk: Desk, name: str) -> None:
    desk.log_in()
    assert desk.do("rename", "greeter", name) == 2


def test_a_name_that_another_account_has_is_refused(desk: Desk) -> None:
    desk.log_in()
    desk.user = desk.world.add_user("other")
    desk.log_in(username="other")
    assert desk.do("rename", "other", "Greeter") == 2
    assert "@greeter, is called 'Greeter' already" in desk.err


# ---- revoke, remove ----------------------------------------------------------------------------


def test_revoke_ends_the_login_at_x_and_then_here(desk: Desk) -> None:
    grant = desk.log_in()
    assert desk.do("revoke", "greeter") == 0
    assert grant.revoked
    assert desk.row() is None
    assert desk.do("revoke", "greeter") == 2


def test_a_revocation_that_x_does_not_confirm_removes_nothing(desk: Desk) -> None:
    grant = desk.log_in()
    desk.faults.unavailable("POST /2/oauth2/revoke", times=2)
    assert desk.do("revoke", "greeter") == 4
    assert not grant.revoked
    assert desk.state is LoginState.OK
    assert desk.do("revoke", "greeter", "--force") == 1
    assert "X did NOT confirm" in desk.err
    assert desk.row() is None


def test_remove_refuses_to_forget_a_login_that_lives_at_x(desk: Desk) -> None:
    grant = desk.log_in()
    assert desk.do("remove", "greeter") == 2
    assert "botkit accounts revoke greeter" in desk.err
    assert desk.do("remove", "greeter", "--force") == 0
    assert desk.row() is None
    assert not grant.revoked
    assert desk.json("list") == []


def test_a_login_through_an_app_that_the_account_has_left_is_ended_by_its_own_command(
    desk: Desk,
) -> None:
    desk.move_to(
        desk.folder,
        BOTKIT_APPS__OLD__CLIENT_ID=desk.app.client_id,
        BOTKIT_APPS__OLD__CLIENT_SECRET=desk.app.client_secret,
    )
    old = desk.log_in(app="old")
    desk.log_in(status=LoginState.DEAD)
    desk.log_in_1a("t", "s")
    assert desk.do("remove", "greeter") == 2
    assert "botkit accounts revoke greeter --app old" in desk.err
    assert "botkit accounts invalidate greeter --oauth1; " in desk.err
    assert desk.do("revoke", "greeter", "--app", "old") == 0
    assert old.revoked
    assert desk.do("revoke", "greeter", "--app", "old") == 2
    assert "through app 'old'" in desk.err


def test_remove_forgets_a_dead_login_at_once(desk: Desk) -> None:
    desk.log_in(status=LoginState.DEAD)
    desk.log_in_1a("t", "s")
    assert desk.do("remove", "greeter") == 2
    assert desk.row(CredentialKind.OAUTH1) is not None
    assert desk.do("remove", "greeter", "--force") == 0
    assert desk.row(CredentialKind.OAUTH1) is None
