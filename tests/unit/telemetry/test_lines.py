"""A line is easy to read by people and by programs, and nobody else's text can break it."""

from __future__ import annotations

import io
import json
import logging
import re

import pytest

from botkit.telemetry.log import set_up_logging
from botkit.telemetry.logger import get_logger


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_of_text_has_time_level_event_part_and_values() -> None:
    out = io.StringIO()
    set_up_logging(json_lines=False, stream=out)
    get_logger("botkit.run").warning("slow", after_s=2.5, who="ada", why="two words", none=None)
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z \[warning \] slow {26} \[botkit\.run\]"
        r" after_s=2\.5 who=ada why='two words' none=None\n",
        out.getvalue(),
    )


def test_a_terminal_gets_text_in_colour_and_others_get_json() -> None:
    terminal, file = Terminal(), io.StringIO()
    for out in (terminal, file):
        set_up_logging(stream=out)
        get_logger("botkit.run").error("failed", status=503)
    assert "\x1b[1mfailed" in terminal.getvalue()
    assert "\x1b[31merror" in terminal.getvalue()
    assert "\x1b[36mstatus\x1b[0m=\x1b[35m503\x1b[0m" in terminal.getvalue()
    shown = json.loads(file.getvalue())
    assert shown.pop("timestamp").endswith("Z")
    assert shown == {"event": "failed", "status": 503, "level": "error", "logger": "botkit.run"}


def test_text_that_is_asked_for_has_colours_only_on_a_terminal() -> None:
    out = io.StringIO()
    set_up_logging(json_lines=False, stream=out)
    get_logger("botkit.run").info("running")
    assert "\x1b" not in out.getvalue()


def test_what_others_log_with_extra_values_is_shown_and_redacted() -> None:
    out = io.StringIO()
    set_up_logging(stream=out)
    logging.getLogger("shop").info("sold %s", "tea", extra={"cups": 2, "api_secret": "abc"})
    shown = json.loads(out.getvalue())
    assert shown["event"] == "sold tea"
    assert shown["cups"] == 2
    assert shown["api_secret"] == "[redacted]"


def test_a_value_that_json_does_not_know_is_shown_as_python_shows_it() -> None:
    out = io.StringIO()
    set_up_logging(stream=out)
    get_logger("botkit.run").info("seen", kinds={"a"}, error=ValueError("x"))
    shown = json.loads(out.getvalue())
    assert shown["kinds"] == "{'a'}"
    assert shown["error"] == "ValueError: x"


@pytest.mark.parametrize("json_lines", [True, False])
def test_an_exception_and_a_stack_are_shown_below_or_as_values(*, json_lines: bool) -> None:
    out = io.StringIO()
    set_up_logging(json_lines=json_lines, stream=out)
    try:
        int("first\nsecond")
    except ValueError:
        get_logger("botkit.run").exception("failed", attempt=1)
    logging.getLogger("other").warning("where", stack_info=True)
    lines = out.getvalue().splitlines()
    assert "ValueError: invalid literal" in out.getvalue()
    assert "Stack (most recent call last)" in out.getvalue()
    if json_lines:
        assert [sorted(set(json.loads(line)) & {"exception", "stack"}) for line in lines] == [
            ["exception"],
            ["stack"],
        ]


@pytest.mark.parametrize("name", ["debug", "info", "warning", "error", "critical", "exception"])
def test_a_level_that_is_not_wanted_costs_no_line(name: str) -> None:
    out = io.StringIO()
    set_up_logging(level="warning", stream=out)
    getattr(get_logger("botkit.run"), name)("said", name="a value may be called so")
    wanted = name not in {"debug", "info"}
    assert bool(out.getvalue()) is wanted
    assert ("a value may be called so" in out.getvalue()) is wanted
