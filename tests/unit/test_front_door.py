"""`from botkit import ...` gives every public name, and costs nothing until one is asked for."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import botkit

HEAVY = ("aiohttp", "asyncio", "cryptography", "msgspec", "pydantic", "re", "zoneinfo")


def shown_to_checkers() -> dict[str, str]:
    """Name to module, as the block under TYPE_CHECKING imports them."""
    tree = ast.parse(Path(botkit.__file__).read_text(encoding="utf-8"))
    return {
        alias.name: imported.module or ""
        for node in tree.body
        if isinstance(node, ast.If)
        for imported in node.body
        if isinstance(imported, ast.ImportFrom)
        for alias in imported.names
    }


def test_checkers_and_the_interpreter_see_the_same_names() -> None:
    assert sorted({*shown_to_checkers(), "__version__"}) == sorted(botkit.__all__)


@pytest.mark.parametrize("name", sorted(shown_to_checkers()))
def test_a_name_is_what_checkers_take_it_for(name: str) -> None:
    module = import_module(shown_to_checkers()[name])
    assert getattr(botkit, name) is getattr(module, name)
    assert name in dir(botkit)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'botkit' has no attribute 'Listener'"):
        botkit.Listener  # type: ignore[attr-defined]  # noqa: B018


def test_importing_botkit_imports_nothing_that_costs_time() -> None:
    code = f"import sys; old = set(sys.modules); import botkit; print(*[m for m in {HEAVY} if m in set(sys.modules) - old])"
    found = subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=Path(botkit.__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == []


def test_a_router_module_needs_no_http_and_no_settings() -> None:
    code = "import sys; from botkit import Router, Mention, Match; import botkit.filters; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(found.stdout.split())
    assert "msgspec" in loaded
    assert {"aiohttp", "cryptography", "pydantic", "sqlite3"} & loaded == set()
