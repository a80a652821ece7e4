"""The log for people reads like a transcript."""

from __future__ import annotations

import io
import logging
from typing import Any

import pytest
import structlog

from botkit.bot.serving import log_as
from botkit.config import Settings, wants_color
from botkit.telemetry.log import set_up_logging

TIME = 21
"""The characters of the time and the blank behind it."""


def line(event: str, *, level: str = "info", in_color: bool = False, **fields: Any) -> str:
    out = io.StringIO()
    set_up_logging(as_json=False, stream=out, in_color=in_color)
    getattr(structlog.get_logger("botkit.x"), level)(event, **fields)
    return out.getvalue().removesuffix("\n")


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"event": "bot.hears", "sources": ["stream", "mentions"]}, "bot      hears · sources stream, mentions"),
        ({"event": "login.state_changed", "status": "OK", "account": "12"}, "login    state changed · status OK · account 12"),
        ({"event": "bot.stopped", "still_running": [], "why": "", "until": None}, "bot      stopped"),
        ({"event": "account.joined", "account": "ada", "sources": {"stream": "a"}}, "account  joined · @ada · sources stream: a"),
        ({"event": "rate_limit.reached", "announced": True, "wait_s": 60.0, "left": 0}, "rate limit reached · announced yes · wait 60 s · left 0"),
        (
            {"event": "label.incomplete", "level": "warning", "next_step": "botkit checklist", "done": 0},
            "warning: label incomplete · done 0 · next: botkit checklist",
        ),
        ({"event": "write.refused", "why": "a · status OK"}, 'write    refused · "a · status OK"'),
        ({"event": "part.state_changed", "part": "http", "state": "live", "detail": "port 80"}, "part     http live · port 80"),
        ({"event": "part.state_changed", "part": "http"}, "part     state changed · part http"),
        (
            {"event": "write.confirmed", "write": "1/a", "operation": "createPosts", "result": "7", "cost_usd": "0.010", "took_ms": 57},
            "write    confirmed · createPosts → 7 · cost 0.010 USD · took 57 ms · write 1/a",
        ),
        ({"event": "a sentence", "detail": "and more"}, "botkit.x a sentence · and more"),
    ],
)  # fmt: skip
def test_a_line_has_a_topic_what_happened_and_its_fields(
    fields: dict[str, Any], shown: str
) -> None:
    assert line(**fields)[TIME:] == shown


def test_a_line_begins_with_its_time_in_utc() -> None:
    time = line("bot.hears")[: TIME - 1]
    assert time[10] == "T"
    assert time.endswith("Z")
    assert len(time) == len("2026-11-30T12:00:00Z")


def test_a_line_of_another_library_names_its_logger() -> None:
    out = io.StringIO()
    set_up_logging(as_json=False, stream=out)
    logging.getLogger("other.part").error("it broke")
    assert out.getvalue()[TIME:] == "error: other.part it broke\n"


@pytest.mark.parametrize(
    ("environ", "on_terminal", "wanted"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"TERM": "dumb"}, True, False),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
    ],
)
def test_the_environment_decides_on_colors(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], *, on_terminal: bool, wanted: bool
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert wants_color(on_terminal=on_terminal) is wanted


def test_the_log_of_the_settings_obeys_them(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    for name, color in (("FORCE_COLOR", True), ("NO_COLOR", False)):
        monkeypatch.setenv(name, "1")
        monkeypatch.setattr("sys.stderr", out := Terminal())
        log_as(Settings())
        structlog.get_logger("botkit.x").error("login.gone")
        assert ("\x1b" in out.getvalue()) is color


def test_colors_are_there_only_if_they_are_wanted() -> None:
    assert "\x1b" not in line("login.gone", level="error")
    assert "\x1b[31merror: login gone\x1b[0m" in line("login.gone", level="error", in_color=True)
    assert "\x1b[2m" in line("bot.hears", in_color=True)
