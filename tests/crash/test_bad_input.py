"""What a person got wrong: one clear line with the cure, the right exit code, nothing lost."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crash.conftest import Machine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

KEY_NAME = "BOTKIT_STORE__KEY"
OTHER_KEY = "q0Yw2sT0fUjJtMZ6iN3b1cVd9eRgXhKaLpOuQsWzYxA="


@pytest.fixture
def machine(copied: Machine) -> Machine:
    """An authorized machine; a copy will do, because none of these comes as far as running."""
    return copied


def said(done: subprocess.CompletedProcess[str], *, code: int) -> str:
    """The one thing that the command said, after its exit code was looked at."""
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("botkit: ")]
    assert len(lines) == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("setting", "cure"),
    [
        ({"BOTKIT_APP__CLIENT_IDD": "x"}, "did you mean BOTKIT_APP__CLIENT_ID?"),
        ({"BOTKIT_SOTRE__URL": "sqlite:///a.db"}, "did you mean BOTKIT_STORE__URL?"),
        ({"BOTKIT_BOT__SOURCE": "telepathy"}, "BOTKIT_BOT__SOURCE"),
        ({"BOTKIT_APP__CLIENT_SECRET_FILE": "nowhere"}, "BOTKIT_APP__CLIENT_SECRET_FILE"),
        ({"BOTKIT_X__API_URL": "http://x.example"}, "use https"),
    ],
)
def test_a_setting_that_is_wrong_is_named(stranger: Machine, setting, cure):
    assert cure in said(stranger.do("run", "bot.py:bot", env=setting), code=2)


def test_a_setting_of_botkit_toml_that_is_misspelt_is_named(stranger: Machine):
    stranger.write('[bot]\ntargt = "bot.py:bot"\n', "botkit.toml")

    assert "did you mean bot.target?" in said(stranger.do("run"), code=2)


def test_a_secret_that_is_missing_is_named_with_the_place_to_find_it(stranger: Machine):
    done = stranger.do("setup", "--no-browser", env={"BOTKIT_APP__CLIENT_ID": "abc"})

    err = said(done, code=2)
    assert "client_secret is missing" in err
    assert "BOTKIT_APP__CLIENT_SECRET_FILE" in err
    assert done.stdout == ""
    assert not list(stranger.folder.glob("*.db"))


def test_a_secret_on_the_command_line_is_refused_and_not_repeated(stranger: Machine):
    err = said(stranger.do("status", "--set", "app.client_secret=hush"), code=2)

    assert "BOTKIT_APP__CLIENT_SECRET_FILE" in err
    assert "hush" not in err


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        ("answer = 42", "bot.py:bot", "holds no Bot at all"),
        ("from botkit import Bot\nbot = Bot('a')", "bot.py:robot", "It holds: bot"),
        ("bot = 42", "bot.py:bot", "is a int, not a Bot"),
        ("import nothing_of_that_name", "bot.py:bot", "not installed"),
        ("1 / 0", "bot.py:bot", "ZeroDivisionError"),
        ("", "elsewhere.py:bot", "no file"),
        ("", "elsewhere:bot", "no module 'elsewhere'"),
        ("", "bot.py", "names no bot"),
    ],
)
def test_a_module_without_the_bot_is_said(stranger: Machine, source, target, words):
    stranger.write(source)

    assert words in said(stranger.do("run", target), code=2)


def test_a_handler_with_a_parameter_that_nobody_provides_is_named_with_file_and_line(
    stranger: Machine,
):
    stranger.write(
        "from botkit import Bot, Mention\n"
        "class Model: ...\n"
        "bot = Bot('greeter')\n"
        "@bot.on(Mention)\n"
        "async def greet(mention: Mention, model: Model) -> None: ...\n"
    )

    err = said(stranger.do("run", "bot.py:bot"), code=2)

    assert "greet" in err
    assert f"{stranger.folder / 'bot.py'}:4" in err
    assert "'model'" in err
    assert "Model" in err


def test_without_an_account_run_says_the_two_ways_on(stranger: Machine):
    err = said(stranger.do("run", "bot.py:bot"), code=2)

    assert "botkit setup" in err
    assert "botkit dev" in err
    assert not list(stranger.folder.glob("*.db"))


@pytest.mark.parametrize(
    ("started", "named"),
    [
        (("bot.py",), "bot.py:bot"),
        (("inner/bot.py",), "inner/bot.py:bot"),
        (("-m", "inner.bot"), "inner.bot:bot"),
    ],
)
def test_without_an_account_bot_run_says_the_two_ways_on_with_its_own_name(
    started: tuple[str, ...], named: str, stranger: Machine
):
    source = (stranger.folder / "bot.py").read_text()
    stranger.write(source + "\n\nif __name__ == '__main__':\n    bot.run()\n")
    (stranger.folder / "inner").mkdir()
    shutil.copy(stranger.folder / "bot.py", stranger.folder / "inner" / "bot.py")

    err = said(stranger.do(*started), code=2)

    assert "botkit setup" in err
    assert f"botkit dev {named}`" in err


def test_with_a_store_but_without_an_account_the_two_ways_on_are_said_too(machine: Machine):
    with sqlite3.connect(machine.folder / "botkit.db") as store:
        store.execute("DELETE FROM credential")
        store.execute("DELETE FROM account")
    store.close()

    err = said(machine.do("run", "bot.py:bot"), code=2)

    assert "botkit setup" in err
    assert "botkit dev" in err


def test_a_store_of_a_newer_version_is_left_as_it_is(machine: Machine):
    path = machine.folder / "botkit.db"
    with sqlite3.connect(path) as store:
        (version,) = store.execute("PRAGMA user_version").fetchone()
        store.execute(f"PRAGMA user_version = {version + 1}")
    store.close()
    before = path.read_bytes()

    err = said(machine.do("run", "bot.py:bot"), code=5)

    assert "newer" in err
    assert path.read_bytes() == before


def test_a_store_that_is_no_store_is_left_as_it_is(machine: Machine):
    path = machine.folder / "botkit.db"
    for file in machine.folder.glob("botkit.db*"):
        file.unlink()
    path.write_bytes(b"my diary " * 1000)

    said(machine.do("run", "bot.py:bot"), code=5)

    assert path.read_bytes() == b"my diary " * 1000


def test_with_the_wrong_vault_key_it_does_not_start_and_the_right_one_still_works(
    machine: Machine,
):
    err = said(machine.do("run", "bot.py:bot", env={KEY_NAME: OTHER_KEY}), code=5)

    assert "key" in err
    assert OTHER_KEY not in err
    assert machine.do("accounts", "show").returncode == 0


def test_without_the_vault_key_it_does_not_start_and_makes_no_new_one(
    machine: Machine, tmp_path: Path
):
    keys = list((tmp_path / "config").rglob("*.key"))
    assert len(keys) == 1
    keys[0].rename(tmp_path / "kept.key")

    err = said(machine.do("run", "bot.py:bot"), code=2)

    assert KEY_NAME in err
    assert not list((tmp_path / "config").rglob("*.key"))
    shutil.move(tmp_path / "kept.key", keys[0])
    assert machine.do("accounts", "show").returncode == 0


def test_a_vault_key_that_is_no_key_is_said_without_showing_it(machine: Machine):
    err = said(machine.do("run", "bot.py:bot", env={KEY_NAME: "hush-hush"}), code=5)

    assert KEY_NAME in err
    assert "hush-hush" not in err


def test_setup_says_that_the_callback_port_is_taken_before_it_shows_an_address(
    stranger: Machine, world
):
    place = urlsplit(world.environment["BOTKIT_APP__REDIRECT_URI"])
    with socket.socket() as taken:
        taken.bind((place.hostname, place.port))
        taken.listen()
        done = stranger.do("setup", "--no-browser", "--make-key", env=world.environment)

    err = said(done, code=2)
    assert f"Port {place.port}" in err
    assert "redirect_uri" in err
    assert "listening" not in err
    assert done.stdout == ""


def test_setup_without_a_terminal_makes_no_vault_key_that_was_not_asked_for(
    stranger: Machine, world
):
    done = stranger.do("setup", "--no-browser", env=world.environment, stdin=subprocess.DEVNULL)

    err = said(done, code=2)
    assert "no vault key" in err
    assert "--make-key" in err
    assert done.stdout == ""
    assert not list(stranger.folder.parent.rglob("*.key"))


def test_sandbox_says_that_its_port_is_taken(stranger: Machine):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        err = said(stranger.do("sandbox", "--port", str(port)), code=2)

    assert str(port) in err


def test_setup_says_that_the_stores_folder_cannot_be_written(stranger: Machine, world):
    locked = stranger.folder / "locked"
    locked.mkdir(mode=0o555)
    url = {"BOTKIT_STORE__URL": f"sqlite:///{locked / 'botkit.db'}"}
    done = as_nobody(stranger, "setup", "bot.py:bot", "--no-browser", env=world.environment | url)

    err = said(done, code=5)
    assert str(locked) in err
    assert done.stdout == ""


def test_run_says_that_the_store_cannot_be_written(machine: Machine):
    for file in (machine.folder, *machine.folder.iterdir()):
        file.chmod(0o555 if file.is_dir() else 0o444)
    done = as_nobody(machine, "run", "bot.py:bot")
    machine.folder.chmod(0o755)

    err = said(done, code=5)
    assert "botkit.db" in err


def as_nobody(
    machine: Machine, *arguments: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command as a user who is not root and may read everything but write nothing."""
    if os.geteuid() != 0:
        return machine.do(*arguments, env=env or {})
    if shutil.which("setpriv") is None:
        pytest.skip("root may write everywhere, and setpriv is not here to become somebody else")
    # Only these rights of root's, so that the folders above can still be walked through.
    keep = "-all,+dac_read_search"
    return machine.do(
        *arguments,
        env=env or {},
        before=("setpriv", "--bounding-set", keep, "--inh-caps", "-all"),
    )
