"""Every code block of README and docs runs, or says why it cannot."""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from botkit import Bot
from botkit.config import load_settings
from botkit.sandbox import Sandbox
from tests.docs.pages import ROOT, Block, blocks_of, pages
from tests.docs.shell import Shell, looks_like

LANGUAGES = {"python", "sh", "console", "toml", "json", "text"}
PAGES = {str(page.relative_to(ROOT)): blocks_of(page) for page in pages()}


def of(languages: set[str]) -> list[str]:
    """Pages with blocks of one of these languages that can run."""
    return [
        name
        for name, blocks in PAGES.items()
        if any(b.language in languages and "not run" not in b.marks for b in blocks)
    ]


@pytest.mark.parametrize("page", PAGES)
def test_each_block_names_its_language_and_a_block_that_cannot_run_says_why(page: str) -> None:
    for block in PAGES[page]:
        assert block.language in LANGUAGES, f"{block}: {block.language!r}"
        if "not run" in block.marks:
            assert len(block.marks["not run"]) > 10, f"{block}: why can it not run?"


@pytest.mark.parametrize("page", of({"python"}))
def test_the_python_of_a_page_runs_from_top_to_bottom(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)  # where stored classes look up their names
    names = vars(module)
    for block in PAGES[page]:
        if block.language != "python" or block.marks.keys() & {"not run", "write", "is"}:
            continue
        code = compile(
            "\n" * (block.line - 1) + block.text, ROOT / page, "exec", dont_inherit=True
        )
        exec(code, names)
        for bot in {value for value in names.values() if isinstance(value, Bot)}:
            bot.wiring  # noqa: B018 - a fault in it is raised here
        for name in [name for name in names if name.startswith("test_")]:
            test = names.pop(name)
            asked = inspect.signature(test).parameters
            given = {"sandbox": Sandbox(tmp_path / f"{block.line}-{name}")}
            done = test(**{wanted: given[wanted] for wanted in asked})
            if inspect.iscoroutine(done):
                asyncio.run(done)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", of({"sh", "console"}))
def test_the_commands_of_a_page_do_what_it_says(page: str, tmp_path: Path) -> None:
    with Shell(tmp_path) as shell:
        shell.open_x(keys_given=not page.startswith("docs/tutorial"))  # there a reader sets them
        for block in PAGES[page]:
            if "not run" in block.marks:
                continue
            if "write" in block.marks:
                file = shell.folder / block.marks["write"]
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(block.text)
            elif "is" in block.marks:
                written = (shell.folder / block.marks["is"]).read_text()
                assert written == block.text, f"{block}: {block.marks['is']} is\n{written}"
            elif block.language in {"sh", "console"}:
                shell.run(block)


@pytest.mark.parametrize("page", of({"toml", "json"}))
def test_settings_and_documents_can_be_read(page: str, tmp_path: Path) -> None:
    for block in PAGES[page]:
        if block.language == "json":
            json.loads(block.text)
        elif block.language == "toml" and "not run" not in block.marks:
            hooks = tomllib.loads(block.text).get("hooks", {})
            # A hook is refused without its secret, which comes from a file.
            names = [f"BOTKIT_HOOKS__{name.upper().replace('-', '_')}__TOKEN" for name in hooks]
            file = tmp_path / "botkit.toml"
            file.write_text(block.text)
            load_settings(config_file=file, environ=dict.fromkeys(names, "t" * 32))


def test_a_block_that_raises_or_a_wrong_output_would_be_noticed() -> None:
    assert looks_like("a ... c", "a\nb\nc\n")
    assert looks_like("a  b", "a b\n")
    assert not looks_like("a b", "a b c")
    assert not looks_like("a ... c", "a b")


def test_a_mark_that_nobody_knows_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.docs.pages.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("<!-- skip: lazy -->\n```sh\nfalse\n```\n")
    with pytest.raises(ValueError, match="no such mark: skip"):
        blocks_of(page)


def test_a_block_knows_its_line_its_language_and_its_marks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.docs.pages.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "# Page\n\n<!-- not run: X's console -->\n```sh\nls\n```\n\n```{toctree}\na\n```\n"
    )
    assert blocks_of(page) == [
        Block(page="page.md", line=5, language="sh", text="ls\n", marks={"not run": "X's console"})
    ]
