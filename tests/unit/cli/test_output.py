"""What commands print: no secret, no line that another one forged, times that `jq` reads."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

import botkit.cli
from botkit.cli.output import echo, echo_json, echo_lines, hide, redacting, report_trace

EVIL = "a\n\x1b[31m\x9b\u202eb"


def test_a_printed_line_stays_one_line_and_moves_no_cursor(
    capsys: pytest.CaptureFixture[str],
) -> None:
    echo(EVIL)
    assert capsys.readouterr().out == r"a\x0a\x1b[31m\x9b\u202eb" + "\n"


def test_json_escapes_control_and_bidirectional_characters_and_means_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    echo_json({"text": EVIL, EVIL: "ü 👋"})
    out = capsys.readouterr().out
    assert json.loads(out) == {"text": EVIL, EVIL: "ü 👋"}
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", out)
    assert "ü 👋" in out


def test_times_in_json_are_read_by_jq(capsys: pytest.CaptureFixture[str]) -> None:
    echo_json({"at": datetime(2026, 11, 30, 12, 0, 0, 123, tzinfo=UTC)})
    assert json.loads(capsys.readouterr().out) == {"at": "2026-11-30T12:00:00Z"}


def test_hidden_secrets_are_in_nothing_that_is_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with redacting():
        hide(["sup3r/secret"])
        echo("a sup3r/secret b")
        echo_lines("a\nsup3r/secret")
        echo_json({"sup3r/secret": ["sup3r/secret"]})
        report_trace("ValueError: sup3r/secret access_token=abcdef\n")
    out, err = capsys.readouterr()
    assert "sup3r" not in out + err
    assert err == "ValueError: [redacted] access_token=[redacted]\n"
    assert out.startswith("a [redacted] b\na\n  [redacted]\n")
    echo("sup3r/secret")
    assert capsys.readouterr().out == "sup3r/secret\n"


def test_commands_print_by_no_other_way() -> None:
    """Those that talk to a person at a prompt have their own, and what is meant to be secret."""
    known = {"output.py", "entry.py", "__init__.py", "demo.py", "dev_prompt.py"}
    known |= {"setup.py", "move.py", "events.py"}
    for module in Path(botkit.cli.__file__).parent.rglob("*.py"):
        if module.name not in known:
            assert not re.search(
                r"click\.echo\(|print\(\"|sys\.std(out|err)\.",
                module.read_text().replace(".isatty", ""),
            ), module
