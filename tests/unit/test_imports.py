"""`import botkit` costs next to nothing: what is heavy is imported where it is used."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from botkit.config import surroundings
from tests.bench import ready

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = (
    "aiohttp",
    "pydantic",
    "pydantic_settings",
    "cryptography",
    "authlib",
    "rich",
    "structlog",
    "jinja2",
)

NOT_FOR_RUNNING = (
    "authlib",
    "botkit.protocol.refusals.table",
    "botkit.sandbox",
    "tests.storage.conformance",
    "botkit.wizard",
    "cronsim",
    "html.entities",
    "jinja2",
    "prompt_toolkit",
    "pygments",
    "pytest",
    "rich.console",
    "watchfiles",
)
"""What a bot without a cron line starts without: other commands need it, or a later moment."""


def loaded_after(code: str) -> set[str]:
    shown = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}; print(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    )
    return set(shown.stdout.split())


def test_import_botkit_loads_nothing_heavy() -> None:
    assert loaded_after("import botkit").intersection(HEAVY) == set()


def test_the_probe_would_see_a_heavy_module() -> None:
    assert "aiohttp" in loaded_after("import aiohttp")


def loaded_by_a_running_bot(folder: Path) -> set[str]:
    """All modules that `botkit run` has imported when it says that the bot runs."""
    environ = {name: v for name, v in surroundings().items() if not name.startswith("BOTKIT_")}
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "botkit", "run"],
        cwd=folder,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        said: list[str] = []
        for line in process.stderr:
            said.append(line)
            if ready.RUNNING in line:
                break
        process.kill()
    assert ready.RUNNING in said[-1], "".join(line for line in said if "import time" not in line)
    named = re.compile(r"import time: +\d+ \| +\d+ \| +(\S+)")
    return {found[1] for line in said if (found := named.match(line))}


@pytest.mark.slow
def test_a_bot_starts_without_what_only_other_commands_need(tmp_path: Path) -> None:
    ready.prepare(tmp_path)
    loaded = loaded_by_a_running_bot(tmp_path)
    assert {"aiohttp", "botkit.runtime.dispatch.dispatcher", "cryptography", "sqlite3"} <= loaded
    assert loaded.intersection(NOT_FOR_RUNNING) == set()
