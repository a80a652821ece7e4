"""`botkit dev`: a person plays against their bot, which starts again when its file changes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

BOT = """
from botkit import Actions, Bot, DirectMessage, Mention

bot = Bot("greeter", may={{"post", "reply", "message"}})


@bot.on(Mention)
async def greet(mention: Mention, act: Actions) -> None:
    await act.reply(mention, "{word} @" + mention.author.username)


@bot.on(DirectMessage)
async def answer(message: DirectMessage, act: Actions) -> None:
    await act.message(message, "{word} in private")
"""
PATIENCE_S = 40.0


class Session:
    """A person at the prompt."""

    def __init__(
        self, folder: Path, *options: str, bot: str = "", stdin: int = subprocess.PIPE
    ) -> None:
        self.folder = folder
        self.write("Hello")
        if bot:
            self.tears(bot)
        kept = {k: v for k, v in os.environ.items() if not k.startswith("BOTKIT_")}  # noqa: TID251
        self._process = subprocess.Popen(
            [sys.executable, "-m", "botkit", "dev", "bot.py:bot", *options],
            cwd=folder,
            env=kept
            | {
                "PYTHONUNBUFFERED": "1",
                "TMPDIR": str(folder / "tmp"),
                "BOTKIT_APP__CLIENT_SECRET": "real-and-not-to-be-read",
                "BOTKIT_STORE__URL": "nonsense://",
            },
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: Queue[str] = Queue()
        self.said = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def write(self, word: str) -> None:
        (self.folder / "tmp").mkdir(exist_ok=True)
        (self.folder / "bot.py").write_text(BOT.format(word=word), encoding="utf-8")

    def tears(self, text: str) -> None:
        (self.folder / "bot.py").write_text(text, encoding="utf-8")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)

    def says(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def sees(self, words: str) -> str:
        """Read until a line has the words."""
        while True:
            try:
                line = self._lines.get(timeout=PATIENCE_S)
            except Empty:
                pytest.fail(f"no {words!r} in: {self.said}")
            self.said += line
            if words in line:
                return line

    def ends(self) -> int:
        return self._process.wait(30)

    def sees_the_end(self) -> None:
        """Nobody holds the output any more: the bot's process is gone, too."""
        self._reader.join(10)
        assert not self._reader.is_alive()

    def is_told(self, number: int) -> int:
        """Get a signal; gives the exit code."""
        self._process.send_signal(number)
        return self.ends()

    def leaves(self) -> None:
        """The end of the input."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def left(self) -> list[str]:
        """The temporary files that are left, but for the locks against copies of a store."""
        names = [path.name for path in (self.folder / "tmp").iterdir()]
        return [name for name in names if name != f"botkit-{os.getuid()}"]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join(10)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    session = Session(tmp_path)
    yield session
    session.close()


def test_the_bot_answers_and_starts_again_when_its_file_changes(session: Session) -> None:
    session.sees("/quit")
    session.says("@greeter hi")
    session.sees("Hello @ada")

    session.write("Servus")
    session.sees("changed: bot.py; the bot starts again")
    session.says("/as bob @greeter and now?")
    session.sees("Servus @bob")

    session.tears("def broken(:")
    session.sees("SyntaxError")
    session.sees("it is tried again at the next change")
    session.says("@greeter still there?")
    session.write("Moin")
    session.sees("Moin @bob")

    session.says("/dm are you there?")
    session.sees("Moin in private")
    session.says("/reply nonsense hm")
    session.sees("that did not work")
    session.says("/quit")
    assert session.ends() == 0
    assert "real-and-not-to-be-read" not in session.said
    assert session.left() == []


def test_a_program_reads_objects_and_the_end_of_the_input_ends_it(tmp_path: Path) -> None:
    session = Session(tmp_path, "--no-reload", "--json")
    try:
        session.says("@greeter hi")
        asked = json.loads(session.sees("@greeter hi"))
        answer = json.loads(session.sees("Hello"))
        assert (asked["by"], answer["by"]) == ("ada", "greeter")
        assert answer["reply_to"] == asked["id"]
        session.leaves()
        assert session.ends() == 0
    finally:
        session.close()


def test_without_an_input_it_ends_at_once_and_says_no_fault(tmp_path: Path) -> None:
    session = Session(tmp_path, "--no-reload", stdin=subprocess.DEVNULL)
    try:
        assert session.ends() == 0
        session.sees_the_end()
        session.sees("/quit")
        assert "Traceback" not in session.said
    finally:
        session.close()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_the_bots_process_and_leaves_nothing(
    number: int, code: int, session: Session
) -> None:
    session.sees("/quit")
    session.says("@greeter hi")
    session.sees("Hello @ada")
    assert session.is_told(number) == code
    session.sees_the_end()
    assert session.left() == []


PATIENT = """
from datetime import timedelta

from botkit import Actions, Bot, Mention, Signal
from botkit.filters import contains

bot = Bot("greeter")


class Later(Signal, frozen=True, kw_only=True):
    asked: Mention


@bot.on(Mention, contains("tomorrow"))
async def promise(mention: Mention, act: Actions) -> None:
    await act.emit(Later(asked=mention), at=mention.at + timedelta(days=1))


@bot.on(Later)
async def keep(later: Later, act: Actions) -> None:
    await act.reply(later.asked, "As promised.")
"""


def test_time_is_moved_and_what_runs_no_handler_is_said(tmp_path: Path) -> None:
    session = Session(tmp_path, "--no-reload", bot=PATIENT)
    try:
        session.sees("/quit")
        session.says("@greeter is anybody there?")
        session.sees("(#1 ran no handler: no handler)")
        session.says("@greeter tomorrow, please")
        session.sees("#2  @ada: @greeter tomorrow, please")
        session.says("/time yesterday")
        session.sees("'yesterday' is no time")
        session.says("/time +1d")
        session.sees("the bot starts again")
        session.sees("@greeter (to #2): ")
        session.says("/time")
        session.sees("it is ")
        session.says("/quit")
        assert session.ends() == 0
    finally:
        session.close()
