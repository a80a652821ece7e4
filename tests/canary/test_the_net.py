"""The search finds a secret wherever and however it is said: else its silence would mean nothing."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.canary.marks import KINDS, find, mark

ROOT = Path(__file__).parents[2]
SECRET = "0123456789" * 5
LEAKS = """
import logging, subprocess, sys
from botkit.protocol.oauth import oauth2

def secret():
    return oauth2.new_code_verifier(bytes(range(32)))

def test_log(): logging.getLogger("botkit.x").debug("said %s", secret())
def test_trace():
    try:
        raise ValueError(secret())
    except ValueError:
        logging.getLogger("botkit.x").debug("failed", exc_info=True)
def test_stdout(): print(secret())
def test_taken(capsys):
    print(secret(), file=sys.stderr)
    capsys.readouterr()
def test_argument(): subprocess.run([sys.executable, "-c", "0", secret()], check=True)
def test_child():
    said = "import sys; from botkit.protocol.oauth.oauth2 import new_state;"
    said += "sys.stderr.write(new_state(bytes(32)) + chr(10))"
    subprocess.run([sys.executable, "-c", said], check=True, capture_output=True)
def test_nothing(): secret()
"""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "said",
    [
        lambda text: text,
        lambda text: text[: len(text) // 2],
        lambda text: text[len(text) // 2 :],
        urllib.parse.quote_plus,
        json.dumps,
        lambda text: repr(text.encode()),
        lambda text: text.encode().hex(),
        *(
            lambda text, before=before: base64.b64encode(before + text.encode()).decode()
            for before in (b"", b"i", b"id", b"id:")
        ),
        lambda text: base64.urlsafe_b64encode(f"client:{text}".encode()).decode(),
    ],
    ids=["raw", "first half", "second half", "URL", "JSON", "bytes", "hex", *"0123", "Basic"],
)
def test_a_marked_secret_is_found_however_it_is_said(
    kind: str, said: Callable[[str], str]
) -> None:
    assert kind in find(f"before {said(mark(SECRET, kind))} after")


def test_what_is_not_marked_is_not_found() -> None:
    assert find(SECRET + base64.b64encode(SECRET.encode()).decode()) == []


def test_a_mark_leaves_a_secret_its_length_and_its_chance() -> None:
    marked = mark(SECRET, "state")
    assert len(marked) == len(SECRET)
    assert sum(a == b for a, b in zip(marked, SECRET, strict=True)) >= len(SECRET) // 2


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_each_way_to_say_a_secret_fails_the_run_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "test_leaks.py").write_text(LEAKS, encoding="utf-8")
    kept = {
        name: value
        for name, value in os.environ.items()  # noqa: TID251 - for the run in the run
        if name not in {"CANARY_REPORT", "PYTHONPATH"}
    }
    options = ["-q", "-p", "tests.canary.plugin", "-p", "no:cacheprovider", "-c", "/dev/null"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "--rootdir", tmp_path, tmp_path],
        cwd=ROOT,
        env=kept | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "7 passed" in done.stdout
    found = {
        line.split("\t")[3].rpartition("::")[2].split()[0]
        for line in done.stdout.splitlines()
        if line.startswith("leak\t")
    }
    assert found >= {"test_log", "test_trace", "test_stdout", "test_taken", "test_argument"}
    assert "leak\tstate\tstderr" in done.stdout
    assert "test_nothing" not in found
