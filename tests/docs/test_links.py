"""What code and pages point to is there."""

from __future__ import annotations

import re

import pytest

from botkit import errors
from tests.docs.pages import ROOT, pages

ERRORS = [getattr(errors, name) for name in errors.__all__]
WITH_PAGES = {kind.docs for kind in ERRORS if issubclass(kind, errors.BotkitError)}


@pytest.mark.parametrize("page", sorted(WITH_PAGES))
def test_the_page_that_an_error_points_to_is_there(page: str) -> None:
    assert (ROOT / "docs" / page).with_suffix(".md").is_file()


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_a_link_to_another_file_leads_to_one(page) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
