"""The command line: what is loaded for what, exit codes, errors on one line."""

from __future__ import annotations

import errno
import io
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import click
import pytest

from botkit import errors
from botkit.cli import main
from botkit.cli.commands_table import COMMANDS, CommandEntry, help_page
from botkit.cli.entry import exit_code_of, invoke
from botkit.cli.output import hide

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list(__import__("os").environ):
        if name.startswith("BOTKIT_"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_every_command(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert out == help_page()
    for entry in COMMANDS:
        assert f"  {entry.name} " in out


def test_help_and_version_load_neither_click_nor_anything_of_weight() -> None:
    code = (
        "import sys; from botkit.cli import main; main(['--help']); main(['--version']);"
        "heavy = {'click', 'rich', 'pydantic', 'aiohttp', 'structlog', 'botkit.config',"
        " 'botkit.telemetry'} & set(sys.modules); sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("entry", COMMANDS, ids=lambda entry: entry.name)
def test_each_command_says_what_it_is_for_in_the_first_line_of_its_help(
    entry: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([entry.name, "--help"]) == 0  # type: ignore[attr-defined]
    out = capsys.readouterr().out
    first = out.splitlines()[0]
    assert not first.startswith("Usage")
    assert f"Usage: botkit {entry.name}" in out  # type: ignore[attr-defined]
    options = [word for word in out.split() if word.startswith("--")]
    assert not [option for option in options if "secret" in option or "token" in option]


@pytest.mark.parametrize(
    ("typed", "cure"),
    [("stauts", "Did you mean `botkit status`?"), ("frobnicate", "`botkit --help` lists them.")],
)
def test_an_unknown_command_is_refused_with_2_and_the_cure(
    typed: str, cure: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([typed]) == 2
    assert f"There is no command '{typed}'. {cure}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ConfigError("x"), 2),
        (errors.WiringError("x"), 2),
        (errors.InvalidGrant("x"), 2),
        (errors.MissingScope(operation="a", have=[], need=["b"], cure="c"), 2),
        (errors.NotSummoned("x"), 3),
        (errors.PaymentRequired("x", status=402), 3),
        (errors.TransportError("x"), 4),
        (errors.ServerError("x", status=503), 4),
        (errors.OutcomeUnknown("x"), 1),
        (errors.RateLimited("x", status=429), 1),
        (errors.Forbidden("x", status=403), 1),
        (errors.Forbidden("x", status=403, codes=[64]), 2),
        (errors.Corrupt("x"), 5),
        (errors.VaultKeyError("x"), 5),
        (errors.BotkitError("x"), 1),
    ],
)
def test_each_error_has_the_exit_code_of_the_table(error: errors.BotkitError, code: int) -> None:
    assert exit_code_of(error) == code


@pytest.mark.parametrize(
    ("tasks", "code", "said"),
    [
        ([errors.LoginExpired("It is over.")], 2, "botkit: It is over.\n"),
        ([BrokenPipeError()], 1, ""),
        ([ExceptionGroup("inner", [click.UsageError("So not.")])], 2, "Error: So not.\n"),
    ],
)
def test_the_one_error_of_a_commands_tasks_is_said_as_if_it_came_alone(
    tasks: list[Exception],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    @click.command()
    def command() -> None:
        raise ExceptionGroup("tasks", tasks)

    monkeypatch.setitem(sys.modules, "a_command_of_a_test", SimpleNamespace(command=command))
    assert invoke(["fails"], [CommandEntry("fails", "a_command_of_a_test", "", "")]) == code
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["events", "--help"]])
@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 1, ""),
        (OSError(errno.ENOSPC, "No space left"), 2, "botkit: No space left. The disk is full"),
    ],
)
def test_output_that_nobody_takes_ends_in_one_line_at_most(
    words: list[str],
    error: OSError,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Full(io.StringIO):
        def flush(self) -> None:
            raise error

    monkeypatch.setattr(sys, "stdout", Full())
    try:
        ended_by = main(words)
    except SystemExit as end:  # click ends a command whose pipe is closed by itself
        ended_by = end.code
    assert ended_by == code
    told = capsys.readouterr().err
    assert told.startswith(said)
    assert told.count("\n") == (1 if said else 0)


def test_a_closed_output_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["--help"]) == 0


def test_the_trace_of_a_fault_holds_no_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command()
    def command() -> None:
        hide(["of-the-app-1234"])
        raise ValueError("of-the-app-1234\x1b[2J", {"refresh_token": "abcdef"})

    monkeypatch.setitem(sys.modules, "a_command_of_a_test", SimpleNamespace(command=command))
    assert invoke(["fails"], [CommandEntry("fails", "a_command_of_a_test", "", "")]) == 1
    err = capsys.readouterr().err
    assert "ValueError: ('[redacted]" in err.splitlines()[-2]
    assert "abcdef" not in err
    assert "\x1b" not in err


def test_all_faults_of_the_settings_come_a_line_each(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOTKIT_X__API_ULR", "https://a.example")
    monkeypatch.setenv("BOTKIT_HTTP__PORT", "many")
    assert main(["status"]) == 2
    err = capsys.readouterr().err
    assert err.count("botkit: ") == 2
    assert "did you mean BOTKIT_X__API_URL?" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("command", ["status", "checklist"])
def test_without_a_store_the_cure_is_named(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command]) == 2
    assert "botkit setup" in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    "arguments",
    [
        ("events", "list", "--limit", "0"),
        ("writes", "list", "--limit", "9" * 30),
        ("setup", "--timeout", "-1"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert "is not in the range" in capsys.readouterr().err


def test_a_secret_in_the_error_of_a_bots_module_is_not_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOTKIT_APP__CLIENT_SECRET", "of-the-app-1234")
    monkeypatch.setenv("SOME_MODEL_API_KEY", "of-the-model-1234")
    (tmp_path / "bad.py").write_text(
        "import os\n"
        "from botkit.config import load_settings\n"
        "app = load_settings().app_named()\n"
        "held = [app.client_secret.get_secret_value(), os.environ['SOME_MODEL_API_KEY']]\n"
        "raise ValueError(held, 'a\\nb')\n"
    )
    assert main(["run", "bad.py:bot"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "ValueError: (['[redacted]', '[redacted]'], 'a" in line


@pytest.mark.parametrize("arguments", [("checklist",), ("accounts", "import")])
def test_a_terminal_with_another_encoding_ends_nothing(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "botkit", *arguments],
        cwd=tmp_path,
        input=b"\xff\xfe\n",
        env={"HOME": str(tmp_path), "PYTHONIOENCODING": "ascii:strict"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr


def test_run_without_a_bot_says_how_to_name_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run"]) == 2
    assert "MODULE:BOT" in capsys.readouterr().err


def test_setup_without_credentials_names_them_all_before_anything_is_made(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["setup", "--no-browser"]) == 2
    captured = capsys.readouterr()
    assert "client_id is missing" in captured.err
    assert "client_secret is missing" in captured.err
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == []


def test_events_decode_reads_a_file_and_says_what_cannot_be_decoded(
    capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    (tmp_path / "bad.json").write_text("nonsense")
    assert main(["events", "decode", "bad.json"]) == 1
    assert capfdbinary.readouterr().out.startswith(b'{"error":')
