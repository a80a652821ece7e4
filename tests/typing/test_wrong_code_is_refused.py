"""What must not type-check: each example once right and once wrong, judged by mypy and pyright.

The right one keeps the wrong one honest: what differs between them is what the checkers refuse.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]
IMPORTS = """\
from __future__ import annotations
from datetime import timedelta
from typing import Any
from msgspec import Struct
from botkit import *
from botkit.filters import *
class Case(Struct, frozen=True):
    answers: int = 0
class Ring(Signal, frozen=True, kw_only=True):
    what: str
bot = Bot("typed")
"""


class Example(NamedTuple):
    """Code with a gap, what fills it rightly, and what fills it wrongly."""

    code: str
    right: str
    wrong: str


ON = "@bot.on(Mention{})\nasync def handler(event: Mention, act: Actions) -> None: ...\n"
ON_TEXT = "@bot.on({}, contains('hi'))\nasync def handler(event: {}) -> None: ...\n"
ACT = "async def handler(mention: Mention, dm: DirectMessage, tick: Tick, act: Actions, post: Post) -> None:\n    await {}\n"
STATE = "async def handler(dm: DirectMessage, case: Conversation[Case]) -> None:\n    {}\n"
EXAMPLES = {
    # the five of the sketch
    "wrong event": Example(
        "@bot.on(Mention)\nasync def handler(event: {}) -> None: ...\n", "Mention", "Tick"
    ),
    "text filter on a tick": Example(
        "@bot.on({}, contains('hi'))\nasync def handler(event: Event) -> None: ...\n",
        "Mention",
        "Tick",
    ),
    "handler without async": Example(
        "@bot.on(Mention)\n{} handler(event: Mention) -> None: ...\n", "async def", "def"
    ),
    "reply without target": Example(ACT, "act.reply(mention, 'hi')", "act.reply('hi')"),
    "reply to a tick": Example(ACT, "act.reply(mention, 'hi')", "act.reply(tick, 'hi')"),
    # and more
    "message to a post": Example(ACT, "act.message(dm, 'hi')", "act.message(mention, 'hi')"),
    "message to what X made": Example(ACT, "act.reply(post, 'hi')", "act.message(post, 'hi')"),
    "emit of an event of X": Example(ACT, "act.emit(Ring(what=''))", "act.emit(mention)"),
    "text filter on a signal without text": Example(
        ON_TEXT.format("{}", "Event"), "Reply", "Ring"
    ),
    "language of a message": Example(
        "@bot.on({}, lang('de'))\nasync def handler(event: Event) -> None: ...\n",
        "Mention",
        "DirectMessage",
    ),
    "composition with a filter for posts": Example(
        "@bot.on(DirectMessage, contains('a') & {})\n"
        "async def handler(event: DirectMessage) -> None: ...\n",
        "~contains('b')",
        "~is_reply_to_me",
    ),
    "filter that was not made": Example(ON, ", contains('hi')", ", contains"),
    "filter that is a text": Example(ON, ", contains('hi')", ", 'hi'"),
    "filter that waits": Example(
        "{} mine(event: Event) -> bool: return True\n" + ON.format(", mine"), "def", "async def"
    ),
    "own filter for another event": Example(
        "def mine(event: {}) -> bool: return True\n" + ON.format(", mine"), "PostEvent", "Tick"
    ),
    "handler for one of two events": Example(
        "@bot.on((Mention, DirectMessage))\nasync def handler(event: {}) -> None: ...\n",
        "Mention | DirectMessage",
        "Mention",
    ),
    "handler without an event": Example(
        "@bot.on(Mention)\nasync def handler({}) -> None: ...\n", "event: Mention", ""
    ),
    "tick handler of another event": Example(
        "@bot.every(60)\nasync def handler(tick: {}) -> None: ...\n", "Tick", "Mention"
    ),
    "schedule without async": Example(
        "@bot.cron('0 8 * * *')\n{} handler(tick: Tick) -> None: ...\n", "async def", "def"
    ),
    "catch up in another word": Example(
        "@bot.every(60, catch_up='{}')\nasync def handler(tick: Tick) -> None: ...\n",
        "latest",
        "newest",
    ),
    "middleware without async": Example(
        "@bot.middleware\n{} ring(event: Event, call_next: CallNext) -> None: ...\n",
        "async def",
        "def",
    ),
    "middleware for some events": Example(
        "@bot.middleware\nasync def ring(event: {}, call_next: CallNext) -> Any: ...\n",
        "Event",
        "Mention",
    ),
    "state of another class": Example(STATE, "case.value = Case(answers=1)", "case.value = 1"),
    "state that is changed in place": Example(
        STATE, "print(case.value.answers)", "case.value.answers = 1"
    ),
    "state that is no struct": Example("x: UserState[{}]\n", "Case", "int"),
    "handler called without its values": Example(
        ON.format("")
        + "async def test(mention: Mention, act: Actions) -> None:\n    await handler({})\n",
        "mention, act",
        "mention",
    ),
    "handler called with another event": Example(
        ON.format("") + "async def test(mention: Mention, tick: Tick, act: Actions) -> None:\n"
        "    await handler({}, act)\n",
        "mention",
        "tick",
    ),
    "router that is no router": Example("bot.include({})\n", "Router('x')", "'x'"),
    "name that the front door does not have": Example(
        "from botkit import {}\n", "Mention as Other", "Listener"
    ),
    "group of a match that is no name": Example(
        "def use(found: Match) -> str:\n    return found[{}]\n", "'minutes'", "None"
    ),
}


def file_of(name: str, kind: str) -> str:
    return f"{name.replace(' ', '_').lower()}__{kind}.py"


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judged")
    for name, example in EXAMPLES.items():
        for kind, filling in (("right", example.right), ("wrong", example.wrong)):
            text = IMPORTS + example.code.format(filling)
            (folder / file_of(name, kind)).write_text(text, encoding="utf-8")
    return folder


def said(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout


@pytest.fixture(scope="module")
def by_mypy(code: Path) -> dict[str, list[str]]:
    """Errors by file."""
    settings = ("--config-file", "pyproject.toml", "--no-error-summary", "--no-pretty")
    found: dict[str, list[str]] = {}
    for line in said(sys.executable, "-m", "mypy", *settings, str(code)).splitlines():
        if match := re.match(r"(.+\.py):\d+: error: (.+)", line):
            found.setdefault(Path(match[1]).name, []).append(match[2])
    assert found, "mypy found nothing at all"
    return found


@pytest.fixture(scope="module")
def by_pyright(code: Path) -> dict[str, list[str]]:
    """Errors by file."""
    settings = {
        "typeCheckingMode": "strict",
        "pythonVersion": "3.11",
        "extraPaths": [str(ROOT)],
        "reportWildcardImportFromLibrary": False,
        "reportUnusedFunction": False,
        "reportUnusedImport": False,
    }
    (code / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    options = ("--outputjson", "-p", str(code), "--pythonpath", sys.executable)
    report = json.loads(said(sys.executable, "-m", "pyright", *options))
    found: dict[str, list[str]] = {}
    for each in report["generalDiagnostics"]:
        if each["severity"] == "error":
            found.setdefault(Path(each["file"]).name, []).append(each["message"])
    assert found, "pyright found nothing at all"
    return found


@pytest.mark.parametrize("name", EXAMPLES)
def test_mypy_refuses_it_and_takes_it_when_it_is_right(
    name: str, by_mypy: dict[str, list[str]]
) -> None:
    assert by_mypy.get(file_of(name, "right"), []) == []
    assert by_mypy.get(file_of(name, "wrong"), []) != []


@pytest.mark.parametrize("name", EXAMPLES)
def test_pyright_refuses_it_and_takes_it_when_it_is_right(
    name: str, by_pyright: dict[str, list[str]]
) -> None:
    assert by_pyright.get(file_of(name, "right"), []) == []
    assert by_pyright.get(file_of(name, "wrong"), []) != []
