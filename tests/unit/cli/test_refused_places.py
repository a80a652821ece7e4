"""Folders that the system refuses: one line with the cure and the exit code of its class.

The commands run in processes of their own. Root may enter every folder, so they give that up first.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from botkit.cli import main
from botkit.config import load_settings
from botkit.config.file_faults import as_config_error
from botkit.errors import ConfigError, VaultKeyError
from botkit.storage.vault.key_files import key_path
from botkit.storage.vault.key_places import find_key

IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
RIGHTS = "-dac_override,-dac_read_search"
BEFORE = ["setpriv", f"--bounding-set={RIGHTS}", "--inh-caps=-all"] if IS_ROOT else []
STORE_ID = "0" * 32
NO_SETPRIV = pytest.mark.skipif(
    IS_ROOT and shutil.which("setpriv") is None,
    reason="root may enter every folder, and setpriv is not here to give that up",
)
BOT = """from botkit import Bot

bot = Bot("x")
if __name__ == "__main__":
    bot.run()
"""
LONG = "x" * 300


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in [name for name in os.environ if name.startswith("BOTKIT_")]:  # noqa: TID251
        monkeypatch.delenv(name)
    monkeypatch.setenv("BOTKIT_APP__CLIENT_ID", "an-id")
    monkeypatch.setenv("BOTKIT_APP__CLIENT_SECRET", "a-secret-of-20-chars")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bot.py").write_text(BOT)
    shut = tmp_path / "shut"
    shut.mkdir()
    shut.chmod(0)
    yield tmp_path
    shut.chmod(0o700)


def said(*arguments: str, cwd: Path | None = None) -> tuple[int, list[str]]:
    """The exit code and the lines of a command, or of `bot.py` without arguments."""
    called = ["-m", "botkit", *arguments] if arguments else [str(Path("bot.py").absolute())]
    done = subprocess.run(
        [*BEFORE, sys.executable, *called],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=60,
        cwd=cwd,
    )
    lines = (done.stdout + done.stderr).splitlines()
    assert not [line for line in lines if line.startswith("Traceback")], lines
    return done.returncode, lines


@NO_SETPRIV
@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("checklist",),
        ("accounts", "list"),
        ("events", "list"),
        ("writes", "list"),
        ("run", "bot.py:bot"),
        ("setup", "--no-browser", "--make-key"),
        (),
    ],
    ids=" ".join,
)
def test_a_store_in_a_folder_that_may_not_be_entered_is_one_line_and_5(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("BOTKIT_STORE__URL", f"sqlite:///{folder}/shut/botkit.db")
    code, (line,) = said(*arguments)
    assert code == 5
    assert f"{folder}/shut/botkit.db cannot be used now: Permission denied" in line
    assert "Make the folder writable for this user" in line


@NO_SETPRIV
def test_the_refusal_names_whose_folder_it_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOTKIT_STORE__URL", f"sqlite:///{folder}/shut/botkit.db")
    owner = os.geteuid()
    if IS_ROOT:
        owner = 12345
        os.chown(folder / "shut", owner, owner)
    _, (line,) = said("status")
    told = f"belongs to uid {owner}, and this is uid 0" if IS_ROOT else "has mode 0000"
    assert told in line


@NO_SETPRIV
@pytest.mark.parametrize(
    ("variable", "value", "name"),
    [
        ("BOTKIT_SECRETS_DIR", "shut", "BOTKIT_SECRETS_DIR: shut"),
        ("BOTKIT_SECRETS_DIR", "listed", "secrets file BOTKIT_APP__API_SECRET"),
        ("BOTKIT_APP__API_SECRET_FILE", "shut/it", "BOTKIT_APP__API_SECRET_FILE: shut/it"),
        ("BOTKIT_CONFIG", "shut/botkit.toml", "shut/botkit.toml"),
    ],
)
def test_secrets_and_settings_that_may_not_be_read_are_one_line_and_2(
    folder: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, name: str
) -> None:
    listed = folder / "listed"
    listed.mkdir()
    (listed / "BOTKIT_APP__API_SECRET").write_text("abc")
    listed.chmod(0o400)  # its names may be read, its files not
    monkeypatch.setenv(variable, value)
    code, (line,) = said("status")
    listed.chmod(0o700)
    assert code == 2
    assert name in line
    assert "Permission denied" in line
    assert "uid" in line or "right" in line


@NO_SETPRIV
@pytest.mark.parametrize(
    "arguments",
    [("run", "shut/bot.py:bot"), ("new", "shut/mybot"), ("events", "decode", "shut/x")],
)
def test_what_a_command_is_given_and_may_not_read_or_write_is_2(
    folder: Path, arguments: tuple[str, ...]
) -> None:
    del folder
    code, lines = said(*arguments)
    assert code == 2
    assert "Permission denied" in lines[-1]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("status", "--set", f"store.url=sqlite:///{LONG}"), 5),
        (("run", "bot.py:bot", "--set", f"store.url=sqlite:///{LONG}"), 5),
        (("status", "--config", LONG), 2),
        (("run", f"{LONG}.py:bot"), 2),
        (("new", f"{LONG}/mybot"), 2),
    ],
)
def test_a_name_that_is_too_long_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int
) -> None:
    del folder
    assert main(arguments) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert "File name too long" in line


@pytest.mark.parametrize(
    "arguments", [("status",), ("run", "bot.py:bot"), ("setup",), ("demo",), ()], ids=" ".join
)
def test_a_working_folder_that_is_gone_is_one_line_and_2(
    folder: Path, arguments: tuple[str, ...]
) -> None:
    called = ["-m", "botkit", *arguments] if arguments else [str(folder / "bot.py")]
    script = 'mkdir gone && cd gone && rmdir "$PWD" && exec "$@"'
    done = subprocess.run(
        ["sh", "-c", script, "sh", sys.executable, *called],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "The current folder is not there any more." in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def homeless(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user whom the system does not know, without HOME: as in many containers."""
    import pwd

    def unknown(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    return folder


def test_without_a_home_folder_a_store_in_it_is_refused_by_name(
    homeless: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del homeless
    assert main(["status", "--set", "store.url=sqlite:///~/botkit.db"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "Set HOME, or write the whole path" in line


def test_without_a_home_folder_the_key_has_no_place_there(homeless: Path) -> None:
    with pytest.raises(VaultKeyError, match="Set HOME, or give the key"):
        key_path(STORE_ID)
    settings = load_settings()
    with pytest.raises(VaultKeyError, match="There is no home folder"):
        find_key(settings, store_id=STORE_ID)
    assert not list(homeless.glob("~*"))


def test_without_a_home_folder_a_key_beside_the_store_is_found(homeless: Path) -> None:
    beside = homeless / "botkit.db.key"
    beside.write_text("00" * 32)
    beside.chmod(0o600)
    assert find_key(load_settings(), store_id=STORE_ID) == bytes(32)


def test_a_fault_of_the_network_is_not_taken_for_one_of_files() -> None:
    assert as_config_error(ConnectionRefusedError(111, "Connection refused")) is None
    assert as_config_error(OSError("no number")) is None


def test_a_fault_of_files_names_the_file_and_the_cure() -> None:
    error = as_config_error(PermissionError(13, "Permission denied", "/a/b"))
    assert isinstance(error, ConfigError)
    assert str(error).startswith("/a/b: Permission denied. Give this user the right to it")
