"""Print a command's output: without secrets, one line a call, control characters escaped."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING

import click

from botkit.telemetry.escaping import escape, escape_json, escape_lines
from botkit.telemetry.redaction import Redactor
from botkit.telemetry.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

__all__ = [
    "as_text",
    "clean",
    "echo",
    "echo_fields",
    "echo_json",
    "echo_lines",
    "hide",
    "redacting",
    "report_line",
    "report_trace",
]

_REDACTOR: ContextVar[Redactor] = ContextVar("redactor")


@contextmanager
def redacting() -> Generator[None]:
    """Hide the secrets passed to `hide` in all output inside the block."""
    before = _REDACTOR.set(Redactor())
    try:
        yield
    finally:
        _REDACTOR.reset(before)


def hide(secrets: Iterable[str]) -> None:
    """Hide these values in this command's output from now on."""
    for secret in secrets:
        _redactor().learn(secret)


def clean(text: str) -> str:
    """Return the text ready to print: on one line, without the hidden secrets."""
    return escape(_redactor().known(text))


def echo(text: str = "", *, err: bool = False) -> None:
    """Print one line."""
    click.echo(clean(text), err=err)


def echo_lines(text: str) -> None:
    """Print a text of several lines, for instance a trace; indent all but the first.

    So no line of the text can be mistaken for one of botkit's own.
    """
    click.echo(escape_lines(_redactor().known(text)).replace("\n", "\n  "))


def echo_fields(fields: Mapping[str, object], *, width: int) -> None:
    """Print each non-empty field on a line of its own, and a `trace` on several."""
    for name, value in fields.items():
        if value in ("", None, [], {}):
            continue
        line = f"{name:<{width}} {as_text(value)}"
        (echo_lines if name == "trace" else echo)(line)


def as_text(value: object) -> str:
    """Return the value for a person: a time as RFC 3339, a list or dict as JSON."""
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False, default=_json)
    return _json(value)


def echo_json(value: object) -> None:
    """Print one JSON document on stdout; its times are RFC 3339 with Z."""
    document = json.dumps(value, ensure_ascii=False, indent=2, default=_json)
    click.echo(escape_json(_redactor().known(document)))


def report_line(text: str) -> None:
    """Print a line on stderr, without text that looks like a secret."""
    sys.stderr.write(f"{_redactor().line(text)}\n")


def report_trace(trace: str) -> None:
    """Print the trace of an exception on stderr, without text that looks like a secret."""
    sys.stderr.write(escape_lines(_redactor().text(trace)))


def _redactor() -> Redactor:
    return _REDACTOR.get(None) or Redactor()


def _json(value: object) -> str:
    return rfc3339(value) if isinstance(value, datetime) else str(value)
