"""Two kinds of logins side by side: what the commands say of them, to a person and to a program."""

from __future__ import annotations

import socket
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from botkit.model.tokens import CredentialKind, LoginState

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Desk

OAUTH1 = CredentialKind.OAUTH1


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused token is asked about once more at once."""
    monkeypatch.setattr("botkit.client.upkeep.check._APART_S", 0.0)


def log_in_1a(desk: Desk, *, dead: bool = False) -> None:
    pair = desk.world.oauth1_tokens.issue(desk.app, desk.user.id)
    desk.log_in_1a(pair.token, pair.secret)
    if dead:
        desk.world.oauth1_tokens.end(pair)


def test_a_pair_that_stands_in_is_said_by_show_and_status(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.log_in(status=LoginState.DEAD, reason="revoked on X")
    log_in_1a(desk)
    shown = desk.json("show", "greeter")
    assert shown["fallback"].startswith("on: ")
    assert {login["kind"]: login["status"] for login in shown["logins"]} == {
        "OAuth2UserToken": "DEAD",
        "UserToken": "OK",
    }
    assert desk.do("show", "greeter") == 2
    assert "  fallback       on: " in desk.out
    assert "    authorized   " in desk.out
    assert desk.top("status") == 2
    assert "fallback @greeter: on: " in desk.out
    monkeypatch.setenv("BOTKIT_RUN__FALLBACK", "false")
    assert "fallback = false" in desk.json("show", "greeter")["fallback"]


def test_check_says_dead_for_a_pair_that_x_refuses_twice_while_it_takes_the_keys(
    desk: Desk,
) -> None:
    log_in_1a(desk, dead=True)
    (found,) = desk.json("check", "greeter")
    (login,) = found["logins"]
    assert (login["status"], found["exit_code"]) == ("DEAD", 2)
    assert login["next"] == "Authorize again: botkit setup --oauth1 --account greeter"
    row = desk.row(OAUTH1)
    assert row is not None
    assert (row.status, row.sealed != b"") == (LoginState.DEAD, True)


def test_a_dead_login_of_an_app_that_was_left_is_shown_and_does_not_count(desk: Desk) -> None:
    desk.log_in(status=LoginState.DEAD, reason="suspended")
    desk.log_in(app="second")
    assert desk.do("show") == 0
    assert "OAuth2UserToken (app default)  DEAD" in desk.out
    assert desk.do("list") == 0
    assert "(app default) DEAD, OAuth2UserToken OK" in desk.out
    assert desk.top("status") == 1  # because no bot runs
    assert "OAuth2UserToken OK; spent" in desk.out


def test_one_refusal_is_nothing_when_x_takes_the_pair_the_second_time(desk: Desk) -> None:
    log_in_1a(desk)
    desk.faults.answer("GET /2/users/me", status=401, body={"status": 401})
    assert desk.do("check", "greeter") == 0
    assert "UserToken  OK" in desk.out


def test_check_says_config_when_the_keys_are_wrong_and_uncertain_when_that_cannot_be_told(
    desk: Desk,
) -> None:
    log_in_1a(desk)
    desk.faults.answer("GET /2/users/me", status=401, body={"status": 401}, times=2)
    desk.faults.unavailable("POST /oauth/request_token", status=503)
    assert desk.do("check", "greeter") == 1
    assert "UserToken  UNCERTAIN" in desk.out
    assert "botkit accounts check greeter" in desk.out
    desk.move_to(desk.folder, BOTKIT_APP__API_SECRET="wrong")
    assert desk.do("check", "greeter") == 2
    assert "UserToken  CONFIG" in desk.out
    desk.move_to(desk.folder, BOTKIT_APP__API_SECRET=desk.app.api_secret)
    assert desk.do("check", "greeter") == 0


def test_in_the_folder_of_a_real_bot_nothing_is_sent_to_another_x(desk: Desk) -> None:
    desk.log_in(left=timedelta(0))
    log_in_1a(desk)
    logins = desk.row(), desk.row(OAUTH1)
    there = desk.environ["BOTKIT_X__API_URL"]
    with socket.create_server(("127.0.0.1", 0)) as other_x:
        elsewhere = f"http://127.0.0.1:{other_x.getsockname()[1]}"
        desk.move_to(desk.folder, BOTKIT_X__API_URL=elsewhere)
        assert desk.do("check", "greeter") == 2
        assert desk.out.count(f"it came from {there}, and the settings name {elsewhere}") == 2
        assert desk.out.count("Set x.api_url back, or give the other X a store of its own") == 2
        for command in (
            ("revoke", "greeter"),
            ("invalidate", "greeter", "--oauth1"),
            ("export", "greeter", "--passphrase-file", "p", "--file", "f"),
        ):
            (desk.folder / "p").write_text("correct horse battery")
            assert desk.do(*command) == 2
            assert "it came from" in desk.err
        other_x.settimeout(0)
        with pytest.raises(BlockingIOError):  # nobody has called
            other_x.accept()
    desk.move_to(desk.folder, BOTKIT_X__API_URL=there)
    assert (desk.row(), desk.row(OAUTH1)) == logins
    assert desk.do("check", "greeter") == 0
    assert desk.do("show", "greeter") == 0
    assert f"from         {there}" in desk.out


def test_a_login_of_another_client_id_is_said_to_be_one_and_not_tried(desk: Desk) -> None:
    desk.log_in(left=timedelta(0))
    desk.move_to(desk.folder, BOTKIT_APP__CLIENT_ID="another")
    assert desk.do("check", "greeter") == 2
    assert f"it belongs to the client id {desk.app.client_id}" in desk.out
    assert "botkit setup --account greeter" in desk.out
    assert desk.refreshes == []


def test_check_keeps_uncertain_what_x_refuses_for_the_time(desk: Desk) -> None:
    log_in_1a(desk)
    body = {"errors": [{"code": 135, "message": "Timestamp out of bounds."}]}
    desk.faults.answer("GET /2/users/me", status=401, body=body, times=None)
    assert desk.do("check", "greeter") == 1
    assert "refuses the time" in desk.out


def test_each_command_that_changes_something_tells_a_program_what_became_of_it(
    desk: Desk,
) -> None:
    desk.log_in()
    log_in_1a(desk)
    told = desk.json("rename", "greeter", "shop")
    assert (told["outcome"], told["alias"], told["username"]) == ("renamed", "shop", "greeter")
    told = desk.json("invalidate", "shop", "--oauth1")
    assert (told["outcome"], told["kind"]) == ("invalidated", "UserToken")
    told = desk.json("revoke", "shop")
    assert (told["outcome"], told["confirmed_by_x"]) == ("revoked", True)
    assert desk.json("remove", "shop")["outcome"] == "removed"


def test_a_move_tells_a_program_which_kinds_left_and_came(desk: Desk) -> None:
    desk.log_in()
    sealed, secret = desk.folder / "shop.login", desk.folder / "secret"
    secret.write_text("six words that nobody would guess\n")
    where = ("--file", str(sealed), "--passphrase-file", str(secret))
    told = desk.json("export", "greeter", *where)
    assert (told["outcome"], told["kinds"], told["file"]) == (
        "exported",
        ["OAuth2UserToken"],
        str(sealed),
    )
    told = desk.json("import", *where)
    assert (told["outcome"], told["kinds"], told["exit_code"]) == (
        "imported",
        ["OAuth2UserToken"],
        0,
    )


def test_an_export_to_standard_output_has_no_room_for_json(desk: Desk) -> None:
    desk.log_in()
    assert desk.do("export", "greeter", "--json") == 2
    assert "--json needs --file" in desk.err


def test_a_new_vault_key_is_told_to_a_program(desk: Desk) -> None:
    desk.move_to(desk.folder, BOTKIT_STORE__KEY=None)
    desk.log_in()
    assert desk.json("rekey") == {"outcome": "rekeyed"}


def test_a_bearer_that_is_ended_is_told_to_a_program(desk: Desk) -> None:
    desk.log_in()
    desk.move_to(desk.folder, BOTKIT_APP__BEARER_TOKEN=desk.app.bearer)
    told = desk.json("invalidate", "--app-only")
    assert told == {"app": "default", "outcome": "invalidated", "kind": "BearerToken"}
