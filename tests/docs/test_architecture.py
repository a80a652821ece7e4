"""The page on the architecture names what is there."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

sys.path.append(str(ROOT / "docs" / "_ext"))

from architecture_figure import contracts, purpose, rooms

PAGE = (ROOT / "docs" / "contributing" / "architecture.md").read_text(encoding="utf-8")
ROOMS = {room.split(".")[1] for room in rooms(contracts())}
NAMES = sorted(
    {
        name
        for name in re.findall(r"`([a-z_0-9.]+)`", PAGE)
        if "." in name and name.split(".")[0] in ROOMS
    }
)
FILES = sorted(set(re.findall(r"`((?:botkit|docs|tests)/[\w./-]+)`", PAGE)))
CALLED = sorted(set(re.findall(r"`([a-z_.0-9]+)`[^`|]{0,3}[:(] ?`(_?[A-Za-z_]+)`", PAGE)))


def file_of(name: str) -> Path | None:
    """Return the file of a module or package below `botkit`, None if there is none."""
    path = ROOT.joinpath("botkit", *name.split("."))
    found = [path / "__init__.py", path.with_suffix(".py")]
    return next((file for file in found if file.is_file()), None)


def names_in(file: Path) -> set[str]:
    """Return the functions and classes that a module defines, methods too."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


@pytest.mark.parametrize("name", NAMES)
def test_each_module_on_the_page_exists(name: str) -> None:
    assert file_of(name), f"the architecture page names {name}: say where it is now"


@pytest.mark.parametrize("path", FILES)
def test_each_file_on_the_page_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize(("module", "name"), CALLED)
def test_each_function_that_stands_behind_its_module_is_in_it(module: str, name: str) -> None:
    file = file_of(module)
    assert file is not None
    assert name in names_in(file)


def test_the_page_names_enough_to_be_checked() -> None:
    assert (len(NAMES) > 40, len(FILES) > 3, len(CALLED) > 5) == (True, True, True)


@pytest.mark.parametrize("room", [*rooms(contracts())])
def test_each_room_says_what_it_is_for(room: str) -> None:
    assert purpose(room) or file_of(room.removeprefix("botkit.")) is None
