"""The line editor of `botkit dev`, on a terminal of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from botkit.cli.sandbox import dev_prompt
from botkit.config import surroundings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

BOT = """
from botkit import Actions, Bot, Mention

bot = Bot("greeter", may={"post", "reply"})


@bot.on(Mention)
async def greet(mention: Mention, act: Actions) -> None:
    print(f"heard: {mention.text}")
    await act.reply(mention, "Hello @" + mention.author.username)
"""
PATIENCE_S = 40.0
UP, CTRL_A, CTRL_C, CTRL_D, CTRL_R = "\x1b[A", "\x01", "\x03", "\x04", "\x12"
PASTE, PASTED = "\x1b[200~", "\x1b[201~"
SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A person at a terminal."""

    def __init__(self, folder: Path) -> None:
        (folder / "bot.py").write_text(BOT, encoding="utf-8")
        (folder / "tmp").mkdir()
        kept = {k: v for k, v in surroundings().items() if not k.startswith("BOTKIT_")}
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "botkit", "dev", "bot.py:bot", "--no-reload"],
            cwd=folder,
            env=kept
            | {"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", "TMPDIR": str(folder / "tmp")},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self._shown = ""
        self._from = 0
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                said = os.read(self._ours, 65536).decode(errors="replace")
            except OSError:  # nobody is there any more
                return
            with self._more:
                self._shown += said
                self._more.notify()

    def types(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def sees(self, words: str) -> None:
        """Wait for the words, after those that were seen before."""

        def shown() -> str:
            return SEQUENCE.sub("", self._shown)

        with self._more:
            if not self._more.wait_for(lambda: words in shown()[self._from :], PATIENCE_S):
                pytest.fail(f"no {words!r} in: {shown()[self._from :]}")
            self._from = shown().index(words, self._from) + len(words)

    def sees_posted(self, name: str, text: str) -> None:
        """Wait for the post and the prompt below it; until then control keys are the terminal's."""
        self.sees(f"@{name}: {text}\r\n")
        self.sees(f"{name}>")

    def ends(self) -> int:
        return self._process.wait(30)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join(10)
        os.close(self._ours)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.close()


def test_a_line_that_is_being_typed_stands_below_all_that_is_said(terminal: Terminal) -> None:
    terminal.sees("ada>")
    terminal.types("@greeter hi\r")
    terminal.sees("ada>")
    terminal.types("half a li")
    terminal.sees("heard: @greeter hi\r\n")
    terminal.sees("Hello @ada\r\n")
    terminal.sees("ada> half a li")
    terminal.types("ne\r")
    terminal.sees("@ada: half a line\r\n")
    terminal.types("/quit\r")
    assert terminal.ends() == 0


def test_lines_come_back_are_found_and_edited_and_a_paste_is_one_line(terminal: Terminal) -> None:
    terminal.sees("ada>")
    terminal.types("the first\r")
    terminal.sees_posted("ada", "the first")
    terminal.types("the second\r")
    terminal.sees_posted("ada", "the second")
    terminal.types(f"{UP}{UP}{CTRL_A}edited: \r")
    terminal.sees_posted("ada", "edited: the first")
    terminal.types(f"{CTRL_R}second\r\r")
    terminal.sees_posted("ada", "the second")
    terminal.types("/as bob\r")
    terminal.sees("bob>")
    terminal.types(f"{PASTE}one\ntwo{PASTED}\r")
    terminal.sees_posted("bob", "one\r\ntwo")
    terminal.types(CTRL_D)
    assert terminal.ends() == 0


def test_ctrl_c_ends_it_as_an_interrupt(terminal: Terminal) -> None:
    terminal.sees("ada>")
    terminal.types(CTRL_C)
    terminal.sees("Interrupted.")
    assert terminal.ends() == 130


async def test_without_a_terminal_or_the_editor_lines_are_read_plainly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with dev_prompt.open_prompt(lambda: "ada", plain=False) as prompt:
        assert prompt.bot_output is None  # the tests' stdin is no terminal
    for stream in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(getattr(sys, stream), "isatty", lambda: True, raising=False)
    monkeypatch.setattr(dev_prompt, "_EDITOR", "not_installed_here")
    async with dev_prompt.open_prompt(lambda: "ada", plain=False) as prompt:
        assert prompt.bot_output is None
