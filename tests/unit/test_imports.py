"""`import botkit` costs next to nothing: what is heavy is imported where it is used."""

from __future__ import annotations

import subprocess
import sys

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
