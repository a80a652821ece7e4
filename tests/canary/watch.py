"""Everything that a process says is looked through: logs at every level, output, pages, arguments.

Used by the plugin in the tests' own process and by `site/sitecustomize.py` in those they start.
"""

from __future__ import annotations

import copy
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.canary.marks import find, seed

__all__ = ["Watch", "watch"]

_MEANT = re.compile(
    r"https?://[^\s\"'<>]+/oauth2?/(?:authorize|authenticate)\?\S+|/i/oauth2/authorize\?\S+"
    r"|https?://[^\s\"'<>]+/connect\?\S+"
    r'|name="invitation" value="[^"]*"'
)
"""The address that a person opens holds the state, the request token or the invitation, and so does the form of an invitation's page."""
_IN_ADDRESS = frozenset({"state", "request token", "invitation"})


class Watch:
    """Notes what leaked, a line each, in a file that all processes append to."""

    def __init__(self, report: Path) -> None:
        self._report = report
        self.where = ""
        self.busy = False

    def note(self, line: str) -> None:
        descriptor = os.open(self._report, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, f"{line}\n".encode())
        finally:
            os.close(descriptor)

    def made(self, kind: str) -> None:
        self.note(f"made\t{kind}")

    def look(self, text: str, place: str) -> None:
        """Search a text that somebody can see."""
        kinds = find(text)
        if not kinds:
            return
        bare = _MEANT.sub("", text)
        left = [kind for kind in kinds if kind not in _IN_ADDRESS] + find(bare)
        for kind in dict.fromkeys(left):
            shown = " ".join(text.split())
            self.note(f"leak\t{kind}\t{place}\t{self.where}\t{shown[:400]}")


def watch(report: Path, more: dict[str, Callable[[Any], None]] | None = None) -> Watch:
    """Begin to mark and to look."""
    watching = Watch(report)
    _logs(watching)
    _arguments(watching)
    changes = {"botkit.web.pages": _pages(watching), **(more or {})}
    seed(watching.made, changes)
    return watching


def _logs(watching: Watch) -> None:
    """Each record is made whatever the level, and looked at as every formatter would show it."""
    enabled, handle = logging.Logger.isEnabledFor, logging.Logger.handle
    plain = logging.Formatter()

    def handled(self: logging.Logger, record: logging.LogRecord) -> None:
        if not watching.busy:
            watching.busy = True
            try:
                if self.name.startswith("botkit"):
                    watching.look(plain.format(copy.copy(record)), f"log {self.name}")
                for handler in logging.getLogger().handlers:
                    if type(handler.formatter).__module__.startswith("structlog"):
                        shown = handler.format(copy.copy(record))
                        watching.look(shown, f"formatted log {self.name}")
            finally:
                watching.busy = False
        if enabled(self, record.levelno):
            handle(self, record)

    logging.Logger.isEnabledFor = _always  # type: ignore[method-assign]
    logging.Logger.handle = handled  # type: ignore[method-assign]


def _always(_self: logging.Logger, _level: int) -> bool:
    return True


def _arguments(watching: Watch) -> None:
    start = subprocess.Popen.__init__

    def started(self: Any, args: Any, *more: Any, **options: Any) -> None:
        words = [args] if isinstance(args, (str, bytes)) else list(args)
        watching.look(" ".join(map(str, words)), "arguments of a process")
        start(self, args, *more, **options)

    subprocess.Popen.__init__ = started  # type: ignore[method-assign]


def _pages(watching: Watch) -> Callable[[Any], None]:
    def change(module: Any) -> None:
        render = module.render

        def rendered(page: Any) -> tuple[bytes, dict[str, str]]:
            body, headers = render(page)
            watching.look(body.decode() + str(headers), "page")
            return body, headers

        module.render = rendered

    return change


class Tee:
    """A stream of a process that passes on what is written, after a look at it."""

    def __init__(self, stream: Any, name: str, watching: Watch) -> None:
        self._stream = stream
        self._name = name
        self._watching = watching
        self._line = ""

    def write(self, text: str) -> int:
        self._line += text
        if "\n" in text:
            self._watching.look(self._line, self._name)
            self._line = ""
        written: int = self._stream.write(text)
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def watch_a_child() -> None:
    """For `sitecustomize`: the process looks at its own words."""
    report = os.environ.get("CANARY_REPORT")  # noqa: TID251 - not a setting
    if not report:
        return
    watching = watch(Path(report))
    watching.where = " ".join(sys.orig_argv[1:])[:120]
    # The sandbox prints the keys of its made-up app: that is what it is for.
    if "sandbox" not in sys.orig_argv:
        sys.stdout = Tee(sys.stdout, "stdout", watching)
    sys.stderr = Tee(sys.stderr, "stderr", watching)
