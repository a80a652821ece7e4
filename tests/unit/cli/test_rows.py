"""Rows for a person and for a pipe."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest

from botkit.cli.rows import print_rows

if TYPE_CHECKING:
    from collections.abc import Callable

HEADERS = ("state", "key", "why")
ROWS = (("done", "post/1/0", ""), ("dead", "post/22/0", "[bold]no[/bold] \x1b[31m\nstop"))


@pytest.fixture
def shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[str]]:
    def show(*, on_terminal: bool) -> list[str]:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: on_terminal)
        print_rows(HEADERS, ROWS)
        return capsys.readouterr().out.splitlines()

    return show


def test_in_a_pipe_a_row_is_a_line_without_what_is_empty(
    shown: Callable[..., list[str]],
) -> None:
    first, second = shown(on_terminal=False)
    assert first == "done  post/1/0"
    assert second.startswith("dead  post/22/0  [bold]no[/bold] ")


def test_on_a_terminal_the_columns_stand_under_their_headers(
    shown: Callable[..., list[str]],
) -> None:
    header, first, second, *_ = shown(on_terminal=True)
    at = re.sub(r"\x1b\[\d*m", "", header).index("key")
    assert first[at:].startswith("post/1/0")
    assert second[at:].startswith("post/22/0")


@pytest.mark.parametrize("on_terminal", [True, False])
def test_what_came_from_outside_neither_colours_nor_breaks_a_row(
    shown: Callable[..., list[str]],
    on_terminal: bool,  # noqa: FBT001
) -> None:
    lines = shown(on_terminal=on_terminal)
    assert "[bold]no[/bold]" in " ".join(lines)
    assert not any("\x1b[31m" in line for line in lines)
