"""`botkit demo`: the whole way at work, with nothing of the operator's read and nothing left."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from botkit.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]


def test_a_mention_is_answered_and_every_stage_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BOTKIT_APP__CLIENT_SECRET", "real-and-not-to-be-read")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    assert main(["demo"]) == 0

    out, err = capsys.readouterr()
    topics = [line.split()[0] for line in out.splitlines()]
    assert topics[0] == "botkit"
    assert [t for t in topics if t in {"setup", "checks", "run", "event", "write", "done"}]
    assert '@ada mentioned @greeter: "@greeter hello"' in out
    assert "1 event, 1 post, nothing pending" in out
    assert "real-and-not-to-be-read" not in out + err
    assert list(tmp_path.rglob("*")) == []


def test_whoever_stops_reading_ends_it_without_a_trace() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "botkit", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as demo:
        assert demo.stdout is not None
        assert demo.stderr is not None
        assert demo.stdout.readline().startswith("botkit ")
        demo.stdout.close()
        assert demo.stderr.read() == ""
        assert demo.wait(30) == 1
