"""What no linter sees: locks without addresses, files without machine paths, modules of readable size."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SHAPE: dict[str, Any] = PROJECT["tool"]["botkit"]["shape"]
LOCKS = ("bootstrap.lock", "requirements.lock", "requirements-runtime.lock")
TOP_LEVEL = {
    *(".ci", ".dockerignore", ".github", ".gitignore", ".pre-commit-config.yaml"),
    *("CHANGELOG.md", "LICENSE", "Makefile", "README.md", "SECURITY.md", "pyproject.toml", *LOCKS),
    *("botkit", "deploy", "docs", "examples", "tests"),
}
NO_IDEA = {"utils", "util", "helpers", "helper", "common", "misc", "manager"}
# Each with one letter in brackets, so that this file passes its own test.
MACHINE = re.compile(r"/roo[t]/|/hom[e]/[a-z]|/User[s]/[a-z]|/wor[k]/")
INDEX = re.compile(r"index-ur[l]|(PIP|UV)_INDE[X]|pypi\.or[g]/simple|files\.pythonhoste[d]")
# Papers that a reader of this repository does not have, and words that lead to them.
PAPERS = re.compile(
    r"x-platfor[m]|(?<![\w-])(reliabilit[y]|desig[n]|styl[e]|engin[e]|performanc[e]|recipe[s])\.md"
    r"|(?<![\w./-])share[d]/"
    r"|Source: (?:.*; )?(reliabilit[y]|desig[n]|styl[e]|engin[e]|performanc[e]|recipe[s])\b[ ,]"
)


@cache
def tracked() -> list[str]:
    """Return the files of the repository: what git knows and what it would take."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8", errors="replace")


def locked(lock: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", text_of(lock), re.MULTILINE):
        found.setdefault(canonicalize_name(name), set()).add(version)
    return found


def missing(lock: str, wanted: list[str]) -> list[str]:
    """Return the requirements that the lock does not pin, or pins to a version they refuse."""
    pins = locked(lock)
    found: list[str] = []
    for requirement in map(Requirement, wanted):
        versions = pins.get(canonicalize_name(requirement.name), set())
        if not versions or not all(
            requirement.specifier.contains(version) for version in versions
        ):
            found.append(str(requirement))
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_hashes_and_no_address(lock: str) -> None:
    lines = text_of(lock).splitlines()
    assert [
        line for line in lines if "://" in line or re.match(r"\s*--(?!hash=sha256:)", line)
    ] == []
    pins = [index for index, line in enumerate(lines) if re.match(r"\w", line)]
    assert pins
    assert [lines[index] for index in pins if "--hash=sha256:" not in lines[index + 1]] == []


def test_the_locks_meet_what_pyproject_asks_for() -> None:
    project = PROJECT["project"]
    extras = [line for extra in project["optional-dependencies"].values() for line in extra]
    base = project["dependencies"]
    assert missing("requirements-runtime.lock", base) == []
    assert (
        missing("requirements.lock", [*base, *extras, *PROJECT["dependency-groups"]["dev"]]) == []
    )
    assert missing("bootstrap.lock", ["uv"]) == []


def test_both_locks_pin_the_same_versions() -> None:
    everything = locked("requirements.lock")
    assert {
        name: pins
        for name, pins in locked("requirements-runtime.lock").items()
        if everything.get(name) != pins
    } == {}


def test_no_file_names_a_machine_or_an_index() -> None:
    found = [
        f"{name}:{number}: {line.strip()}"
        for name in tracked()
        for number, line in enumerate(text_of(name).splitlines(), start=1)
        if MACHINE.search(line) or INDEX.search(line)
    ]
    assert found == []


def test_no_file_points_to_a_paper_that_is_not_here() -> None:
    found = [
        f"{name}:{number}: {line.strip()}"
        for name in tracked()
        for number, line in enumerate(text_of(name).splitlines(), start=1)
        if PAPERS.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("page", ["requirements", "x-facts"])
def test_a_source_names_what_its_page_has(page: str) -> None:
    text = text_of(f"docs/explanation/{page}.md")
    known = {"", *re.findall(r"^\| (?:<a id=.+></a>)?([\w.]+) \|", text, re.MULTILINE)}
    known |= {
        title.lstrip("0123456789. ") for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }
    found: list[str] = []
    for name in (name for name in tracked() if name.endswith(".py")):
        for cited in re.findall(rf"{page}\.md, ([^;:(\n]+)", text_of(name)):
            for pair in re.findall(r'"([^"]+)"|\b([CLSGKF]?\d+(?:\.\d+)?)\b', cited):
                found += [f"{name}: {page}.md has no {item}" for item in pair if item not in known]
    assert len(known) > 1
    assert found == []


def test_the_top_level_holds_nothing_new() -> None:
    assert {Path(name).parts[0] for name in tracked()} - TOP_LEVEL == set()


def test_a_file_is_named_after_its_idea() -> None:
    assert [
        name for name in tracked() if name.endswith(".py") and Path(name).stem in NO_IDEA
    ] == []


def test_a_news_fragment_is_named_number_and_kind() -> None:
    kinds = "|".join(kind["directory"] for kind in PROJECT["tool"]["towncrier"]["type"])
    rest = {"README.md", ".gitkeep", "template.md.jinja"}
    fragment = re.compile(rf"(\d+|\+[\w-]+)\.({kinds})(\.\d+)?\.md")
    names = [Path(name).name for name in tracked() if name.startswith("docs/news/")]
    assert [name for name in names if name not in rest and not fragment.fullmatch(name)] == []


def limit_of(name: str, kind: str) -> int:
    """Return how many lines a file (its path) or a function (path::name) may have."""
    exceptions = {exception["name"]: exception["lines"] for exception in SHAPE["exceptions"]}
    limit: int = exceptions.get(name, SHAPE[kind])
    return limit


def own_lines(function: ast.AST, docstring: str | None) -> int:
    """Count the lines of a function's body without its docstring and the functions inside."""
    assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
    body = function.body if docstring is None else function.body[1:]
    lines = {line for node in body for line in range(node.lineno, (node.end_lineno or 0) + 1)}
    for node in ast.walk(function):
        if node is not function and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines -= set(range(node.lineno + 1, (node.end_lineno or 0) + 1))
    return len(lines)


def test_files_stay_within_their_size() -> None:
    found: list[str] = []
    for name in (name for name in tracked() if name.endswith(".py")):
        lines = len(text_of(name).splitlines())
        kind = "test_module_lines" if name.startswith("tests/") else "module_lines"
        if lines > limit_of(name, kind):
            found.append(f"{name}: {lines} lines, at most {limit_of(name, kind)}")
    assert found == []


def test_functions_stay_within_their_size() -> None:
    found: list[str] = []
    for name in tracked():
        if name.startswith(("botkit/", "examples/")) and name.endswith(".py"):
            for node in ast.walk(ast.parse(text_of(name))):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    lines = own_lines(node, ast.get_docstring(node))
                    limit = limit_of(f"{name}::{node.name}", "function_lines")
                    if lines > limit:
                        found.append(f"{name}::{node.name}: {lines} lines, at most {limit}")
    assert found == []


def test_an_exception_from_size_has_a_reason_and_a_file() -> None:
    for exception in SHAPE["exceptions"]:
        assert exception["reason"]
        assert (ROOT / exception["name"].partition("::")[0]).is_file()
