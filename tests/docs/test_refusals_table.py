"""The page on refusals says what the code does."""

from __future__ import annotations

from tests.refusals_table import rendered, written


def test_the_page_has_the_table_of_the_code() -> None:
    assert written() == rendered(), (
        "if the change is wanted: .venv/bin/python -m tests.refusals_table"
    )
