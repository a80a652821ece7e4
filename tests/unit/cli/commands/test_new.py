"""`botkit new`: a project that is whole, and that overwrites nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from botkit.cli import main


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_program_is_told_the_folder_the_target_and_the_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", "my-bot", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["folder"], made["target"]) == ("my-bot", "my_bot.bot:bot")
    there = {str(p.relative_to("my-bot")) for p in Path("my-bot").rglob("*") if p.is_file()}
    assert there == set(made["files"])


def test_a_person_is_told_the_next_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "mybot"]) == 0
    assert "cd mybot && botkit dev mybot.bot:bot" in capsys.readouterr().out


def test_no_placeholder_is_left_and_secrets_stay_out_of_version_control(tmp_path: Path) -> None:
    assert main(["new", "mybot"]) == 0
    for file in (file for file in Path("mybot").rglob("*") if file.is_file()):
        assert "{{" not in file.read_text(encoding="utf-8"), file
    for name in (".gitignore", ".dockerignore"):
        text = Path("mybot", name).read_text(encoding="utf-8")
        ignored = {line.removesuffix("/") for line in text.splitlines()}
        assert {"*.db", "*.db-*", "*.db.*", "*.key", "secrets"} <= ignored


def test_the_next_command_works_where_the_shell_does_not_find_botkit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [".venv/bin/botkit", "new", "mybot"])
    monkeypatch.setenv("PATH", "")
    there = Path(".venv/bin/botkit").absolute()
    assert main(["new", "a folder/mybot"]) == 0
    said = capsys.readouterr().out
    assert f"cd 'a folder/mybot' && {there} dev mybot.bot:bot" in said
    assert f"{sys.executable} -m pytest" in said


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_its_own_test_passes_at_once() -> None:
    assert main(["new", "mybot"]) == 0
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd="mybot",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["class", "1bot", "-", "a" * 41, "b@t"])
def test_what_cannot_be_a_package_is_refused_and_nothing_is_written(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", "--", name]) == 2
    assert "cannot be a bot's name" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["json", "pytest", "botkit", "AioHTTP"])
def test_a_name_that_would_hide_a_module_is_refused_and_nothing_is_written(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", name]) == 2
    assert "There is a Python module" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_said_in_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("mine").write_text("no folder")
    assert main(["new", "mine/mybot"]) == 2
    said = capsys.readouterr().err
    assert "mine/mybot cannot be written: Not a directory." in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("there", ["file", "folder"])
def test_what_is_there_is_not_written_into(
    there: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if there == "file":
        Path("mybot").write_text("mine")
    else:
        Path("mybot").mkdir()
        Path("mybot", "mine").touch()
    assert main(["new", "mybot"]) == 2
    assert "is there already" in capsys.readouterr().err
    assert len(list(tmp_path.rglob("*"))) == (1 if there == "file" else 2)


def test_an_empty_folder_is_filled() -> None:
    Path("mybot").mkdir()
    assert main(["new", "mybot"]) == 0
    assert Path("mybot/mybot/bot.py").is_file()
