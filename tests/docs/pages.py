"""Reads the code blocks of README and docs, with the marks that say how each is run.

A mark is an HTML comment on the line before the fence:

    <!-- not run: why it cannot be here -->
    <!-- write: FILE -->        the block becomes that file of the page's folder
    <!-- is: FILE -->           the file is there already, and says just this
    <!-- input: FILE -->        the commands read that file of the page's folder
    <!-- background -->         the commands go on while the rest of the page runs
    <!-- fails: CODE -->        the last command ends with that exit code
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["ROOT", "Block", "blocks_of", "pages"]

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,}|:{3,})(?P<info>.*)$")
_MARK = re.compile(r"^\s*<!--\s*(?P<name>[a-z ]+?)(?::\s*(?P<value>.*?))?\s*-->\s*$")
_NAMES = frozenset({"not run", "write", "is", "input", "background", "fails"})


@dataclass(frozen=True, kw_only=True)
class Block:
    """One code block: where it stands, its language, its marks and its text."""

    page: str
    line: int
    language: str
    text: str
    marks: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """Every page that a reader meets, README first; what others decided or noted is left out."""
    docs = ROOT / "docs"
    left_out = {"_build", "decisions", "news"}
    found = [p for p in sorted(docs.rglob("*.md")) if not left_out & set(p.parts)]
    return [ROOT / "README.md", *found]


def blocks_of(page: Path) -> list[Block]:
    """The code blocks of a page, in order; directives of the documentation are none."""
    return [block for block in _all(page) if not block.language.startswith("{")]


def _all(page: Path) -> Iterator[Block]:
    name = str(page.relative_to(ROOT))
    lines = page.read_text(encoding="utf-8").splitlines()
    marks: dict[str, str] = {}
    at = 0
    while at < len(lines):
        mark, fence = _MARK.match(lines[at]), _FENCE.match(lines[at])
        if mark is not None:
            if mark["name"] not in _NAMES:
                raise ValueError(f"{name}:{at + 1}: no such mark: {mark['name']}")
            marks[mark["name"]] = mark["value"] or ""
        elif fence is not None:
            end = at + 1
            while end < len(lines) and lines[end].strip() != fence["ticks"]:
                end += 1
            body = [line.removeprefix(fence["indent"]) for line in lines[at + 1 : end]]
            yield Block(
                page=name,
                line=at + 2,
                language=fence["info"].strip(),
                text="".join(f"{line}\n" for line in body),
                marks=marks,
            )
            marks, at = {}, end
        elif marks:
            raise ValueError(f"{name}:{at + 1}: a mark stands right before its block")
        at += 1
