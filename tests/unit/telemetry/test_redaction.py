"""No secret reaches a log line, whoever wrote it."""

from __future__ import annotations

import io
import json
import logging

import pytest
import structlog

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
    ],
)
def test_a_secret_is_not_in_the_text(text: str) -> None:
    redactor = Redactor(["known AAAAcanary"] if text.startswith("known") else [])
    assert "AAAAcanary" not in redactor.text(text.replace('="', "="))


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


def test_short_secrets_do_not_blank_out_words() -> None:
    assert Redactor(["the"]).text("the end") == "the end"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\n2026 INFO fake", r"a\x0a2026 INFO fake"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\u202eevil", r"\u202eevil"),
        ("plain ü 👋", "plain ü 👋"),
    ],
)
def test_text_from_outside_stays_on_its_line(text: str, shown: str) -> None:
    assert escape(text) == shown


def test_json_logs_are_one_valid_object_a_line() -> None:
    out = io.StringIO()
    set_up_logging(as_json=True, secrets=["sup3rsecret"], stream=out)
    structlog.get_logger("botkit.test").info("post\nseen", text="a\x1b", note="has sup3rsecret")
    logging.getLogger("other").warning("plain %s", "sup3rsecret")
    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert first["event"] == r"post\x0aseen"
    assert first["note"] == "has [redacted]"
    assert first["level"] == "info"
    assert second["event"] == "plain [redacted]"


def test_a_trace_keeps_its_lines_and_loses_its_secrets() -> None:
    out = io.StringIO()
    set_up_logging(as_json=False, secrets=["sup3rsecret"], stream=out)
    try:
        int("bad\x1b sup3rsecret")
    except ValueError:
        structlog.get_logger("botkit.test").exception("failed")
    text = out.getvalue()
    assert "Traceback" in text
    assert "sup3rsecret" not in text
    assert "\x1b" not in text


def test_the_level_is_kept_and_request_lines_are_never_logged() -> None:
    out = io.StringIO()
    set_up_logging(level="debug", as_json=False, stream=out)
    logging.getLogger("aiohttp.access").info("GET /callback?code=abc")
    structlog.get_logger("botkit.test").debug("shown")
    assert "callback" not in out.getvalue()
    assert "shown" in out.getvalue()
