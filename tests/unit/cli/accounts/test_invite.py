"""`botkit accounts invite`: links are made, listed and taken back; the link is said once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Desk

PUBLIC = "https://bot.example"


@pytest.fixture
def inviting(desk: Desk) -> Desk:
    desk.move_to(desk.folder, BOTKIT_CONNECT__ON="true", BOTKIT_CONNECT__PUBLIC_URL=PUBLIC)
    return desk


def test_the_link_stands_alone_on_stdout_and_is_kept_nowhere(inviting: Desk) -> None:
    assert inviting.do("invite") == 0
    link = inviting.out.strip()
    assert link.startswith(f"{PUBLIC}/connect?invitation=")
    assert "any account, app default, for one login" in inviting.err
    assert f"{PUBLIC}/connect/callback" in inviting.err
    token = link.rpartition("=")[2]
    assert token.encode() not in (inviting.folder / "botkit.db").read_bytes()
    assert inviting.do("invite", "--list") == 0
    assert "  open  any account  app default  until " in inviting.out
    assert token not in inviting.out


def test_it_says_for_whom_and_for_how_long(inviting: Desk) -> None:
    inviting.log_in()
    made = inviting.json("invite", "--account", "@greeter", "--expires", "30m")
    assert (made["account"], made["app"], made["state"]) == ("greeter", "default", "open")
    assert made["callback_url"] == f"{PUBLIC}/connect/callback"
    assert "not known here yet" not in inviting.err
    inviting.do("invite", "--account", "helper")
    assert "@helper is not known here yet" in inviting.err
    listed = inviting.json("invite", "--list")
    assert [one["account"] for one in listed] == ["helper", "greeter"]
    assert "link" not in listed[0]
    assert listed[1]["expires_at"] == made["expires_at"]


@pytest.mark.parametrize("span", ["", "24", "h", "0m", "31d", "-1h", "1w", "99999h", "\u0661h"])
def test_a_span_that_is_none_is_refused(inviting: Desk, span: str) -> None:
    assert inviting.do("invite", "--expires", span) == 2
    assert "24h" in inviting.err or "30d" in inviting.err


def test_an_invitation_is_taken_back_once(inviting: Desk) -> None:
    made = inviting.json("invite")
    assert inviting.do("invite", "--revoke", made["id"]) == 0
    assert f"invitation {made['id']} is revoked" in inviting.err
    assert inviting.do("invite", "--revoke", made["id"]) == 1
    assert "was used or revoked before" in inviting.err
    assert inviting.do("invite", "--revoke", "000000000000") == 1
    assert "there is no invitation" in inviting.err
    assert inviting.json("invite", "--revoke", made["id"]) == {"id": made["id"], "revoked": False}
    (listed,) = inviting.json("invite", "--list")
    assert listed["state"] == "revoked"


def test_nothing_is_listed_before_there_is_one(inviting: Desk) -> None:
    inviting.log_in()
    assert inviting.do("invite", "--list") == 0
    assert inviting.out == "No invitations. Make one: botkit accounts invite\n"


def test_all_that_is_wrong_is_said_at_once(desk: Desk) -> None:
    desk.move_to(desk.folder, BOTKIT_BOT__ACCOUNT="greeter")
    assert desk.do("invite", "--account", "helper", "--app", "third") == 2
    for words in ("[connect] is off", "acts for no other account", "no app 'third'"):
        assert words in desk.err
    assert not (desk.folder / "botkit.db").exists()


def test_the_account_of_the_settings_is_who_is_invited(inviting: Desk) -> None:
    inviting.move_to(inviting.folder, BOTKIT_BOT__ACCOUNT="greeter")
    assert inviting.json("invite")["account"] == "greeter"


def test_two_things_at_once_are_refused(inviting: Desk) -> None:
    assert inviting.do("invite", "--list", "--revoke", "x") == 2


def test_without_a_terminal_no_key_is_made_unasked(inviting: Desk) -> None:
    inviting.move_to(inviting.folder, BOTKIT_STORE__KEY=None)
    assert inviting.do("invite") == 2
    assert "--make-key" in inviting.err
    assert inviting.do("invite", "--make-key") == 0
    assert "vault key made: " in inviting.err
