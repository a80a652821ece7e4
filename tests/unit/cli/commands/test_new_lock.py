"""The lock of a new project names what is installed here."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from botkit.cli import main
from botkit.cli.commands import new_lock
from botkit.cli.commands.new_lock import LOCK, lock_text


def pinned(text: str) -> dict[str, str]:
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return dict(line.split("==") for line in lines)


def test_the_lock_names_botkit_and_all_that_it_needs_in_service() -> None:
    lock = pinned(lock_text())
    for name in ("botkit", "aiohttp", "pydantic-settings", "yarl", "authlib", "cffi"):
        assert lock[name] == version(name)
    assert not {"pytest", "watchfiles", "keyring", "hatchling"} & set(lock)
    assert list(lock) == sorted(lock)


def test_what_is_for_another_system_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    needs = {"botkit": ["colorama; os_name == 'nt'", "No.Such_Package>=3 ; python_version < '3'"]}
    found = new_lock.distribution

    class Needy:
        version = "1.0"
        requires = needs["botkit"]

    monkeypatch.setattr(
        new_lock, "distribution", lambda name: Needy() if name == "botkit" else found(name)
    )
    assert "no-such-package" not in pinned(lock_text())


def test_the_lock_is_written_anew_in_a_project_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "mybot"]) == 0
    Path("mybot", LOCK).write_text("old==1\n")
    Path("mybot", "botkit.toml").write_text("# mine\n")
    assert main(["new", "--lock", "mybot"]) == 0
    assert Path("mybot", LOCK).read_text(encoding="utf-8") == lock_text()
    assert Path("mybot", "botkit.toml").read_text(encoding="utf-8") == "# mine\n"
    assert main(["new", "--lock", "."]) == 2
    assert "holds no project" in capsys.readouterr().err
