"""`botkit setup` at a prompt: what a person types, that nobody types, and Ctrl-C."""

from __future__ import annotations

import io
import os
import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Desk


class Interrupted(io.StringIO):
    """A terminal where Ctrl-C is pressed instead of Enter."""

    def readline(self, size: int | None = -1, /) -> str:
        os.kill(os.getpid(), signal.SIGINT)
        return super().readline(-1 if size is None else size)


@pytest.mark.parametrize("way", ["--headless", "--pin"])
def test_ctrl_c_at_a_prompt_ends_the_command_at_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr("sys.stdin", Interrupted("never read\n" * 9))

    assert desk.top("setup", way, "--no-browser") == 130

    assert "Interrupted" in desk.err
    assert signal.getsignal(signal.SIGINT) is before
    assert desk.json("list") == []


def test_a_ctrl_c_that_the_command_ignores_stays_ignored_at_the_prompt(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    monkeypatch.setattr("sys.stdin", Interrupted("none\n" * 5))
    try:
        assert desk.top("setup", "--headless") == 2
    finally:
        signal.signal(signal.SIGINT, before)

    assert "never the end of this login" in desk.err


@pytest.mark.parametrize("way", ["--headless", "--pin"])
def test_an_input_that_ends_is_said_and_nothing_is_stored(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())

    assert desk.top("setup", way, "--no-browser") == 2

    assert "The input ended before the login did; nothing was stored." in desk.err


def test_who_ends_the_question_for_a_bearer_token_goes_on_without(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def ended(prompt: str) -> str:
        raise EOFError

    desk.move_to(desk.folder, BOTKIT_APP__API_KEY=None, BOTKIT_APP__API_SECRET=None)
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", ended)

    assert desk.top("setup", "--headless") == 2

    assert "the activity stream needs the same app's bearer token" in desk.err
    assert "The input ended" in desk.err
