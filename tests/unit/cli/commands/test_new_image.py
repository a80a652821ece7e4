"""The image of a new project, read line by line: there is no container engine in the tests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from botkit.cli import main


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, in a folder with the project."""
    monkeypatch.chdir(tmp_path)
    assert main(["new", "mybot"]) == 0
    monkeypatch.chdir(tmp_path / "mybot")
    text = Path("Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines]


def of(steps: list[tuple[str, str]], name: str) -> list[str]:
    return [rest for step, rest in steps if step == name]


def test_all_that_is_copied_is_there_and_is_not_ignored(steps: list[tuple[str, str]]) -> None:
    ignored = Path(".dockerignore").read_text(encoding="utf-8").split()
    for copied in of(steps, "COPY"):
        source = copied.split()[0]
        assert Path(source).exists()
        assert source not in ignored


def test_settings_come_with_the_image_and_the_store_lies_on_the_volume(
    steps: list[tuple[str, str]],
) -> None:
    assert of(steps, "VOLUME") == ['["/data"]']
    assert of(steps, "WORKDIR") == ["/opt/bot"]
    assert "botkit.toml ./" in of(steps, "COPY")
    assert not any("/data" in copied for copied in of(steps, "COPY"))
    assert "BOTKIT_STORE__URL=sqlite:////data/botkit.db" in of(steps, "ENV")[0]


def test_it_installs_the_versions_of_the_lock(steps: list[tuple[str, str]]) -> None:
    (install,) = [run for run in of(steps, "RUN") if "pip install" in run]
    assert "-r requirements.lock" in install
    assert "--only-binary :all:" in install
    lock = Path("requirements.lock").read_text(encoding="utf-8")
    assert "\nbotkit==" in lock


def test_it_runs_as_a_user_without_rights_and_says_how_it_is(
    steps: list[tuple[str, str]],
) -> None:
    assert of(steps, "USER") == ["10001"]
    (check,) = of(steps, "HEALTHCHECK")
    assert json.loads(check.partition(" CMD ")[2]) == ["botkit", "status", "--live"]
    assert json.loads(of(steps, "ENTRYPOINT")[0]) == ["botkit"]
    assert json.loads(of(steps, "CMD")[0]) == ["run"]
