"""Each name of the front door has a use in a page or an example, beside the list of them all."""

from __future__ import annotations

import re

import pytest

import botkit
from tests.docs.pages import ROOT, pages

LISTS = {"api.md"}


def _shown() -> str:
    files = [page for page in pages() if page.name not in LISTS]
    files += [*(ROOT / "examples").rglob("*.py"), *(ROOT / "botkit/cli/templates").glob("*.txt")]
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


@pytest.fixture(scope="module")
def shown() -> str:
    return _shown()


@pytest.mark.parametrize("name", sorted(set(botkit.__all__) - {"__version__"}))
def test_a_public_name_has_a_use(name: str, shown: str) -> None:
    assert re.search(rf"\b{name}\b", shown), f"no page and no example uses {name}"
