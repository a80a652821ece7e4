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
LONG = "2127393729684701184/post/2127393771350917120/0#0/greet/createPosts/2127393771350917120/0"


@pytest.fixture
def shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[str]]:
    def show(
        headers: tuple[str, ...] = HEADERS,
        rows: tuple[tuple[str, ...], ...] = ROWS,
        *,
        on_terminal: bool,
        width: int = 80,
        key: str = "key",
    ) -> list[str]:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: on_terminal)
        monkeypatch.setenv("COLUMNS", str(width))
        print_rows(headers, rows, key=key)
        return re.sub(r"\x1b\[[01]m", "", capsys.readouterr().out).splitlines()

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
    header, first, second = shown(on_terminal=True)
    at = header.index("key")
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


def test_a_last_column_is_cut_where_the_window_ends(shown: Callable[..., list[str]]) -> None:
    rows = (("done", "post/1/0", "語" * 40), ("done", "post/2/0", "x" * 66))
    _, first, second = shown(rows=rows, on_terminal=True, width=40)
    assert first == f"done   post/1/0  {'語' * 11}…"
    assert second == f"done   post/2/0  {'x' * 22}…"


@pytest.mark.parametrize(
    ("headers", "row"),
    [(("when", "key", "state", "about"), 1), (("when", "state", "made", "key"), 3)],
)
@pytest.mark.parametrize("width", [80, 40])
def test_a_key_is_whole_in_any_window(
    shown: Callable[..., list[str]], headers: tuple[str, ...], row: int, width: int
) -> None:
    cells = ["2026-11-30T12:00:00Z", "done", "a text that is cut"]
    cells.insert(row, LONG)
    lines = shown(headers, (tuple(cells),), on_terminal=True, width=width)
    assert lines[2].startswith("2026-11-30T12:00:00Z  done")
    assert lines[3] == f"  {LONG}"
    assert all(len(line) <= width for line in lines if LONG not in line)


def test_without_rows_nothing_is_printed(shown: Callable[..., list[str]]) -> None:
    assert shown(rows=(), on_terminal=True) == []
