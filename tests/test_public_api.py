"""The public surface is a list in a file, so that a change of it is a visible line in a diff."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

import botkit
from tests.public_api import LIST, modules, surface


def test_the_surface_is_the_one_on_record() -> None:
    recorded = LIST.read_text(encoding="utf-8").splitlines()
    assert surface() == recorded, "if the change is wanted: .venv/bin/python -m tests.public_api"


@pytest.mark.parametrize("module", modules())
def test_every_public_name_is_there_and_listed_once(module: str) -> None:
    room = import_module(module)
    names: list[str] = list(getattr(room, "__all__", ()))
    assert len(names) == len(set(names))
    assert [name for name in names if not hasattr(room, name)] == []


def test_the_front_door_shows_checkers_the_names_that_it_opens() -> None:
    tree = ast.parse(Path(botkit.__file__).read_text(encoding="utf-8"))
    shown = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for imported in node.body
        if isinstance(imported, ast.ImportFrom)
        for alias in imported.names
    }
    opened = {
        name
        for name in getattr(botkit, "__all__", ())
        if name not in vars(botkit) or name in shown
    }
    assert shown == opened - {"__version__"}
