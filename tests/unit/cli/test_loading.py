"""Bots are found by module or by file, and what is wrong is said with the cure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from botkit.cli.loading import load_bot
from botkit.errors import ConfigError, WiringError

if TYPE_CHECKING:
    from pathlib import Path

GOOD = "from botkit import Bot\nbot = Bot('found')\nnumber = 3\n"


def test_a_module_and_a_file_are_found(tmp_path: Path) -> None:
    (tmp_path / "a_bot_of_a_test.py").write_text(GOOD)
    assert load_bot("a_bot_of_a_test:bot", folder=tmp_path).name == "found"
    assert load_bot("a_bot_of_a_test.py:bot", folder=tmp_path).name == "found"


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("nothing", "names no bot"),
        ("no_such_module_at_all:bot", "There is no module 'no_such_module_at_all'"),
        ("missing.py:bot", "There is no file"),
        ("good_for_loading:bto", "It holds: bot"),
        ("good_for_loading:number", "is a int, not a Bot"),
        ("empty_for_loading:bot", "It holds no Bot at all"),
        ("broken_for_loading:bot", "ZeroDivisionError"),
        ("torn_for_loading:bot", r"'\(' was never closed \(torn_for_loading.py, line 2\)\.$"),
        ("needy_for_loading:bot", "'a_package_nobody_has', which is not installed"),
    ],
)
def test_what_is_wrong_is_named(target: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "good_for_loading.py").write_text(GOOD)
    (tmp_path / "empty_for_loading.py").write_text("")
    (tmp_path / "broken_for_loading.py").write_text("1 / 0\n")
    (tmp_path / "torn_for_loading.py").write_text("\nprint(\n")
    (tmp_path / "needy_for_loading.py").write_text("import a_package_nobody_has\n")
    with pytest.raises(ConfigError, match=text):
        load_bot(target, folder=tmp_path)


def test_a_bot_that_its_module_runs_on_import_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "eager_for_loading.py").write_text(GOOD + "bot.run()\n")
    with pytest.raises(WiringError, match="while that is imported") as caught:
        load_bot("eager_for_loading:bot", folder=tmp_path)
    assert "__main__" in caught.value.hint


def test_a_registration_that_is_refused_is_named_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "late_for_loading.py").write_text(GOOD + 'bot.cron("61 * * * *")\n')
    with pytest.raises(WiringError, match=r"minute '61' .*late_for_loading\.py:4\)\.$"):
        load_bot("late_for_loading:bot", folder=tmp_path)
