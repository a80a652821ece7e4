"""A thousand accounts with one cause are a few lines, and nothing that stands alone is left out."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from botkit.telemetry import repeated_lines
from botkit.telemetry.log import set_up_logging
from botkit.telemetry.repeated_lines import RepeatedLines, some_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_log = structlog.get_logger("botkit.test")


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    set_up_logging(as_json=True, stream=stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def close() -> None:
    logging.getLogger().handlers[0].close()


def test_the_first_lines_of_a_cause_are_written_and_the_others_counted(out: io.StringIO) -> None:
    for number in range(1000):
        _log.info("part.state_changed", part=f"mentions/bot{number}", state="live", detail="")
        _log.warning("account.not_subscribed", account=str(number), why=f"@bot{number} is dead")
    close()
    assert len(lines(out)) == 22
    assert [(one["of"], one["count"], one["level"]) for one in lines(out)[20:]] == [
        ("part.state_changed", 990, "info"),
        ("account.not_subscribed", 990, "warning"),
    ]
    assert (lines(out)[20]["part"], lines(out)[20]["state"]) == ("mentions", "live")


def test_what_differs_in_state_kind_or_level_is_counted_apart(out: io.StringIO) -> None:
    for state in ("live", "waiting", "wrong"):
        for number in range(8):
            _log.info("part.state_changed", part=f"mentions/bot{number}", state=state)
            _log.info("part.state_changed", part=f"messages/bot{number}", state=state)
            _log.error("part.state_changed", part=f"mentions/bot{number}", state=state)
    close()
    assert len(lines(out)) == 72


def test_critical_lines_and_those_of_other_programs_are_never_left_out(out: io.StringIO) -> None:
    for number in range(50):
        _log.critical("new_token.not_stored", account=str(number))
        logging.getLogger("another").warning("the same")
    close()
    assert len(lines(out)) == 100


def test_after_ten_seconds_lines_are_written_again(
    out: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(15):
        _log.info("event.parked", waiting_for="rate")
    monkeypatch.setattr(repeated_lines, "_WINDOW_S", 0.0)
    _log.info("event.parked", waiting_for="rate")
    assert [one["event"] for one in lines(out)[9:]] == [
        "event.parked",
        "log_lines.left_out",
        "event.parked",
    ]
    assert lines(out)[10]["count"] == 5


def _written(lines: RepeatedLines, seconds: Iterable[float], name: str = "event.parked") -> int:
    records = [
        logging.makeLogRecord({"msg": {"event": name}, "created": at, "levelno": 20})
        for at in seconds
    ]
    return sum(lines.filter(record) for record in records)


def test_while_a_cause_goes_on_one_line_in_ten_seconds_is_written() -> None:
    lines = RepeatedLines()
    flood = [at / 10 for at in range(3000)]
    assert _written(lines, flood[:100]) == 10
    assert _written(lines, flood[100:]) == 29
    assert _written(lines, [299.95] * 8, "event.dead_lettered") == 8, "another cause is not cut"
    assert _written(lines, [301.0, 302.0]) == 1
    assert _written(lines, [312.0 + at for at in range(8)]) == 8, "it had ended"
    lines.tell()


def test_after_a_pause_a_cause_has_its_first_lines_again() -> None:
    lines = RepeatedLines()
    assert _written(lines, [1.0] * 50) == 10
    lines.tell()
    assert _written(lines, [12.0] * 50) == 1
    lines.tell()
    assert _written(lines, [60.0] * 50) == 10
    lines.tell()


def test_the_number_comes_although_nothing_else_is_logged(
    out: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    timers: list[Any] = []

    class Timer:
        def __init__(self, seconds: float, tell: Any) -> None:
            self.seconds, self.tell = seconds, tell
            timers.append(self)

        def start(self) -> None:
            """Wait for the test."""

        def cancel(self) -> None:
            """Be over."""

    monkeypatch.setattr(repeated_lines.threading, "Timer", Timer)
    for _ in range(30):
        _log.info("event.parked", waiting_for="rate")
    (timer,) = timers
    assert (timer.seconds, timer.daemon) == (10.0, True)
    timer.tell()
    assert lines(out)[-1]["count"] == 20


def test_at_the_level_debug_every_line_is_written() -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    set_up_logging(level="debug", as_json=True, stream=stream)
    for _ in range(30):
        _log.info("event.parked", waiting_for="rate")
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()
    assert len(lines(stream)) == 30


def test_a_long_list_of_names_is_cut() -> None:
    assert some_of(["a", "b"], most=2) == ["a", "b"]
    assert some_of(["a", "b", "c", "d"], most=2) == ["a", "b", "and 2 more"]
