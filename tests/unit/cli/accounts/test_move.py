"""A login that moves to another machine, and a vault key that is rotated."""

from __future__ import annotations

import base64
import os
import signal
import sqlite3
import stat
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from botkit.model.tokens import CredentialKind, LoginState

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Desk

OVER = timedelta(0)
NEW_KEY = base64.urlsafe_b64encode(bytes(range(1, 33))).decode()


@pytest.fixture
def words(tmp_path: Path) -> str:
    """A file with the passphrase."""
    file = tmp_path / "words"
    file.write_text("correct horse battery\n")
    return str(file)


@pytest.fixture
def parcel(tmp_path: Path) -> Path:
    return tmp_path / "greeter.login"


def _export(desk: Desk, parcel: Path, words: str, *more: str) -> int:
    return desk.do("export", "greeter", "--file", str(parcel), "--passphrase-file", words, *more)


def _import(desk: Desk, parcel: Path, words: str, *more: str) -> int:
    return desk.do("import", "--file", str(parcel), "--passphrase-file", words, *more)


# ---- export, import ----------------------------------------------------------------------------


@pytest.mark.parametrize(("left", "refreshes"), [(timedelta(hours=2), []), (OVER, ["taken"])])
def test_a_login_moves_and_only_one_copy_lives(
    desk: Desk, parcel: Path, words: str, left: timedelta, refreshes: list[str]
) -> None:
    desk.log_in(left=left)
    laptop = desk.folder
    assert _export(desk, parcel, words) == 0
    assert stat.S_IMODE(parcel.stat().st_mode) == 0o600
    text = parcel.read_text()
    assert not [secret for secret in desk.secrets() if secret in text]
    # Here it refreshes nothing any more, though the access token may be over.
    assert desk.do("check", "greeter") == 2
    assert "handed over" in desk.out
    assert "botkit accounts import" in desk.out
    desk.move_to(laptop.with_name("server"), BOTKIT_STORE__KEY=NEW_KEY)
    assert _import(desk, parcel, words) == 0
    assert "alive, @greeter's, and this machine's now" in desk.err
    assert not parcel.exists()
    assert desk.do("check", "greeter") == 0
    desk.move_to(laptop)
    assert desk.refreshes == refreshes


def test_what_was_handed_over_does_not_leave_twice_unless_the_file_was_lost(
    desk: Desk, parcel: Path, words: str
) -> None:
    desk.log_in()
    assert _export(desk, parcel, words) == 0
    parcel.unlink()
    assert _export(desk, parcel, words) == 2
    assert "--again" in desk.err
    assert not parcel.exists()
    assert _export(desk, parcel, words, "--again") == 0
    assert _import(desk, parcel, words) == 0
    assert desk.state is LoginState.OK


def test_a_login_that_cannot_be_written_stays_as_it_was(
    desk: Desk, tmp_path: Path, words: str
) -> None:
    desk.log_in()
    assert _export(desk, tmp_path / "nowhere" / "file", words) == 2
    assert desk.state is LoginState.OK


def test_a_file_that_is_there_is_not_touched(desk: Desk, parcel: Path, words: str) -> None:
    desk.log_in()
    parcel.write_text("mine")
    assert _export(desk, parcel, words) == 2
    assert parcel.read_text() == "mine"
    assert desk.state is LoginState.OK


@pytest.mark.parametrize("status", [LoginState.DEAD, LoginState.CONFIG])
def test_a_login_that_is_not_well_does_not_travel(
    desk: Desk, parcel: Path, words: str, status: LoginState
) -> None:
    desk.log_in(status=status, reason="why")
    assert _export(desk, parcel, words) == 2
    assert not parcel.exists()


def test_a_short_passphrase_is_refused_before_anything_is_marked(
    desk: Desk, parcel: Path, tmp_path: Path
) -> None:
    desk.log_in()
    (tmp_path / "short").write_text("short\n")
    assert _export(desk, parcel, str(tmp_path / "short")) == 2
    assert desk.state is LoginState.OK


def test_without_a_terminal_the_passphrase_must_come_from_a_file(desk: Desk) -> None:
    desk.log_in()
    assert desk.do("export", "greeter") == 2
    assert "--passphrase-file" in desk.err
    assert desk.state is LoginState.OK


@pytest.mark.parametrize("wrong", ["words", "flipped", "cut", "title", "not a parcel"])
def test_what_does_not_open_changes_nothing(
    desk: Desk, parcel: Path, words: str, tmp_path: Path, wrong: str
) -> None:
    desk.log_in()
    assert _export(desk, parcel, words) == 0
    text = parcel.read_text()
    middle = len(text) // 2
    if wrong == "words":
        (tmp_path / "words").write_text("another passphrase\n")
    else:
        parcel.write_text(
            {
                "flipped": text[:middle]
                + ("A" if text[middle] != "A" else "B")
                + text[middle + 1 :],
                "cut": text[:middle],
                "title": text.replace("botkit-login-2", "botkit-login-9"),
                "not a parcel": "",
            }[wrong]
        )
    desk.move_to(desk.folder.with_name("server"))
    assert _import(desk, parcel, words) == 2
    assert not (desk.folder / "botkit.db").exists()


def test_a_login_of_another_account_than_the_named_one_is_refused(
    desk: Desk, parcel: Path, words: str
) -> None:
    desk.log_in()
    laptop = desk.folder
    assert _export(desk, parcel, words) == 0
    desk.move_to(laptop.with_name("server"))
    assert _import(desk, parcel, words, "--account", "shop") == 2
    assert "The file holds the login of @greeter, not of @shop" in desk.err
    assert parcel.exists()
    assert not (desk.folder / "botkit.db").exists()
    assert _import(desk, parcel, words, "--account", "@Greeter") == 0


def test_a_login_of_another_app_is_refused(desk: Desk, parcel: Path, words: str) -> None:
    desk.log_in()
    assert _export(desk, parcel, words) == 0
    desk.move_to(desk.folder.with_name("server"), BOTKIT_APP__CLIENT_ID="of-another-app")
    assert _import(desk, parcel, words) == 2
    assert "another app" in desk.err
    assert desk.row() is None


def test_a_login_that_died_on_the_way_is_said_and_the_file_stays(
    desk: Desk, parcel: Path, words: str
) -> None:
    desk.log_in(left=OVER)
    assert _export(desk, parcel, words) == 0
    desk.world.revoke(desk.user.id)
    desk.move_to(desk.folder.with_name("server"))
    assert _import(desk, parcel, words) == 2
    assert "botkit setup --account greeter" in desk.err
    assert parcel.exists()


def test_x_that_cannot_be_reached_leaves_it_kept_and_unproven(
    desk: Desk, parcel: Path, words: str
) -> None:
    desk.log_in()
    assert _export(desk, parcel, words) == 0
    desk.move_to(desk.folder.with_name("server"))
    desk.faults.reset("GET /2/users/me", times=None)
    assert _import(desk, parcel, words) == 4
    assert "botkit accounts check greeter" in desk.err
    desk.faults.clear()
    assert desk.do("check") == 0


def test_an_older_copy_never_replaces_a_newer_login(desk: Desk, parcel: Path, words: str) -> None:
    desk.log_in(left=timedelta(hours=1))
    assert _export(desk, parcel, words) == 0
    desk.log_in()  # authorized anew meanwhile
    assert _import(desk, parcel, words) == 5
    assert "newer" in desk.err
    row = desk.row()
    assert row is not None
    assert (row.gen, row.status) == (2, LoginState.OK)


@pytest.mark.parametrize("status", ["CONFIG", "DEAD"])
def test_an_older_copy_never_replaces_one_that_lives_though_it_is_not_in_use_here(
    desk: Desk, parcel: Path, words: str, status: str
) -> None:
    desk.log_in(left=timedelta(hours=1))
    assert _export(desk, parcel, words) == 0
    # The one that lives waits for settings, or lives on another machine.
    reason = "handed over on a Monday" if status == "DEAD" else "why"
    desk.log_in(status=LoginState(status), reason=reason)
    assert _import(desk, parcel, words) == 5
    row = desk.row()
    assert row is not None
    assert (row.gen, row.status.value) == (2, status)


def test_a_copy_that_came_before_is_not_sent_again_after_its_answer_was_lost(
    desk: Desk, parcel: Path, words: str
) -> None:
    desk.log_in(left=timedelta(minutes=15))
    assert _export(desk, parcel, words) == 0
    desk.move_to(desk.folder.with_name("server"))
    desk.faults.lose_answer("POST /2/oauth2/token")
    assert _import(desk, parcel, words) == 1
    assert parcel.exists()
    assert _import(desk, parcel, words) == 1
    assert desk.state is LoginState.UNCERTAIN
    assert desk.refreshes == ["taken"]


def test_a_copy_replaces_one_that_does_not_open_any_more(
    desk: Desk, parcel: Path, words: str
) -> None:
    desk.log_in()
    assert _export(desk, parcel, words) == 0
    desk.move_to(desk.folder.with_name("server"))
    copy = parcel.read_text()
    assert _import(desk, parcel, words) == 0
    with sqlite3.connect(desk.folder / "botkit.db") as connection:
        connection.execute("UPDATE credential SET sealed = X'00'")
    connection.close()
    parcel.write_text(copy)
    assert _import(desk, parcel, words) == 0
    assert desk.do("check") == 0


def test_a_break_while_the_file_is_written_comes_too_late(
    desk: Desk, parcel: Path, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.log_in()
    real = os.fsync

    def interrupted(descriptor: int) -> None:
        real(descriptor)
        if parcel.exists():
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupted)
        assert _export(desk, parcel, words) == 0
    # The copy has left: the one here must not live on.
    assert parcel.exists()
    assert desk.state is LoginState.DEAD


def test_an_oauth_1a_token_and_the_alias_travel_along(
    desk: Desk, parcel: Path, words: str
) -> None:
    desk.log_in()
    desk.log_in_1a("t", "s")
    desk.do("rename", "greeter", "front")
    assert _export(desk, parcel, words) == 0
    desk.move_to(desk.folder.with_name("server"))
    assert _import(desk, parcel, words) == 2  # X does not know that made-up token
    assert desk.row(CredentialKind.OAUTH1) is not None
    assert desk.json("show", "front")["alias"] == "front"


# ---- rekey -------------------------------------------------------------------------------------


def _key_file(desk: Desk) -> Path:
    (file,) = (desk.folder / "config" / "botkit" / "keys").glob("*.key")
    return file


def test_rekey_seals_everything_with_a_new_key_and_drops_the_old_one(desk: Desk) -> None:
    desk.move_to(desk.folder, BOTKIT_STORE__KEY=None)
    desk.log_in()
    desk.log_in_1a("t", "s")
    before, row = _key_file(desk).read_text(), desk.row()
    assert row is not None
    assert desk.do("rekey") == 0
    assert "2 login(s)" in desk.err
    after = desk.row()
    assert after is not None
    assert (after.gen, after.sealed != row.sealed) == (row.gen, True)
    text = _key_file(desk).read_text()
    assert len(text.splitlines()) == 1
    assert text != before
    assert stat.S_IMODE(_key_file(desk).stat().st_mode) == 0o600
    assert desk.do("check", "greeter") == 2  # of the made-up 1.0a token; the other is fine
    assert desk.state is LoginState.OK
    _key_file(desk).write_text(before)
    assert desk.do("check", "greeter") == 5
    assert "not the key of the store" in desk.err


def test_a_rekey_that_was_cut_off_goes_on_with_the_same_key(desk: Desk) -> None:
    desk.move_to(desk.folder, BOTKIT_STORE__KEY=None)
    desk.log_in()
    old = _key_file(desk).read_text()
    _key_file(desk).write_text(f"{NEW_KEY}\n{old}")
    assert desk.do("check") == 0
    assert desk.do("rekey") == 0
    assert _key_file(desk).read_text() == f"{NEW_KEY}\n"
    assert desk.do("check") == 0


def test_two_rotations_at_a_time_do_not_drop_each_others_key(desk: Desk) -> None:
    desk.move_to(desk.folder, BOTKIT_STORE__KEY=None)
    desk.log_in()
    other = _key_file(desk).with_name(_key_file(desk).name + ".new")
    other.touch(0o600)
    assert desk.do("rekey") == 5
    assert str(other) in desk.err
    other.unlink()
    assert desk.do("rekey") == 0


def test_a_key_of_the_settings_is_rotated_by_giving_both(desk: Desk) -> None:
    desk.log_in()
    old = desk.environ["BOTKIT_STORE__KEY"]
    assert desk.do("rekey") == 2
    assert "BOTKIT_STORE__PREVIOUS_KEY" in desk.err
    desk.move_to(desk.folder, BOTKIT_STORE__KEY=NEW_KEY, BOTKIT_STORE__PREVIOUS_KEY=old)
    assert desk.do("rekey") == 0
    desk.move_to(desk.folder, BOTKIT_STORE__PREVIOUS_KEY=None)
    assert desk.do("check") == 0
