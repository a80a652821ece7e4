"""Before the setup `botkit status` says what comes first."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from botkit.cli import main

if TYPE_CHECKING:
    from pathlib import Path

KEYS = {"BOTKIT_APP__CLIENT_ID": "an-id", "BOTKIT_APP__CLIENT_SECRET": "a-secret-of-20-chars"}
INVITES = {"BOTKIT_CONNECT__ON": "true", "BOTKIT_CONNECT__PUBLIC_URL": "https://bot.example"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("BOTKIT_")]:  # noqa: TID251
        monkeypatch.delenv(name)


def first(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], **env: str) -> str:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert main(["status"]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("store    there is none yet at sqlite:///")
    assert lines[-1].startswith("or       botkit dev MODULE:BOT")
    return next(line for line in lines if line.startswith("first "))


def test_without_keys_they_come_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "set client_id and client_secret under [app]" in first(monkeypatch, capsys)


def test_with_keys_the_setup_comes_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert first(monkeypatch, capsys, **KEYS).startswith("first    botkit setup, which")


def test_where_accounts_are_invited_the_invitation_comes_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = first(monkeypatch, capsys, **KEYS, **INVITES)
    assert line.startswith("first    botkit accounts invite")


def test_a_program_gets_the_same_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert told["runner"] is None
    assert told["accounts"] == []
    assert [step.partition(",")[0] for step in told["first_steps"][1:]] == [
        "botkit setup",
        "botkit checklist",
        "botkit run",
    ]
    assert list(tmp_path.iterdir()) == []
