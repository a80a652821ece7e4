"""A token of X's console is taken over when X says whose it is, and by no way that others read."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING

import pytest

from botkit.model.tokens import CredentialKind

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.conftest import Desk

PAIR = CredentialKind.OAUTH1


class Terminal(io.StringIO):
    """Somebody sits there."""

    def isatty(self) -> bool:
        return True


def given(desk: Desk) -> tuple[str, str]:
    pair = desk.world.oauth1_tokens.issue(desk.app, desk.user.id)
    return pair.token, pair.secret


def test_two_lines_on_standard_input_are_proven_and_kept(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(given(desk)) + "\n"))
    assert desk.do("import", "--oauth1") == 0
    assert "@greeter" in desk.err
    row = desk.row(PAIR)
    assert row is not None
    assert row.level == "read-write"


def test_a_file_of_json_says_the_same_and_a_program_reads_what_came_of_it(
    desk: Desk, tmp_path: Path
) -> None:
    token, secret = given(desk)
    file = tmp_path / "pair.json"
    file.write_text(json.dumps({"oauth_token": token, "oauth_token_secret": secret}))
    told = desk.json("import", "--oauth1", "--file", str(file))
    assert (told["username"], told["outcome"], told["kinds"]) == (
        "greeter",
        "imported",
        ["UserToken"],
    )


def test_on_a_terminal_both_are_asked_for_and_not_shown(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, secret = given(desk)
    answers = {"Access token: ": token, "Access token secret: ": secret}
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", answers.pop)
    assert desk.do("import", "--oauth1") == 0
    assert answers == {}
    assert token not in desk.out + desk.err
    assert secret not in desk.out + desk.err


def test_a_token_that_x_does_not_take_is_not_kept(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, _ = given(desk)
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{token}\nanother-half\n"))
    assert desk.do("import", "--oauth1") == 2
    assert "X does not take this access token and secret" in desk.err
    assert desk.row(PAIR) is None


@pytest.mark.parametrize(
    ("content", "words"),
    [("only-one-line\n", "two lines"), ("x" * 70_000, "larger than 64 KiB")],
)
def test_what_is_no_token_is_said_before_x_is_asked(
    desk: Desk, tmp_path: Path, content: str, words: str
) -> None:
    file = tmp_path / "pair"
    file.write_text(content)
    assert desk.do("import", "--oauth1", "--file", str(file)) == 2
    assert words in desk.err
    assert not (desk.folder / "botkit.db").exists()


def test_only_what_is_there_can_be_invalidated(desk: Desk) -> None:
    desk.log_in()
    assert desk.do("invalidate", "greeter", "--oauth1") == 2
    assert "has no OAuth 1.0a login" in desk.err
    assert desk.do("invalidate", "--app-only") == 2
    assert "No bearer token of app 'default' is known here" in desk.err
    assert desk.do("invalidate", "greeter") == 2
    assert "Say which" in desk.err
