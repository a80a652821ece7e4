"""No secret reaches a log line, whoever wrote it."""

from __future__ import annotations

import html
import io
import json
import logging
import warnings
from collections.abc import Callable, ItemsView
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple
from urllib.parse import quote, quote_plus

import pytest
import structlog

from botkit.model.tokens import LoginState
from botkit.telemetry.escaping import escape
from botkit.telemetry.log import set_up_logging
from botkit.telemetry.redaction import Redactor


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer AAAAcanary",
        "bearer AAAAcanary and more",
        "GET /callback?state=AAAAcanary&code=x",
        "grant_type=refresh_token&refresh_token=AAAAcanary",
        'oauth_signature="AAAAcanary"',
        "known AAAAcanary value",
        "{'Authorization': 'OAuth x AAAAcanary'}",
        "<CIMultiDict('Cookie': 'a=1; b=AAAAcanary')>",
        '{"access_token": "AAAAcanary"}',
        "Set-Cookie: a=1; b=AAAAcanary",
        "connect to http://me:AAAAcanary@proxy.example:3128 failed",
        "postgresql+async://:AAAAcanary@db/x",
    ],
)
def test_a_secret_is_not_in_the_text(text: str) -> None:
    redactor = Redactor(["known AAAAcanary"] if text.startswith("known") else [])
    assert "AAAAcanary" not in redactor.text(text)


def test_values_are_hidden_by_name_and_exceptions_by_text() -> None:
    event = {
        "event": "x",
        "refresh_token": "abc",
        "client_secret": "abc",
        "status": 3,
        "error": ValueError("access_token=abcdef"),
    }
    hidden = Redactor()(None, "info", event)
    assert hidden["refresh_token"] == hidden["client_secret"] == "[redacted]"
    assert hidden["status"] == 3
    assert hidden["error"] == "ValueError: access_token=[redacted]"


@pytest.mark.parametrize(
    "text",
    [
        "The stream needs the app's bearer token and Basic authentication.",
        "A cookie and an authorization are words, too.",
        "http://127.0.0.1:8765/a@b and https://x.com/@ada:8 stay",
    ],
)
def test_words_about_secrets_stay(text: str) -> None:
    assert Redactor().text(text) == text


def test_a_secret_is_known_in_a_repr_and_in_an_address_too() -> None:
    redactor = Redactor(["pass'wörd/1"])
    assert "rd/1" not in redactor.text(repr("pass'wörd/1\""))
    assert redactor.text("?p=pass%27w%C3%B6rd%2F1") == "?p=[redacted]"


@pytest.mark.parametrize("write", [json.dumps, html.escape, quote, quote_plus, repr])
def test_a_secret_is_known_however_it_is_written(write: Callable[[str], str]) -> None:
    secret = "hush /+\"'\\ hush"
    assert "hush" not in Redactor([secret]).known(write(secret))
    assert "hush" not in Redactor([secret]).known(json.dumps(json.dumps(secret)))


@pytest.mark.parametrize(
    "text",
    [
        "Login(token='AAAAcanary', other='x')",
        "api_key=AAAAcanary",
        "session-token=AAAAcanary",
        "next=https%3A%2F%2Fx%2Fcb%3Fcode%3DAAAAcanary",
        json.dumps(json.dumps({"access_token": "AAAAcanary"})),
    ],
)
def test_a_secret_is_hidden_by_the_name_before_it(text: str) -> None:
    assert "canary" not in Redactor().text(text)


class Login(NamedTuple):
    access_token: str
    app: str


class Forging:
    def __repr__(self) -> str:
        return "<hush-hush-1\n2026-11-30 INFO forged>"


class Unshowable:
    def __repr__(self) -> str:
        raise ValueError("hush-hush-1")


HIDDEN = r"<[redacted]\x0a2026-11-30 INFO forged>"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (["a hush-hush-1", ("b", "hush-hush-1")], ["a [redacted]", ["b", "[redacted]"]]),
        ({"k": {"hush-hush-1": 1}}, {"k": {"[redacted]": 1}}),
        ({"hush-hush-1"}, ["[redacted]"]),
        (b"\xffhush-hush-1", r"\xff[redacted]"),
        (Forging(), HIDDEN),
        ([Forging()], [HIDDEN]),
        ({Forging(): None}, {HIDDEN: None}),
        (Unshowable(), "<Unshowable>"),
        (KeyError("hush-hush-1"), "KeyError: '[redacted]'"),
        ({"Authorization": "Bearer x", "status": 3}, {"Authorization": "[redacted]", "status": 3}),
        ([("Cookie", "a=b"), (b"Set-Cookie", b"c")], [["Cookie", "[redacted]"], ["Set-Cookie", "[redacted]"]]),
        (Login("x", "y"), {"access_token": "[redacted]", "app": "y"}),
        ({"X-Api-Key": "x", "my_token": "y", "bearer": "z"}, {"X-Api-Key": "[redacted]", "my_token": "[redacted]", "bearer": "[redacted]"}),
        (datetime(2026, 11, 30, 12, tzinfo=UTC), "2026-11-30T12:00:00Z"),
        (Decimal("0.10"), "0.10"),
        (LoginState.OK, "OK"),
        (1.5, 1.5),
        (None, None),
    ],
)  # fmt: skip
def test_no_value_carries_a_secret_or_a_second_line(value: object, shown: object) -> None:
    assert Redactor(["hush-hush-1"]).plain(value) == shown


class Unreadable(dict[str, str]):
    def items(self) -> ItemsView[str, str]:
        raise ValueError("hush-hush-1")


def test_a_log_call_never_raises_for_its_values() -> None:
    (line,) = lines(
        as_json=True,
        write=lambda: structlog.get_logger("botkit.x").info("a.b", held=Unreadable()),
    )
    assert json.loads(line)["held"] == "<Unreadable>"


def test_a_value_that_holds_itself_ends() -> None:
    knot: list[object] = []
    knot.append(knot)
    assert "[...]" in json.dumps(Redactor().plain(knot))


def lines(*, as_json: bool, write: Callable[[], None]) -> list[str]:
    """What is written to the log, with `hush-hush-1` known."""
    out = io.StringIO()
    set_up_logging(as_json=as_json, secrets=["hush-hush-1"], stream=out)
    write()
    return out.getvalue().splitlines()


def by_botkit() -> None:
    structlog.get_logger("botkit.x").info(
        "login.state_changed",
        items=["hush-hush-1", b"hush-hush-1"],
        headers={"Authorization": "OAuth a b"},
        about=Forging(),
    )


def by_another_library() -> None:
    extra = {
        "token": "abc",
        "_mine": "hush-hush-1",
        "a\nb hush-hush-1": 1,
        "held": [Forging()],
        "headers": {"authorization": "abc"},
    }
    logging.getLogger("other").warning("got %r", Forging(), extra=extra)


def by_a_wrong_call() -> None:
    logging.getLogger("other").warning("%d tokens", "hush-hush-1")


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("write", [by_botkit, by_another_library, by_a_wrong_call])
def test_whoever_writes_a_line_it_is_one_and_holds_no_secret(
    write: Callable[[], None], *, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = lines(as_json=as_json, write=write)
    assert "hush-hush-1" not in line
    assert "OAuth a b" not in line
    assert "abc" not in line
    assert capsys.readouterr() == ("", "")


def test_a_wrong_log_call_is_reported_by_its_place() -> None:
    (line,) = lines(as_json=True, write=by_a_wrong_call)
    said = json.loads(line)
    assert said["event"] == "log_line.not_written"
    assert said["why"] == "TypeError"
    assert said["where"].startswith(__file__)


def test_a_warning_of_python_is_a_line_of_the_log() -> None:
    out = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)  # an earlier test's, which pytest has undone since
        set_up_logging(as_json=True, secrets=["hush-hush-1"], stream=out)
        warnings.warn("careful\nhush-hush-1", stacklevel=1)
    (line,) = out.getvalue().splitlines()
    said = json.loads(line)
    assert said["logger"] == "py.warnings"
    assert r"UserWarning: careful\x0a[redacted]" in said["event"]


def test_a_log_that_cannot_be_written_ends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    set_up_logging(as_json=True, stream=out)
    out.close()
    logging.getLogger("other").warning("lost")
    assert capsys.readouterr() == ("", "")


def test_short_secrets_do_not_blank_out_words() -> None:
    assert Redactor(["the"]).text("the end") == "the end"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\n2026 INFO fake", r"a\x0a2026 INFO fake"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\u202eevil", r"\u202eevil"),
        ("\ud800", r"\ud800"),
        ("a\u00ad\ufff9", r"a\xad\ufff9"),
        ("plain ü 👋", "plain ü 👋"),
    ],
)
def test_text_from_outside_stays_on_its_line(text: str, shown: str) -> None:
    assert escape(text) == shown


def test_json_logs_are_one_valid_object_a_line() -> None:
    out = io.StringIO()
    set_up_logging(as_json=True, secrets=["hush-hush-1"], stream=out)
    structlog.get_logger("botkit.test").info("post\nseen", text="a\x1b", note="has hush-hush-1")
    logging.getLogger("other").warning("plain %s", "hush-hush-1")
    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert first["event"] == r"post\x0aseen"
    assert first["note"] == "has [redacted]"
    assert first["level"] == "info"
    assert second["event"] == "plain [redacted]"


def test_a_trace_keeps_its_lines_and_loses_its_secrets() -> None:
    out = io.StringIO()
    set_up_logging(as_json=False, secrets=["hush-hush-1"], stream=out)
    try:
        int("bad\x1b hush-hush-1")
    except ValueError:
        structlog.get_logger("botkit.test").exception("failed")
    text = out.getvalue()
    assert "Traceback" in text
    assert "hush-hush-1" not in text
    assert "\x1b" not in text


def by_a_forger() -> None:
    raise ValueError("\n2026-11-30T12:00:00Z bot      stopped")


def test_a_trace_forges_no_line_of_the_log() -> None:
    out = io.StringIO()
    set_up_logging(as_json=False, stream=out)
    try:
        by_a_forger()
    except ValueError:
        structlog.get_logger("botkit.test").exception("failed")
    first, *behind = out.getvalue().splitlines()
    assert "failed" in first
    assert all(line.startswith("  ") for line in behind)


def test_the_level_is_kept_and_request_lines_are_never_logged() -> None:
    out = io.StringIO()
    set_up_logging(level="debug", as_json=False, stream=out)
    logging.getLogger("aiohttp.access").info("GET /callback?code=abc")
    structlog.get_logger("botkit.test").debug("shown")
    assert "callback" not in out.getvalue()
    assert "shown" in out.getvalue()
