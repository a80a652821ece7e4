"""A number of things is written as people write it, wherever the CLI counts something."""

from __future__ import annotations

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

from botkit.telemetry.counted import counted

NEVER_ONE = {
    "botkit/cli/commands/checks/checklist.py": "the steps of the label are several",
    "botkit/cli/sandbox/demo.py": "the steps of the label are several",
    "botkit/doctor/abilities.py": "the steps of the label are several",
    "botkit/cli/commands/new.py": "a project has many files",
}
_COUNT = re.compile(r"\A(?!counted\().*(?:\blen\(|\b(?:count|number|total|events|dead)\b)")
_PLURAL = re.compile(r" (?:[a-z]+ )?(?!is\b|has\b|was\b|this\b)[a-z]{3,}s\b")


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 gaps"), (1, "1 gap"), (2, "2 gaps"), (1.0, "1 gap")]
)
def test_a_number_is_followed_by_the_word_for_that_many(number: float, said: str) -> None:
    assert counted(number, "gap") == said


def test_the_word_for_many_may_be_another_one() -> None:
    assert counted(1, "event waits", "events wait") == "1 event waits"
    assert counted(3, "event waits", "events wait") == "3 events wait"


def _bare_plurals(path: Path) -> list[str]:
    """Return the places where a count is followed by a plural, whatever the count is."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        parts = node.values if isinstance(node, ast.JoinedStr) else []
        for number, text in pairwise(parts):
            if not (isinstance(number, ast.FormattedValue) and isinstance(text, ast.Constant)):
                continue
            if _COUNT.search(ast.unparse(number.value)) and _PLURAL.match(str(text.value)):
                found.append(f"{path}:{node.lineno}: {ast.unparse(node)}")
    return found


@pytest.mark.parametrize("room", ["cli", "doctor", "wizard"])
def test_no_command_counts_one_thing_in_the_plural(room: str) -> None:
    places = [
        place
        for path in sorted(Path("botkit", room).rglob("*.py"))
        if str(path) not in NEVER_ONE
        for place in _bare_plurals(path)
    ]
    assert places == []
