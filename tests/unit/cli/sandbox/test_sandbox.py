"""`botkit sandbox`: a simulated X for any program, on loopback, until it is told to end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from botkit.cli import main


@contextmanager
def serving(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "botkit", "sandbox", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},  # noqa: TID251 - for the process
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def lines_until(process: subprocess.Popen[str], last: str) -> str:
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if line.startswith(last):
            return text
    pytest.fail(f"it ended: {text}")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_program_reads_the_settings_and_a_signal_ends_it_well(number: int) -> None:
    with serving("--json", "--account", "mybot", "--allowed-host", "my.tunnel") as process:
        told = json.loads(lines_until(process, "}"))
        environment = told["environment"]
        bearer = environment["BOTKIT_APP__BEARER_TOKEN"]
        request = urllib.request.Request(
            f"{told['url']}/2/users/by/username/mybot",
            headers={"Authorization": f"Bearer {bearer}", "Host": "my.tunnel:8080"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert json.load(answer)["data"]["username"] == "mybot"
        process.send_signal(number)
        assert process.wait(15) == 0


@pytest.mark.slow
def test_a_person_gets_lines_for_the_shell_and_how_to_play_a_user() -> None:
    with serving() as process:
        text = lines_until(process, "# curl ")
    exported = dict(re.findall(r"^export (\w+)=(\S+)$", text, re.MULTILINE))
    assert {"BOTKIT_X__API_URL", "BOTKIT_X__CONSENT_URL", "BOTKIT_APP__CLIENT_ID"} <= set(exported)
    assert "/sandbox/posts" in text
    assert exported["BOTKIT_STORE__URL"].startswith("sqlite:///")
    assert len(bytes.fromhex(exported["BOTKIT_STORE__KEY"])) == 32


def test_only_loopback_is_listened_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sandbox", "--host", "0.0.0.0"]) == 2
    assert "loopback only" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [("--port", "65536", "65535"), ("--account", "a@b", "'a@b' cannot be a username")],
)
def test_what_cannot_be_served_is_said_before_anything_is(
    option: str, value: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sandbox", option, value]) == 2
    assert words in capsys.readouterr().err
